from __future__ import annotations

import email
import email.policy
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from threading import Event
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_servers import CUT, MailServer, mail_server

from carenotify.channels.base import OutgoingMessage
from carenotify.channels.email.compose import Sender, compose_mail, envelope_address
from carenotify.channels.email.smtp import SmtpProvider
from carenotify.channels.email.smtp_codes import REFUSALS, Stage, refusal
from carenotify.channels.email.smtp_connections import SmtpConnections
from carenotify.channels.email.smtp_session import SmtpServer
from carenotify.errors import (
    AddressRejectedError,
    BusyAddressError,
    DeadAddressError,
    DeliveryError,
    MessageRejectedError,
    MisconfiguredError,
    NotTriedError,
    SettingsError,
    TemporaryDeliveryError,
    ThrottledError,
    UnconfirmedDeliveryError,
)

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
ID = UUID("018f0000-0000-7000-8000-000000000001")
SENDER = Sender.parse("Klinikum Süd <info@klinikum.example>")


def outgoing(
    *, subject: str | None = "Your appointment", text: str = "Hello", html: str | None = "<p>Hello</p>"
) -> OutgoingMessage:
    return OutgoingMessage(ID, 2, "anna@example.org", subject, text, html, "en")


def parsed(mail: bytes) -> EmailMessage:
    return email.message_from_bytes(mail, policy=email.policy.default)  # type: ignore[return-value]


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


def provider_for(server: MailServer) -> SmtpProvider:
    return SmtpProvider(server.url, "Klinikum <info@klinikum.example>", timeout_seconds=2, clock=lambda: NOW)


# --- the mail itself -------------------------------------------------------------------------


def test_a_mail_has_the_headers_that_receivers_and_robots_look_for() -> None:
    mail = parsed(compose_mail(outgoing(), SENDER, "anna@example.org", NOW))

    assert mail["From"] == "Klinikum Süd <info@klinikum.example>"
    assert mail["To"] == "anna@example.org"
    assert mail["Subject"] == "Your appointment"
    assert mail["Date"].datetime == NOW
    assert mail["Message-ID"] == f"<{ID}@klinikum.example>"
    assert mail["X-Carenotify-Notification-Id"] == str(ID)
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == "en"
    assert mail["MIME-Version"] == "1.0"
    assert not mail.defects


def test_text_comes_first_and_html_is_its_alternative() -> None:
    mail = parsed(compose_mail(outgoing(), SENDER, "anna@example.org", NOW))

    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]


def test_a_message_without_html_is_plain_text() -> None:
    mail = parsed(compose_mail(outgoing(html=None), SENDER, "anna@example.org", NOW))

    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().splitlines() == ["Hello"]


@given(subject=st.none() | st.text(), text=st.text(), html=st.text())
def test_whatever_is_said_arrives_as_it_was_said(subject: str | None, text: str, html: str) -> None:
    raw = compose_mail(outgoing(subject=subject, text=text, html=html), SENDER, "anna@example.org", NOW)

    assert raw.isascii()
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    mail = parsed(raw)
    plain, rich = mail.iter_parts()
    for part, said in ((plain, text), (rich, html)):
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        assert payload.decode().splitlines() == "\n".join(said.splitlines()).split("\n")
    assert mail["X-Carenotify-Notification-Id"] == str(ID)
    assert [name for name in mail if name == "Bcc"] == []


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1))
def test_a_subject_in_any_script_can_be_read(subject: str) -> None:
    mail = compose_mail(outgoing(subject=subject), SENDER, "anna@example.org", NOW)

    # email.policy.default misreads some legal folds; the older reader does not.
    header = email.message_from_bytes(mail)["Subject"]
    assert str(email.header.make_header(email.header.decode_header(header))) == subject


def test_a_line_break_in_a_subject_adds_no_header() -> None:
    mail = parsed(compose_mail(outgoing(subject="a\r\nBcc: b@example.org"), SENDER, "anna@example.org", NOW))

    assert mail["Bcc"] is None
    assert mail["Subject"] == "a Bcc: b@example.org"


@pytest.mark.parametrize(
    "address", ["", "a", "@", "a@", "@b", "a b@c", "a@b@c", "a@b\r\nRCPT TO:<x@y>", "<a@b>", "a@b,c"]
)
def test_what_is_no_address_is_refused_before_the_server_hears_of_it(address: str) -> None:
    with pytest.raises(AddressRejectedError, match="malformed-address"):
        envelope_address(address)


def test_an_international_domain_is_told_in_ascii() -> None:
    assert envelope_address("anna@klinikum-süd.example") == "anna@xn--klinikum-sd-2hb.example"


def test_an_international_mailbox_is_refused_with_its_reason() -> None:
    with pytest.raises(AddressRejectedError, match="smtputf8-address"):
        envelope_address("ännchen@example.org")


# --- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("smtp://mail.example", "SmtpServer(smtp://mail.example:25)"),
        ("smtp+starttls://me:secret@mail.example", "SmtpServer(smtp+starttls://mail.example:587)"),
        ("smtps://me:s%40cret@mail.example:4650", "SmtpServer(smtps://mail.example:4650)"),
    ],
)
def test_a_server_is_read_from_its_url_and_shows_no_password(url: str, shown: str) -> None:
    assert repr(SmtpServer.parse(url)) == shown


def test_a_password_may_hold_what_a_url_has_to_escape() -> None:
    assert SmtpServer.parse("smtps://me:s%40c%2Fret@mail.example").password == "s@c/ret"


@pytest.mark.parametrize(
    "url", ["", "mail.example:25", "http://mail.example", "smtp://", "smtp://h:port", "smtp://[::1"]
)
def test_a_wrong_url_is_a_setting_to_correct(url: str) -> None:
    with pytest.raises(SettingsError, match="CARENOTIFY_SMTP_URL"):
        SmtpProvider(url, "info@klinikum.example")


@pytest.mark.parametrize("sender", ["", "nobody", "a@b\nBcc: c@d", "Ä <ä@b.example>"])
def test_a_wrong_sender_is_a_setting_to_correct(sender: str) -> None:
    with pytest.raises(SettingsError, match="CARENOTIFY_EMAIL_FROM"):
        SmtpProvider("smtp://mail.example", sender)


# --- connections -----------------------------------------------------------------------------


def test_the_mail_arrives_and_its_id_is_the_same_at_every_attempt(server: MailServer) -> None:
    provider = provider_for(server)

    ids = {provider.send(outgoing(text=".\n..dots\nlast")) for _ in range(2)}

    assert ids == {f"<{ID}@klinikum.example>"}
    assert b"\r\n...dots\r\n" in server.mails[0]  # a dot at the start of a line is doubled (RFC 5321 4.5.2)
    provider.close()


def test_one_connection_serves_many_mails(server: MailServer) -> None:
    provider = provider_for(server)
    for _ in range(50):
        provider.send(outgoing())

    assert (server.connections, len(server.mails)) == (1, 50)
    provider.close()


def test_a_connection_is_renewed_after_a_hundred_mails(server: MailServer) -> None:
    provider = provider_for(server)
    for _ in range(201):
        provider.send(outgoing())

    assert (server.connections, len(server.mails)) == (3, 201)
    provider.close()


def test_a_kept_connection_that_the_server_closed_is_replaced_without_a_word(server: MailServer) -> None:
    server.mails_per_connection = 1
    provider = provider_for(server)
    for _ in range(5):
        provider.send(outgoing())

    assert (server.connections, len(server.mails)) == (5, 5)
    provider.close()


def test_a_kept_connection_that_says_421_is_replaced_without_a_word(server: MailServer) -> None:
    provider = provider_for(server)
    provider.send(outgoing())
    server.script["MAIL"] = "421 4.4.2 idle too long"

    with pytest.raises(TemporaryDeliveryError, match=r"421 4\.4\.2"):  # from the second connection, and no third
        provider.send(outgoing())

    assert server.connections == 2
    provider.close()


def test_a_mail_is_never_sent_again_once_its_content_went_out(server: MailServer) -> None:
    provider = provider_for(server)
    provider.send(outgoing())
    server.script["CONTENT"] = CUT

    with pytest.raises(UnconfirmedDeliveryError, match="unconfirmed"):
        provider.send(outgoing())

    assert server.commands.count("DATA") == 2
    assert server.connections == 1
    provider.close()


def test_a_mail_whose_claim_is_about_to_run_out_is_not_handed_over(server: MailServer) -> None:
    provider = provider_for(server)
    late = replace(outgoing(), deadline=time.monotonic())
    with pytest.raises(NotTriedError, match="too-slow"):
        provider.send(late)
    assert not server.mails
    provider.send(outgoing())
    assert len(server.mails) == 1
    provider.close()


def test_a_refused_address_leaves_the_connection_usable(server: MailServer) -> None:
    provider = provider_for(server)
    server.script["RCPT"] = "550 5.1.1 no such user"
    with pytest.raises(AddressRejectedError):
        provider.send(outgoing())
    del server.script["RCPT"]

    provider.send(outgoing())

    assert (server.connections, len(server.mails), "RSET" in server.commands) == (1, 1, True)
    provider.close()


def test_a_server_without_reset_gets_a_new_connection(server: MailServer) -> None:
    provider = provider_for(server)
    server.script.update(RCPT="550 5.1.1 no such user", RSET="502 5.5.1 what?")
    with pytest.raises(AddressRejectedError):
        provider.send(outgoing())
    server.script.clear()

    provider.send(outgoing())

    assert (len(server.mails), server.connections) == (1, 2)
    provider.close()


def test_idle_connections_are_let_go(server: MailServer) -> None:
    connections = SmtpConnections(SmtpServer.parse(server.url), timeout_seconds=2, idle_seconds=0)
    first = connections.take()
    connections.give_back(first)

    second = connections.take()

    assert second is not first
    assert server.connections == 2
    connections.give_back(second)
    connections.close()


def test_a_connection_that_comes_back_after_closing_is_closed(server: MailServer) -> None:
    connections = SmtpConnections(SmtpServer.parse(server.url), timeout_seconds=2)
    lent = connections.take()
    connections.close()

    connections.give_back(lent)

    with pytest.raises(DeliveryError):
        lent.announce("a@b.example", "c@d.example")


def test_closing_does_not_wait_for_a_silent_server(server: MailServer) -> None:
    server.script["QUIT"] = "hang"
    provider = SmtpProvider(server.url, "info@klinikum.example", timeout_seconds=60)
    provider.send(outgoing())
    done = Event()

    provider.close()
    done.set()

    assert done.is_set()


# --- the table of codes ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "reply", "kind", "code"),
    [
        (Stage.RECIPIENT, "550 5.1.1 unknown", DeadAddressError, "550 5.1.1"),
        (Stage.RECIPIENT, "550 5.7.1 relaying denied", MessageRejectedError, "550 5.7.1"),
        (Stage.RECIPIENT, "553 mailbox name not allowed", AddressRejectedError, "553"),
        (Stage.RECIPIENT, "552 5.2.2 mailbox full", AddressRejectedError, "552 5.2.2"),
        (Stage.RECIPIENT, "556 5.1.10 null MX", DeadAddressError, "556 5.1.10"),
        (Stage.RECIPIENT, "450 4.2.0 greylisted", BusyAddressError, "450 4.2.0"),
        (Stage.RECIPIENT, "450 4.2.1 mailbox busy", BusyAddressError, "450 4.2.1"),
        (Stage.RECIPIENT, "451 4.7.1 greylisted", BusyAddressError, "451 4.7.1"),
        (Stage.RECIPIENT, "451 greylisted", BusyAddressError, "451"),
        (Stage.RECIPIENT, "450 5.1.1 a contradiction", BusyAddressError, "450 5.1.1"),
        (Stage.RECIPIENT, "451 4.3.0 lookup failure", TemporaryDeliveryError, "451 4.3.0"),
        (Stage.RECIPIENT, "421 closing", TemporaryDeliveryError, "421"),
        (Stage.SENDER, "451 4.7.1 slow down", ThrottledError, "451 4.7.1"),
        (Stage.RECIPIENT, "452 4.5.3 too many recipients", ThrottledError, "452 4.5.3"),
        (Stage.RECIPIENT, "452 4.3.1 disk full", TemporaryDeliveryError, "452 4.3.1"),
        (Stage.RECIPIENT, "421 4.7.28 rate limit", ThrottledError, "421 4.7.28"),
        (Stage.CONTENT, "550 no", MessageRejectedError, "550"),
        (Stage.CONTENT, "550 5.1.1 told late", DeadAddressError, "550 5.1.1"),
        (Stage.CONTENT, "554 5.6.0 bad content", MessageRejectedError, "554 5.6.0"),
        (Stage.CONTENT, "552 5.3.4 too big", MessageRejectedError, "552 5.3.4"),
        (Stage.SENDER, "550 5.1.8 bad sender domain", MessageRejectedError, "550 5.1.8"),
        (Stage.SENDER, "530 5.7.0 authentication required", MisconfiguredError, "530 5.7.0"),
        (Stage.CONNECT, "535 5.7.8 credentials", MisconfiguredError, "535 5.7.8"),
        (Stage.CONNECT, "454 4.7.0 not now", TemporaryDeliveryError, "454 4.7.0"),
        (Stage.CONNECT, "554 5.7.1 blocked", TemporaryDeliveryError, "554 5.7.1"),
        (Stage.CONTENT, "299 odd", TemporaryDeliveryError, "299"),
    ],
)
def test_a_reply_means_what_the_table_says(stage: Stage, reply: str, kind: type[DeliveryError], code: str) -> None:
    number, _, text = reply.partition(" ")

    error = refusal(stage, int(number), text.encode())

    assert (type(error), error.code) == (kind, code)


def test_a_busy_mailbox_is_left_alone_for_a_minute() -> None:
    assert refusal(Stage.RECIPIENT, 451, b"4.7.1 greylisted").retry_after == timedelta(minutes=1)
    assert refusal(Stage.RECIPIENT, 451, b"4.3.0 lookup failure").retry_after is None


def test_every_key_of_the_table_can_be_found() -> None:
    for key, kind in REFUSALS.items():
        *before, last = key.split()
        stage = Stage(before[0]) if before and before[0] in list(Stage) else Stage.SENDER
        code = next((part for part in (*before, last) if part.isdigit() and len(part) == 3), f"{last[0]}99")
        enhanced = last + ".99" * (2 - last.count(".")) if "." in last else ""

        assert type(refusal(stage, int(code), enhanced.encode())) is kind, key


@given(st.sampled_from(Stage), st.integers(-1, 999), st.binary())
def test_any_reply_becomes_an_error_that_quotes_nothing(stage: Stage, code: int, reply: bytes) -> None:
    told = refusal(stage, code, reply).code

    assert all(part.lstrip("-").replace(".", "").isdigit() for part in told.split())


def test_ids_differ_between_notifications() -> None:
    ids = {
        parsed(compose_mail(OutgoingMessage(uuid4(), 1, "a@b", "s", "t", None, "en"), SENDER, "a@b", NOW))["Message-ID"]
        for _ in range(2)
    }

    assert len(ids) == 2
