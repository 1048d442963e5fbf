from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from typing import Any
from uuid import UUID

import pytest
from scripted_aws import AwsServer, aws_environment, aws_server, mail_of
from scripted_servers import mail_server

from carenotify.channels.aws_codes import COMMON, AwsError, refusal
from carenotify.channels.base import OutgoingMessage
from carenotify.channels.email.ses import SesProvider
from carenotify.channels.email.ses_codes import REFUSALS
from carenotify.channels.email.smtp import SmtpProvider
from carenotify.errors import (
    DeliveryError,
    MessageRejectedError,
    NotTriedError,
    SettingsError,
    TemporaryDeliveryError,
    ThrottledError,
    UnconfirmedDeliveryError,
)

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
ID = UUID("018f0000-0000-7000-8000-000000000001")
SENDER = "Klinikum Süd <info@klinikum.example>"
MESSAGE = OutgoingMessage(ID, 1, "anna@bücher.example", "Ihr Termin, Änne", "Hällo €\n.\n", "<p>Hällo €</p>", "de")


@pytest.fixture
def server() -> Iterator[AwsServer]:
    with aws_server() as running:
        yield running


def provider_for(server: AwsServer, **settings: Any) -> SesProvider:
    with aws_environment(server.url):
        return SesProvider(SENDER, **settings, timeout_seconds=2, clock=lambda: NOW)


def test_a_call_carries_the_mail_its_receiver_and_our_id(server: AwsServer) -> None:
    provider = provider_for(server, configuration_set="hospital-events")

    given = provider.send(MESSAGE)

    ((action, parameters, headers),) = server.calls
    assert (action, given) == ("SendEmail", "ses-1")
    assert parameters["Destination"] == {"ToAddresses": ["anna@xn--bcher-kva.example"]}
    assert parameters["EmailTags"] == [{"Name": "notification_id", "Value": str(ID)}]
    assert parameters["ConfigurationSetName"] == "hospital-events"
    assert parameters.keys() == {"Destination", "Content", "EmailTags", "ConfigurationSetName"}
    assert "Credential=an-id/" in headers["Authorization"]
    assert "/eu-central-1/ses/" in headers["Authorization"]
    provider.close()


def test_without_a_configuration_set_none_is_told(server: AwsServer) -> None:
    provider = provider_for(server)

    provider.send(MESSAGE)

    assert "ConfigurationSetName" not in server.calls[0][1]
    provider.close()


def test_the_mail_is_the_one_that_smtp_sends(server: AwsServer) -> None:
    provider = provider_for(server)
    provider.send(MESSAGE)
    provider.close()
    with mail_server() as other:
        smtp = SmtpProvider(other.url, SENDER, clock=lambda: NOW)
        smtp.send(MESSAGE)
        smtp.close()

    by_ses, by_smtp = mail_of(server.calls[0][1]), other.mails[0].replace(b"\r\n..", b"\r\n.")
    assert by_ses.splitlines() == by_smtp.splitlines()
    mail = message_from_bytes(by_ses, policy=default)
    assert (mail["From"], mail["Subject"]) == (SENDER, MESSAGE.subject)
    assert mail["X-Carenotify-Notification-Id"] == str(ID)


def test_a_failed_call_is_not_repeated_behind_our_back(server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    provider = provider_for(server)
    for status, code in ((500, "InternalFailure"), (503, "ServiceUnavailable"), (429, "TooManyRequestsException")):
        server.refuse(status, code, "")
        with pytest.raises((TemporaryDeliveryError, ThrottledError)):
            provider.send(MESSAGE)

    assert len(server.calls) == 3
    provider.close()


def test_a_silent_server_holds_a_call_no_longer_than_its_time(server: AwsServer) -> None:
    server.body = "hang"
    with aws_environment(server.url):
        provider = SesProvider(SENDER, timeout_seconds=1)
    started = time.monotonic()

    with pytest.raises(UnconfirmedDeliveryError):
        provider.send(MESSAGE)

    assert time.monotonic() - started < 10  # botocore's own is a minute
    assert len(server.calls) == 1
    provider.close()


def test_after_its_deadline_nothing_is_handed_over(server: AwsServer) -> None:
    provider = provider_for(server)

    with pytest.raises(NotTriedError, match="too-slow"):
        provider.send(replace(MESSAGE, deadline=time.monotonic()))

    assert server.calls == []
    provider.close()


def test_how_long_to_wait_is_honoured(server: AwsServer) -> None:
    server.refuse(429, "TooManyRequestsException", "slow", **{"Retry-After": "7"})
    provider = provider_for(server)

    with pytest.raises(ThrottledError) as caught:
        provider.send(MESSAGE)

    assert caught.value.retry_after == timedelta(seconds=7)
    provider.close()


def test_connections_are_kept(server: AwsServer) -> None:
    provider = provider_for(server)
    for _ in range(20):
        provider.send(MESSAGE)

    assert server.connections == 1
    provider.close()


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ({"AWS_DEFAULT_REGION": ""}, "AWS_DEFAULT_REGION: is not set"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "AWS_ACCESS_KEY_ID: is not set"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "AWS_SECRET_ACCESS_KEY"),
        ({"AWS_PROFILE": "unknown-one"}, "unknown-one"),
        ({"AWS_ENDPOINT_URL": "nowhere"}, "AWS_ENDPOINT_URL: is not a URL"),
    ],
)
def test_what_is_missing_for_aws_is_named_at_the_start(missing: dict[str, str], named: str) -> None:
    with aws_environment("http://127.0.0.1:1", **missing), pytest.raises(SettingsError, match=named) as caught:
        SesProvider(SENDER)

    assert "a-secret" not in str(caught.value)


def test_a_wrong_sender_is_a_setting_to_correct() -> None:
    with aws_environment(), pytest.raises(SettingsError, match="CARENOTIFY_EMAIL_FROM"):
        SesProvider("nobody")


@pytest.mark.parametrize(("key", "kind"), REFUSALS.items())
def test_every_refusal_of_the_table_can_be_met(key: tuple[str, str], kind: type[DeliveryError]) -> None:
    code, words = key

    error = refusal(AwsError(400, code, f"Sorry: {words.upper()}!", {}), REFUSALS, NOW)

    assert (type(error), error.code) == (kind, f"{code}: {words}" if words else code)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (0, TemporaryDeliveryError),
        (302, TemporaryDeliveryError),
        (400, MessageRejectedError),
        (403, TemporaryDeliveryError),
        (429, ThrottledError),
        (500, TemporaryDeliveryError),
        (502, UnconfirmedDeliveryError),
        (503, TemporaryDeliveryError),
        (504, UnconfirmedDeliveryError),
    ],
)
@pytest.mark.parametrize("code", ["SomethingNew", "", "502", "Anna Muster", "x" * 100])
def test_an_unknown_code_is_judged_by_the_status(status: int, kind: type[DeliveryError], code: str) -> None:
    error = refusal(AwsError(status, code, "no", {}), COMMON, NOW)

    assert (type(error), error.code) == (kind, code if code == "SomethingNew" else f"http-{status}")


def test_an_answer_shows_nothing_of_its_text() -> None:
    assert "anna" not in repr(AwsError(400, "MessageRejected", "anna@example.org", {"Via": "anna"}))
