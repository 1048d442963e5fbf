"""What every provider promises (channels/base.py), whatever the world does to it. A new provider is one entry here."""

from __future__ import annotations

import logging
import socket
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from scripted_aws import ASKED, AwsServer, aws_environment, aws_server
from scripted_servers import CUT, HANG, MailServer, TwilioServer, mail_server, twilio_server

from carenotify.channels.base import OutgoingMessage, Provider
from carenotify.channels.email.ses import SesProvider
from carenotify.channels.email.smtp import SmtpProvider
from carenotify.channels.sms.sns import SnsProvider
from carenotify.channels.sms.twilio import TwilioProvider
from carenotify.errors import (
    AddressRejectedError,
    BusyAddressError,
    DeadAddressError,
    DeliveryError,
    MessageRejectedError,
    MisconfiguredError,
    OptedOutError,
    TemporaryDeliveryError,
    ThrottledError,
    UnconfirmedDeliveryError,
)

# How long an answer is waited for: where one comes, as long as a busy machine takes for it; where none comes, it is
# much longer than all that goes before.
PATIENT_SECONDS = 30.0
SHORT_SECONDS = 1.0
PERSONAL = ("anna.muster", "+4915112345678", "15112345678", "Annabella", "Oncology")


def smtp(url: str, timeout_seconds: float) -> Provider:
    return SmtpProvider(url, "Hospital <info@hospital.example>", timeout_seconds=timeout_seconds)


def twilio(url: str, timeout_seconds: float) -> Provider:
    return TwilioProvider(
        "AC" + "0" * 32,
        "token",
        sender="+4930123456",
        base_url=url,
        public_url="https://hospital.example",
        timeout_seconds=timeout_seconds,
    )


def ses(url: str, timeout_seconds: float) -> Provider:
    with aws_environment(url):
        return SesProvider("Hospital <info@hospital.example>", timeout_seconds=timeout_seconds)


def sns(url: str, timeout_seconds: float) -> Provider:
    with aws_environment(url):
        return SnsProvider(timeout_seconds=timeout_seconds)


@dataclass(frozen=True)
class Case:
    """A provider, the server it talks to, and the address that it is given."""

    make: Callable[[str, float], Provider]
    server: Callable[[], Any]
    to: str
    nowhere: str


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


PROVIDERS = {
    "smtp": Case(smtp, mail_server, "anna.muster@example.org", "smtp://127.0.0.1:"),
    "ses": Case(ses, aws_server, "anna.muster@example.org", "http://127.0.0.1:"),
    "twilio": Case(twilio, twilio_server, "+4915112345678", "http://127.0.0.1:"),
    "sns": Case(sns, aws_server, "+4915112345678", "http://127.0.0.1:"),
}


def script(**replies: str) -> Callable[[MailServer], None]:
    return lambda server: server.script.update(replies)


def answer(status: int, code: int, **headers: str) -> Callable[[TwilioServer], None]:
    return lambda server: server.refuse(status, code, "+4915112345678 (Annabella) will not do", **headers)


def body(status: int, text: str) -> Callable[[TwilioServer | AwsServer], None]:
    def behave(server: TwilioServer | AwsServer) -> None:
        server.status, server.body = status, text

    return behave


def aws(status: int, code: str, words: str = "", *, at: str = "") -> Callable[[AwsServer], None]:
    def behave(server: AwsServer) -> None:
        server.at = at
        server.refuse(status, code, f"anna.muster@example.org, +4915112345678 (Annabella): {words}")

    return behave


def asked(behave: Callable[[AwsServer], None]) -> Callable[[AwsServer], None]:
    """The same when SNS is asked whether the number has opted out, and nothing was handed over yet."""

    def at_the_question(server: AwsServer) -> None:
        behave(server)
        server.at = ASKED

    return at_the_question


def opted_out(server: AwsServer) -> None:
    server.opted_out.add("+4915112345678")


ECHO = "<anna.muster@example.org> Annabella, Oncology"
FAILURES: list[tuple[str, str, Callable[[Any], None], type[DeliveryError], str]] = [
    ("smtp", "address unknown", script(RCPT=f"550 5.1.1 {ECHO}"), DeadAddressError, "550 5.1.1"),
    ("smtp", "address refused, old server", script(RCPT=f"550 {ECHO}"), AddressRejectedError, "550"),
    ("smtp", "mailbox busy", script(RCPT=f"450 4.2.1 {ECHO}"), BusyAddressError, "450 4.2.1"),
    ("smtp", "greylisted", script(RCPT=f"451 4.7.1 {ECHO}"), BusyAddressError, "451 4.7.1"),
    ("smtp", "rate limit", script(MAIL=f"451 4.7.1 {ECHO}"), ThrottledError, "451 4.7.1"),
    ("smtp", "content refused", script(CONTENT=f"554 5.7.1 {ECHO}"), MessageRejectedError, "554 5.7.1"),
    ("smtp", "too large", script(CONTENT="552 too large"), MessageRejectedError, "552"),
    ("smtp", "no DATA", script(DATA="451 4.3.0 try later"), TemporaryDeliveryError, "451 4.3.0"),
    ("smtp", "our sender refused", script(MAIL="550 who are you"), MessageRejectedError, "550"),
    ("smtp", "we have to log in", script(MAIL="530 5.7.0 log in"), MisconfiguredError, "530 5.7.0"),
    ("smtp", "no service", script(HELLO="554 no SMTP here"), TemporaryDeliveryError, "554"),
    ("smtp", "too many connections", script(HELLO="421 4.7.0 slow down"), ThrottledError, "421 4.7.0"),
    ("smtp", "shutting down", script(HELLO="421 4.3.2 going"), TemporaryDeliveryError, "421 4.3.2"),
    ("smtp", "cut at once", script(HELLO=CUT), TemporaryDeliveryError, "connection-cut"),
    ("smtp", "silent at once", script(HELLO=HANG), TemporaryDeliveryError, "timeout"),
    ("smtp", "cut at RCPT", script(RCPT=CUT), TemporaryDeliveryError, "connection-cut"),
    ("smtp", "silent at RCPT", script(RCPT=HANG), TemporaryDeliveryError, "timeout"),
    ("smtp", "cut after the last dot", script(CONTENT=CUT), UnconfirmedDeliveryError, "unconfirmed"),
    ("smtp", "silent after the last dot", script(CONTENT=HANG), UnconfirmedDeliveryError, "unconfirmed"),
    ("smtp", "nonsense", script(MAIL="<html>hello</html>"), TemporaryDeliveryError, "-1"),
    ("smtp", "nonsense at once", script(HELLO="HTTP/1.1 400 Bad Request"), TemporaryDeliveryError, "-1"),
    ("twilio", "no number", answer(400, 21211), DeadAddressError, "21211"),
    ("twilio", "landline", answer(400, 21614), DeadAddressError, "21614"),
    ("twilio", "opted out", answer(400, 21610), OptedOutError, "21610"),
    ("twilio", "too long", answer(400, 21617), MessageRejectedError, "21617"),
    ("twilio", "another reason", answer(400, 29999), MessageRejectedError, "29999"),
    ("twilio", "too fast", answer(429, 20429), ThrottledError, "20429"),
    ("twilio", "too fast for the proxy", body(429, "slow down"), ThrottledError, "http-429"),
    ("twilio", "wrong token", answer(401, 20003), MisconfiguredError, "20003"),
    ("twilio", "queue overflow", answer(400, 30001), TemporaryDeliveryError, "30001"),
    ("twilio", "broken", answer(500, 20500), TemporaryDeliveryError, "20500"),
    ("twilio", "broken, unknown code", answer(503, 29998), TemporaryDeliveryError, "29998"),
    ("twilio", "bad gateway", body(502, "<html>Annabella</html>"), UnconfirmedDeliveryError, "http-502"),
    ("twilio", "not Twilio", body(404, "<html>no such page</html>"), TemporaryDeliveryError, "http-404"),
    ("twilio", "elsewhere", body(302, ""), UnconfirmedDeliveryError, "unreadable-answer"),
    ("twilio", "HTML as a success", body(200, "<html>Annabella</html>"), UnconfirmedDeliveryError, "unreadable-answer"),
    ("twilio", "list as a success", body(201, "[1]"), UnconfirmedDeliveryError, "unreadable-answer"),
    ("twilio", "no id", body(201, "{}"), UnconfirmedDeliveryError, "unreadable-answer"),
    ("twilio", "cut", body(201, CUT), UnconfirmedDeliveryError, "connection-cut"),
    ("twilio", "silent", body(201, HANG), UnconfirmedDeliveryError, "timeout"),
    (
        "ses",
        "cannot be read as an address",
        aws(400, "BadRequestException", "Missing final '@domain'"),
        DeadAddressError,
        "BadRequestException: final '@domain'",
    ),
    (
        "ses",
        "suppressed",
        aws(400, "MessageRejected", "Address is on the suppression list"),
        DeadAddressError,
        "MessageRejected: suppression list",
    ),
    (
        "ses",
        "unsubscribed",
        aws(400, "MessageRejected", "has unsubscribed from this topic"),
        OptedOutError,
        "MessageRejected: unsubscribed",
    ),
    ("ses", "virus", aws(400, "MessageRejected"), MessageRejectedError, "MessageRejected"),
    ("ses", "bad mail", aws(400, "BadRequestException"), MessageRejectedError, "BadRequestException"),
    (
        "ses",
        "sender not verified",
        aws(400, "MessageRejected", "Email address is not verified."),
        MisconfiguredError,
        "MessageRejected: not verified",
    ),
    ("ses", "account paused", aws(400, "SendingPausedException"), MisconfiguredError, "SendingPausedException"),
    ("ses", "no such configuration set", aws(404, "NotFoundException"), MisconfiguredError, "NotFoundException"),
    ("ses", "wrong key", aws(403, "UnrecognizedClientException"), MisconfiguredError, "UnrecognizedClientException"),
    (
        "ses",
        "day's quota spent",
        aws(429, "TooManyRequestsException", "Daily message quota exceeded"),
        MisconfiguredError,
        "TooManyRequestsException: daily message quota",
    ),
    (
        "ses",
        "too fast",
        aws(429, "TooManyRequestsException", "Maximum sending rate exceeded."),
        ThrottledError,
        "TooManyRequestsException",
    ),
    ("ses", "too fast, old word", aws(400, "ThrottlingException"), ThrottledError, "ThrottlingException"),
    ("ses", "broken", aws(500, "InternalFailure"), TemporaryDeliveryError, "InternalFailure"),
    ("ses", "broken, unknown code", aws(503, "SomethingNew"), TemporaryDeliveryError, "SomethingNew"),
    ("ses", "unknown code", aws(400, "SomethingNew"), MessageRejectedError, "SomethingNew"),
    ("ses", "code that is none", aws(400, "Sorry, Annabella!"), MessageRejectedError, "http-400"),
    ("ses", "bad gateway", body(502, "<html>Annabella</html>"), UnconfirmedDeliveryError, "http-502"),
    ("ses", "empty bad gateway", body(504, ""), UnconfirmedDeliveryError, "http-504"),
    ("ses", "unavailable", body(503, "<html>Annabella</html>"), TemporaryDeliveryError, "http-503"),
    ("ses", "not SES", body(404, "<html>no such page</html>"), TemporaryDeliveryError, "http-404"),
    ("ses", "elsewhere", body(302, ""), TemporaryDeliveryError, "http-302"),
    ("ses", "HTML as a success", body(200, "<html>Annabella</html>"), UnconfirmedDeliveryError, "unreadable-answer"),
    ("ses", "list as a success", body(200, "[1]"), UnconfirmedDeliveryError, "unreadable-answer"),
    ("ses", "half an answer", body(200, '{"MessageId": "se'), UnconfirmedDeliveryError, "unreadable-answer"),
    ("ses", "no id", body(200, "{}"), UnconfirmedDeliveryError, "unreadable-answer"),
    ("ses", "cut", body(200, CUT), UnconfirmedDeliveryError, "connection-cut"),
    ("ses", "silent", body(200, HANG), UnconfirmedDeliveryError, "timeout"),
    (
        "sns",
        "no number",
        aws(400, "InvalidParameter", "Invalid parameter: PhoneNumber Reason: not valid"),
        AddressRejectedError,
        "InvalidParameter: phonenumber",
    ),
    ("sns", "opted out", opted_out, OptedOutError, "opted-out"),
    ("sns", "opted out meanwhile", aws(400, "OptedOut"), OptedOutError, "OptedOut"),
    (
        "sns",
        "too long",
        aws(400, "InvalidParameter", "Invalid parameter: Message too long"),
        MessageRejectedError,
        "InvalidParameter",
    ),
    (
        "sns",
        "wrong sender",
        aws(400, "InvalidParameter", "Invalid parameter: OriginationNumber"),
        MisconfiguredError,
        "InvalidParameter: originationnumber",
    ),
    ("sns", "not allowed", aws(403, "AuthorizationError"), MisconfiguredError, "AuthorizationError"),
    ("sns", "wrong key", aws(403, "InvalidClientTokenId"), MisconfiguredError, "InvalidClientTokenId"),
    ("sns", "too fast", aws(400, "Throttling", "Rate exceeded"), ThrottledError, "Throttling"),
    ("sns", "too fast, other word", aws(429, "Throttled"), ThrottledError, "Throttled"),
    ("sns", "broken", aws(500, "InternalError"), TemporaryDeliveryError, "InternalError"),
    ("sns", "unavailable", body(503, "<html>Annabella</html>"), TemporaryDeliveryError, "http-503"),
    ("sns", "bad gateway", body(502, ""), UnconfirmedDeliveryError, "http-502"),
    ("sns", "nonsense as an error", body(400, "Annabella?"), UnconfirmedDeliveryError, "unreadable-answer"),
    ("sns", "JSON as a success", body(200, '{"MessageId": "1"}'), UnconfirmedDeliveryError, "unreadable-answer"),
    ("sns", "half an answer", body(200, "<PublishResponse><PublishRes"), UnconfirmedDeliveryError, "unreadable-answer"),
    ("sns", "other XML", body(200, "<html>Annabella</html>"), UnconfirmedDeliveryError, "unreadable-answer"),
    ("sns", "cut", body(200, CUT), UnconfirmedDeliveryError, "connection-cut"),
    ("sns", "silent", body(200, HANG), UnconfirmedDeliveryError, "timeout"),
    ("sns", "cut when asked", asked(body(200, CUT)), TemporaryDeliveryError, "connection-cut"),
    ("sns", "silent when asked", asked(body(200, HANG)), TemporaryDeliveryError, "timeout"),
    ("sns", "nonsense when asked", asked(body(200, "<html/>")), TemporaryDeliveryError, "unreadable-answer"),
    ("sns", "gateway when asked", asked(body(502, "")), TemporaryDeliveryError, "http-502"),
    ("sns", "too fast when asked", aws(429, "Throttled", at=ASKED), ThrottledError, "Throttled"),
    ("sns", "not allowed to ask", aws(403, "AuthorizationError", at=ASKED), MisconfiguredError, "AuthorizationError"),
]


def message(to: str) -> OutgoingMessage:
    return OutgoingMessage(
        notification_id=uuid4(),
        attempt=1,
        to=to,
        subject="Annabella, your appointment",
        text="Hello Annabella, Oncology at 10:30",
        html="<p>Hello Annabella, Oncology at 10:30</p>",
        language="en",
    )


@contextmanager
def at_work(name: str, *, timeout_seconds: float = PATIENT_SECONDS) -> Iterator[tuple[Provider, Any]]:
    case = PROVIDERS[name]
    with case.server() as server:
        provider = case.make(server.url, timeout_seconds)
        try:
            yield provider, server
        finally:
            provider.close()


def everything_said(error: BaseException, log: pytest.LogCaptureFixture) -> str:
    told = [str(error), repr(error), *traceback.format_exception(error)]
    return "\n".join(told + [record.getMessage() + str(record.exc_text) for record in log.records])


@pytest.mark.parametrize("name", PROVIDERS)
def test_an_accepted_message_has_an_id(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with at_work(name) as (provider, _):
        sent = provider.send(message(PROVIDERS[name].to))

    assert sent
    assert not [word for word in PERSONAL for record in caplog.records if word in record.getMessage()]


@pytest.mark.parametrize(
    ("name", "what", "behave", "kind", "code"), FAILURES, ids=[f"{name}: {what}" for name, what, *_ in FAILURES]
)
def test_a_failure_is_ours_by_kind_and_code_and_tells_nothing_of_the_patient(
    name: str,
    what: str,
    behave: Callable[[Any], None],
    kind: type[DeliveryError],
    code: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    timeout_seconds = SHORT_SECONDS if what.startswith("silent") else PATIENT_SECONDS
    with at_work(name, timeout_seconds=timeout_seconds) as (provider, server):
        behave(server)
        with pytest.raises(DeliveryError) as caught:
            provider.send(message(PROVIDERS[name].to))

    assert (type(caught.value), caught.value.code) == (kind, code)
    said = everything_said(caught.value, caplog)
    assert not [word for word in PERSONAL if word in said]


@pytest.mark.parametrize("name", PROVIDERS)
def test_nobody_there_is_temporary(name: str) -> None:
    provider = PROVIDERS[name].make(PROVIDERS[name].nowhere + str(closed_port()), PATIENT_SECONDS)

    with pytest.raises(TemporaryDeliveryError) as caught:
        provider.send(message(PROVIDERS[name].to))

    assert caught.value.code in ("connection-refused", "no-connection")
    provider.close()


@pytest.mark.parametrize("name", PROVIDERS)
def test_sixteen_threads_share_one_provider(name: str) -> None:
    with at_work(name) as (provider, server), ThreadPoolExecutor(16) as threads:
        ids = list(threads.map(lambda _: provider.send(message(PROVIDERS[name].to)), range(320)))

        assert len(set(ids)) == 320
        assert server.connections <= 32


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("used", [True, False])
def test_closing_twice_is_closing_once(name: str, used: bool) -> None:
    with at_work(name) as (provider, _):
        if used:
            provider.send(message(PROVIDERS[name].to))
        provider.close()
        provider.close()


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("to", ["", " ", "a\r\nb@example.org", "\0", "\N{GRINNING FACE}", "@", "\ud800@example.org"])
def test_any_address_is_taken_or_refused_as_ours(name: str, to: str) -> None:
    with at_work(name) as (provider, _):
        try:
            provider.send(message(to))
        except DeliveryError:
            return
        assert name == "twilio"  # only the server knows what a number is


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_works_again_after_a_failure(name: str) -> None:
    failing = next(behave for provider, _, behave, _, _ in FAILURES if provider == name)
    with at_work(name) as (provider, server):
        failing(server)
        with pytest.raises(DeliveryError):
            provider.send(message(PROVIDERS[name].to))
        server.recover()

        assert provider.send(message(PROVIDERS[name].to))
        assert server.connections == 1
