from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from scripted_aws import ASKED, AwsServer, aws_environment, aws_server

from carenotify.channels.aws_codes import AwsError, refusal
from carenotify.channels.base import OutgoingMessage
from carenotify.channels.sms.sns import SnsProvider
from carenotify.channels.sms.sns_codes import REFUSALS
from carenotify.domain.clock import system_clock
from carenotify.errors import (
    AddressRejectedError,
    DeliveryError,
    MessageRejectedError,
    NotTriedError,
    OptedOutError,
    SettingsError,
    TemporaryDeliveryError,
)

ID = UUID("018f0000-0000-7000-8000-000000000001")
MESSAGE = OutgoingMessage(ID, 1, "+4915112345678", None, "Hällo & welcome €", None, "en")


@pytest.fixture
def server() -> Iterator[AwsServer]:
    with aws_server() as running:
        yield running


def provider_for(server: AwsServer, **settings: Any) -> SnsProvider:
    with aws_environment(server.url):
        return SnsProvider(**settings, timeout_seconds=2)


def attributes(call: dict[str, Any]) -> dict[str, str]:
    start = "MessageAttributes.entry."
    numbers = {key.removeprefix(start).partition(".")[0] for key in call if key.startswith(start)}
    return {call[f"{start}{number}.Name"]: call[f"{start}{number}.Value.StringValue"] for number in numbers}


def test_a_call_carries_text_number_and_our_id(server: AwsServer) -> None:
    provider = provider_for(server)

    given = provider.send(MESSAGE)

    (call,) = server.handed_over
    assert (call["Action"], call["PhoneNumber"], call["Message"]) == ("Publish", "+4915112345678", MESSAGE.text)
    assert attributes(call) == {"AWS.SNS.SMS.SMSType": "Transactional", "notification_id": str(ID)}
    assert given == "sns-2"
    provider.close()


@pytest.mark.parametrize(
    ("sender", "attribute"),
    [("+4930123456", "AWS.MM.SMS.OriginationNumber"), ("Klinikum-1", "AWS.SNS.SMS.SenderID")],
)
def test_a_sender_is_told_as_a_number_or_as_a_name(server: AwsServer, sender: str, attribute: str) -> None:
    provider = provider_for(server, sender=sender)

    provider.send(MESSAGE)

    assert attributes(server.handed_over[0])[attribute] == sender
    provider.close()


@pytest.mark.parametrize("sender", ["", "12345", "much-too-long-a-name", "Süd", "a b", "+49 30 123456"])
def test_a_wrong_sender_is_a_setting_to_correct(sender: str) -> None:
    with aws_environment(), pytest.raises(SettingsError, match="CARENOTIFY_SNS_FROM"):
        SnsProvider(sender=sender)


def test_nothing_is_texted_to_a_number_that_has_said_stop(server: AwsServer) -> None:
    """SNS itself would take the text, and drop it without a word."""
    server.opted_out.add(MESSAGE.to)
    provider = provider_for(server)

    with pytest.raises(OptedOutError):
        provider.send(MESSAGE)

    assert server.handed_over == []
    provider.close()


@pytest.mark.parametrize("fault", ["cut", "<html/>"])
def test_when_nobody_can_say_whether_somebody_has_said_stop_nothing_is_texted(server: AwsServer, fault: str) -> None:
    server.at, server.body = ASKED, fault
    provider = provider_for(server)

    with pytest.raises(TemporaryDeliveryError) as caught:
        provider.send(MESSAGE)

    assert type(caught.value) is TemporaryDeliveryError
    assert server.handed_over == []
    provider.close()


@pytest.mark.parametrize("to", ["4915112345678", "+49 151 12345678", "+0151123456", "+49151", "+" + "4" * 16])
def test_what_is_no_number_is_not_even_asked_about(server: AwsServer, to: str) -> None:
    provider = provider_for(server)

    with pytest.raises(AddressRejectedError):
        provider.send(replace(MESSAGE, to=to))

    assert server.calls == []
    provider.close()


def test_a_text_that_cannot_be_encoded_is_its_own_fault(server: AwsServer) -> None:
    provider = provider_for(server)

    with pytest.raises(MessageRejectedError, match="unsendable"):
        provider.send(replace(MESSAGE, text="\ud800"))

    assert server.handed_over == []
    provider.close()


def test_after_its_deadline_nothing_is_handed_over(server: AwsServer) -> None:
    provider = provider_for(server)

    with pytest.raises(NotTriedError, match="too-slow"):
        provider.send(replace(MESSAGE, deadline=time.monotonic()))

    assert server.handed_over == []
    provider.close()


def test_a_failed_call_is_not_repeated_behind_our_back(server: AwsServer) -> None:
    server.refuse(503, "ServiceUnavailable", "")
    provider = provider_for(server)

    with pytest.raises(TemporaryDeliveryError):
        provider.send(MESSAGE)

    assert len(server.handed_over) == 1
    provider.close()


@pytest.mark.parametrize(("key", "kind"), REFUSALS.items())
def test_every_refusal_of_the_table_can_be_met(key: tuple[str, str], kind: type[DeliveryError]) -> None:
    code, words = key

    error = refusal(AwsError(400, code, f"Sorry: {words.upper()}!", {}), REFUSALS, system_clock())

    assert (type(error), error.code) == (kind, f"{code}: {words}" if words else code)
