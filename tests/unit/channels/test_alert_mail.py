"""Mail for staff, as mail servers and Amazon SES are given it."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_aws import AwsServer, aws_environment, aws_server, mail_of
from scripted_servers import CUT, HANG, MailServer, mail_server

from carenotify.channels.email import alert_mail
from carenotify.channels.email.alert_mail import SesAlerts, SmtpAlerts, compose, first_that_takes
from carenotify.channels.email.compose import Sender
from carenotify.domain.alert_mail import AlertMail, AlertSender, CsvFile, RefusedReceiver
from carenotify.errors import AlertNotSentError, SettingsError
from carenotify.journeys import mail_alerts

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
FROM = "Klinikum Süd <info@klinikum.example>"
TO = ("anna@klinikum.example", "bert@klinikum.example")
MAIL = AlertMail("<carenotify-1@klinikum.example>", "carenotify: 3 messages failed", "Grüße\n.\nEnde", "<p>Grüße</p>")


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


def smtp(server: MailServer, to: tuple[str, ...] = TO) -> SmtpAlerts:
    return SmtpAlerts(server.url, FROM, to, clock=lambda: NOW)


def parsed(mail: bytes) -> EmailMessage:
    return email.message_from_bytes(mail, policy=email.policy.default)  # type: ignore[return-value]


def test_the_mail_has_our_message_id_both_forms_and_asks_for_no_holiday_notices(server: MailServer) -> None:
    smtp(server)(MAIL)
    mail = parsed(server.mails[0])
    assert mail["Message-ID"] == MAIL.message_id
    assert mail["From"] == FROM
    assert mail["To"] == ", ".join(TO)
    assert mail["Subject"] == MAIL.subject
    assert mail["Auto-Submitted"] == "auto-generated"
    bodies = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
    assert "Grüße" in bodies["text/plain"]
    assert "<p>Grüße</p>" in bodies["text/html"]


def test_each_receiver_gets_it_in_one_conversation_so_that_none_of_them_gets_it_anew_for_another(
    server: MailServer, amazon: AwsServer
) -> None:
    server.most_connections = 1  # the next would be refused
    assert first_that_takes([partial(smtp, server), partial(ses, amazon)])(MAIL) == []
    assert server.commands.count("RCPT") == 2
    assert len(server.mails) == 1
    assert not amazon.calls


@pytest.mark.parametrize(
    ("first", "code"),
    [("not an address", "malformed-address"), ("gone@klinikum.example", "550 5.1.1")],
    ids=["no address", "unknown"],
)
def test_one_receiver_whom_the_server_does_not_take_keeps_it_from_nobody_and_is_told_by_number_and_code(
    server: MailServer, caplog: pytest.LogCaptureFixture, first: str, code: str
) -> None:
    server.script["RCPT TO:<gone@klinikum.example>"] = "550 5.1.1 no such mailbox"
    assert smtp(server, (first, "bert@klinikum.example"))(MAIL) == [RefusedReceiver(1, code)]
    assert len(server.mails) == 1
    assert f"1 of 2 receivers in CARENOTIFY_ALERT_TO got no mail: {code}" in caplog.text
    assert first not in caplog.text


def test_a_conversation_that_ends_at_a_receiver_has_told_nobody(server: MailServer) -> None:
    server.script["RCPT TO:<bert@klinikum.example>"] = "421 4.3.2 closing"
    with pytest.raises(AlertNotSentError, match="421") as caught:
        smtp(server)(MAIL)
    assert not caught.value.perhaps_taken
    assert not server.mails


def test_without_any_address_that_is_one_nobody_is_asked(server: MailServer) -> None:
    with pytest.raises(AlertNotSentError, match="CARENOTIFY_ALERT_TO: there is no mail address in it"):
        smtp(server, ("not an address",))(MAIL)
    assert server.connections == 0


@pytest.mark.parametrize(
    ("script", "code", "unsure"),
    [
        ({"HELLO": "421 4.3.2 closing"}, "421", False),
        ({"HELLO": CUT}, "connection-cut", False),
        ({"RCPT": "550 5.1.1 no such mailbox"}, "550 5.1.1", False),
        ({"CONTENT": "554 5.7.1 looks like spam"}, "554 5.7.1", False),
        ({"CONTENT": CUT}, "unconfirmed", True),
    ],
    ids=["closing", "cut", "unknown", "spam", "answer lost"],
)
def test_a_mail_that_was_not_taken_is_told_with_the_servers_code_and_whether_it_may_have_arrived(
    server: MailServer, script: dict[str, str], code: str, unsure: bool
) -> None:
    server.script.update(script)
    with pytest.raises(AlertNotSentError, match=code) as caught:
        smtp(server)(MAIL)
    assert caught.value.perhaps_taken is unsure
    assert "anna" not in str(caught.value)


def test_a_server_that_looks_for_viruses_first_is_waited_for_longer_than_for_any_other_answer(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_mail, "_TIMEOUT_SECONDS", 1.0)
    server.waits["CONTENT"] = 1.5
    assert smtp(server)(MAIL) == []
    assert len(server.mails) == 1


@pytest.mark.parametrize("command", ["RCPT", "CONTENT"])
def test_a_server_that_never_answers_is_given_up(
    server: MailServer, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(alert_mail, "_TIMEOUT_SECONDS", 1.0)
    server.script[command] = HANG
    with pytest.raises(AlertNotSentError) as caught:
        SmtpAlerts(server.url, FROM, TO, answer_seconds=1.0, clock=lambda: NOW)(MAIL)
    assert caught.value.perhaps_taken is (command == "CONTENT")


def test_an_alerts_answer_is_given_up_well_before_another_process_may_send_it() -> None:
    assert mail_alerts._LEASE.total_seconds() > 2 * alert_mail.ALERT_ANSWER_SECONDS
    assert alert_mail.ALERT_ANSWER_SECONDS < alert_mail.REPORT_ANSWER_SECONDS


def test_a_server_that_is_not_there_is_asked_once_and_not_for_each_receiver(server: MailServer) -> None:
    server.script["HELLO"] = "421 4.3.2 closing"
    with pytest.raises(AlertNotSentError, match="cannot be reached"):
        smtp(server)(MAIL)
    assert server.connections == 1


TABLE = CsvFile("delivery-2026-11-21.csv", 'figure,of,number\r\nreached,sms,"1,000"\r\nGröße=,,3\r\n')


@pytest.mark.parametrize("way", ["smtp", "ses"])
def test_a_table_comes_along_beside_both_forms_as_a_file_that_a_spreadsheet_opens(
    server: MailServer, amazon: AwsServer, way: str
) -> None:
    mail = replace(MAIL, files=[TABLE])
    if way == "smtp":
        smtp(server)(mail)
        taken = parsed(server.mails[0])
    else:
        ses(amazon)(mail)
        taken = parsed(mail_of(amazon.calls[0][1]))
    assert [part.get_content_type() for part in taken.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "text/csv",
    ]
    (table,) = taken.iter_attachments()
    assert (table.get_filename(), table.get_content_charset()) == (TABLE.name, "utf-8")
    assert table.get_payload(decode=True) == TABLE.text.encode()


def test_what_is_wrong_with_the_receivers_is_told_under_the_setting_that_names_them(server: MailServer) -> None:
    mailer = SmtpAlerts(server.url, FROM, ("not an address",), setting="CARENOTIFY_REPORT_TO", clock=lambda: NOW)
    with pytest.raises(AlertNotSentError, match="CARENOTIFY_REPORT_TO: there is no mail address in it"):
        mailer(MAIL)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@given(subject=TEXT, text=TEXT, html=TEXT)
def test_whatever_is_said_the_mail_can_be_written_and_read(subject: str, text: str, html: str) -> None:
    line = " ".join("".join(one for one in subject if one.isprintable()).split())
    mail = compose(AlertMail(MAIL.message_id, line, text, html), Sender.parse(FROM), TO, lambda: NOW)
    assert mail.isascii()
    assert parsed(mail)["Message-ID"] == MAIL.message_id


# --- Amazon SES ------------------------------------------------------------------------------


@pytest.fixture
def amazon() -> Iterator[AwsServer]:
    with aws_server() as running:
        yield running


def ses(amazon: AwsServer) -> SesAlerts:
    with aws_environment(amazon.url):
        return SesAlerts(FROM, TO, clock=lambda: NOW)


def test_ses_is_given_one_mail_for_all_with_our_id_in_a_header_that_it_leaves_alone(amazon: AwsServer) -> None:
    ses(amazon)(MAIL)
    ((_, parameters, _),) = amazon.calls
    assert parameters["Destination"] == {"ToAddresses": list(TO)}
    assert parsed(mail_of(parameters))["X-Carenotify-Alert-Id"] == "carenotify-1@klinikum.example"


@pytest.mark.parametrize(("body", "unsure"), [(None, False), (CUT, True)], ids=["refused", "cut"])
def test_what_ses_did_not_take_is_told(amazon: AwsServer, body: str | None, unsure: bool) -> None:
    amazon.refuse(403, "AccessDeniedException", "not allowed")
    amazon.body = body
    with pytest.raises(AlertNotSentError, match="SES took no mail") as caught:
        ses(amazon)(MAIL)
    assert caught.value.perhaps_taken is unsure


# --- several ways ----------------------------------------------------------------------------


def test_the_next_way_is_taken_when_the_first_one_is_closed(server: MailServer, amazon: AwsServer) -> None:
    server.script["HELLO"] = CUT
    first_that_takes([partial(smtp, server), partial(ses, amazon)])(MAIL)
    assert len(amazon.calls) == 1


def test_no_other_way_is_taken_when_the_first_one_may_have_taken_it(server: MailServer, amazon: AwsServer) -> None:
    server.script["CONTENT"] = CUT
    with pytest.raises(AlertNotSentError):
        first_that_takes([partial(smtp, server), partial(ses, amazon)])(MAIL)
    assert not amazon.calls


def test_what_is_not_set_up_is_said_and_passed_over(server: MailServer) -> None:
    def not_set_up() -> AlertSender:
        raise SettingsError("CARENOTIFY_SMTP_URL: is not set")

    first_that_takes([not_set_up, partial(smtp, server)])(MAIL)
    assert server.mails
    with pytest.raises(AlertNotSentError, match="CARENOTIFY_SMTP_URL: is not set"):
        first_that_takes([not_set_up])(MAIL)
