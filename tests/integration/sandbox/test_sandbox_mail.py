"""The sandbox's mail server, as smtplib sees it."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from datetime import date
from email.message import EmailMessage
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests

from carenotify.sandbox.server import SandboxServer

TO = "käthe@example.org"


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxServer]:
    with SandboxServer(reminder_day=date(2026, 11, 24), timezone=ZoneInfo("Europe/Berlin")) as server:
        yield server


@pytest.fixture
def server(running: SandboxServer) -> SandboxServer:
    running.ledger.reset()
    return running


def reminder(notification_id: str | None = "n-1") -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "Ihr Termin", "termine@hospital.example", "anna@example.org"
    if notification_id:
        mail["X-Carenotify-Notification-Id"] = notification_id
    mail.set_content("Grüße aus dem Krankenhaus\n")
    mail.add_alternative("<p>Grüße</p>", subtype="html")
    return mail


def send(server: SandboxServer, mail: EmailMessage, *recipients: str) -> dict[str, Any]:
    with smtplib.SMTP("127.0.0.1", server.sandbox.smtp_port, timeout=5) as client:
        return client.send_message(mail, to_addrs=recipients or None)


def mails(server: SandboxServer, **wanted: str) -> list[dict[str, Any]]:
    answer = requests.get(server.url + "/mails", params=wanted, timeout=5)
    return list(answer.json()["mails"])


def test_a_mail_arrives_and_can_be_read(server: SandboxServer) -> None:
    send(server, reminder())
    (mail,) = mails(server, notification_id="n-1")
    assert (mail["subject"], mail["to"]) == ("Ihr Termin", ["anna@example.org"])
    assert mail["text"] == "Grüße aus dem Krankenhaus\n"
    assert mail["html"] == "<p>Grüße</p>\n"
    assert "X-Carenotify-Notification-Id: n-1" in mail["raw"]


def test_a_duplicate_is_a_count_above_one(server: SandboxServer) -> None:
    for notification_id in ("n-1", "n-2", "n-1"):
        send(server, reminder(notification_id))
    counts = requests.get(server.url + "/counts", timeout=5).json()
    assert counts == {"n-1": {"channel": "email", "times": 2}, "n-2": {"channel": "email", "times": 1}}
    assert requests.delete(server.url + "/counts", timeout=5).status_code == 204
    assert server.counts() == {}


def test_alert_mails_without_an_id_are_kept_and_not_counted(server: SandboxServer) -> None:
    send(server, reminder(None), "staff@hospital.example")
    assert server.counts() == {}
    assert len(mails(server, to="staff@hospital.example")) == 1
    assert mails(server, to="nobody@hospital.example") == []


def test_bouncing_mailboxes_are_refused_for_good_and_the_others_served(server: SandboxServer) -> None:
    refused = send(server, reminder(), "bounce-7@example.org", "anna@example.org")
    assert refused == {"bounce-7@example.org": (550, b"5.1.1 no such mailbox")}
    assert mails(server)[0]["to"] == ["anna@example.org"]
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(server, reminder(), "bounce@example.org")


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("500", smtplib.SMTPDataError, 451),
        ("429", smtplib.SMTPDataError, 421),
        ("503", smtplib.SMTPRecipientsRefused, 451),
        ("cut", smtplib.SMTPServerDisconnected, None),
    ],
)
def test_a_mail_that_is_refused_for_now_is_not_counted(
    server: SandboxServer, fault: str, error: type[smtplib.SMTPException], code: int | None
) -> None:
    server.faults.script("mail", fault)
    with pytest.raises(error) as refusal:
        send(server, reminder())
    assert code is None or str(code) in str(refusal.value)
    assert server.counts() == {}
    send(server, reminder())
    assert server.counts()["n-1"]["times"] == 1


def test_a_mail_that_was_taken_before_the_connection_broke_is_counted(server: SandboxServer) -> None:
    server.faults.script("mail", "accept-then-cut")
    with pytest.raises(smtplib.SMTPServerDisconnected):
        send(server, reminder())
    assert server.counts()["n-1"]["times"] == 1


def test_credentials_and_addresses_in_utf_8_are_taken(server: SandboxServer) -> None:
    with smtplib.SMTP("127.0.0.1", server.sandbox.smtp_port, timeout=5) as client:
        client.login("user", "password")
        client.sendmail("a@example.org", [TO], b"Subject: x\r\n\r\nx", mail_options=["SMTPUTF8"])
    assert len(mails(server, to=TO)) == 1
