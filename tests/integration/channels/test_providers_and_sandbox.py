"""Providers against the servers that the demo uses, with wordings from the template files."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from carenotify.channels.base import OutgoingMessage
from carenotify.channels.email.smtp import SmtpProvider
from carenotify.channels.sms.twilio import TwilioProvider
from carenotify.domain.kinds import AppointmentLine, ReminderData
from carenotify.domain.notification import Channel
from carenotify.domain.wording import Hospital, render
from carenotify.errors import (
    AddressRejectedError,
    DeadAddressError,
    DeliveryError,
    MisconfiguredError,
    OptedOutError,
    TemporaryDeliveryError,
    ThrottledError,
)
from carenotify.sandbox.server import SandboxServer
from carenotify.templates import load_template_files

BERLIN = ZoneInfo("Europe/Berlin")
HOSPITAL = Hospital("Klinikum Nord", "+49 30 1234567", BERLIN)
DATA = ReminderData(
    given_name="Владимир",
    appointments=(AppointmentLine(start=datetime(2026, 11, 24, 9, 30, tzinfo=UTC), venue="Kardiologie <Haus B>"),),
)
ACCOUNT, TOKEN = "AC" + "0" * 32, "sandbox-token"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(reminder_day=date(2026, 11, 24), timezone=BERLIN) as server:
        yield server


@pytest.fixture
def twilio(sandbox: SandboxServer) -> Iterator[TwilioProvider]:
    provider = TwilioProvider(
        ACCOUNT, TOKEN, sender="+4930123456", base_url=sandbox.url, public_url=sandbox.url, timeout_seconds=5
    )
    yield provider
    provider.close()


@pytest.fixture
def smtp(sandbox: SandboxServer) -> Iterator[SmtpProvider]:
    provider = SmtpProvider(sandbox.smtp_url, "Klinikum Nord <info@klinikum.example>", timeout_seconds=5)
    yield provider
    provider.close()


def reminder(channel: Channel, to: str, language: str = "de") -> OutgoingMessage:
    wanted = ("reminder", channel, language)
    template = next(each for each in load_template_files() if (each.code, each.channel, each.language) == wanted)
    wording = render(template, DATA, hospital=HOSPITAL)
    return OutgoingMessage(uuid4(), 1, to, wording.subject, wording.text, wording.html, language)


def test_a_reminder_by_mail_arrives_as_it_was_worded(sandbox: SandboxServer, smtp: SmtpProvider) -> None:
    message = reminder(Channel.EMAIL, "anna@example.org")

    smtp.send(message)

    assert sandbox.counts()[str(message.notification_id)] == {"channel": "email", "times": 1}


def test_a_reminder_by_sms_arrives_as_it_was_worded(sandbox: SandboxServer, twilio: TwilioProvider) -> None:
    message = reminder(Channel.SMS, "+4915112345678")

    sid = twilio.send(message)

    (arrived,) = sandbox.ledger.messages("sms", notification_id=str(message.notification_id))
    assert (arrived["to"], arrived["body"], arrived["sid"]) == ("+4915112345678", message.text, sid)
    assert "Kardiologie <Haus B>" in message.text


@pytest.mark.parametrize(
    ("ending", "kind", "code"),
    [
        ("0001", DeadAddressError, "21211"),
        ("0002", OptedOutError, "21610"),
        ("0003", DeadAddressError, "21614"),
        ("0006", ThrottledError, "20429"),
        ("0007", TemporaryDeliveryError, "20500"),
        ("0013", AddressRejectedError, "21408"),
        ("0014", TemporaryDeliveryError, "20503"),
    ],
)
def test_numbers_that_fail_do_so_by_their_code(
    twilio: TwilioProvider, ending: str, kind: type[DeliveryError], code: str
) -> None:
    with pytest.raises(kind) as caught:
        twilio.send(reminder(Channel.SMS, "+491511234" + ending))

    assert caught.value.code == code
    assert caught.value.retry_after == (timedelta(seconds=1) if kind is ThrottledError else None)


@pytest.mark.parametrize("where", ["twilio", "mail"])
@pytest.mark.parametrize(("fault", "taken"), [("429", 0), ("500", 0), ("503", 0), ("cut", 0), ("accept-then-cut", 1)])
def test_a_fault_is_passing_and_nothing_is_sent_twice_behind_our_back(
    sandbox: SandboxServer, twilio: TwilioProvider, smtp: SmtpProvider, where: str, fault: str, taken: int
) -> None:
    provider, channel, to = {
        "twilio": (twilio, Channel.SMS, "+4915112345678"),
        "mail": (smtp, Channel.EMAIL, "anna@example.org"),
    }[where]
    message = reminder(channel, to)
    sandbox.faults.script(where, fault)

    with pytest.raises((TemporaryDeliveryError, ThrottledError)):
        provider.send(message)
    assert sandbox.counts().get(str(message.notification_id), {"times": 0})["times"] == taken
    provider.send(message)

    assert sandbox.counts()[str(message.notification_id)]["times"] == taken + 1


def test_a_wrong_token_is_passing_and_told_by_its_code(sandbox: SandboxServer) -> None:
    provider = TwilioProvider(ACCOUNT, "wrong", sender="+49", base_url=sandbox.url, public_url=sandbox.url)

    with pytest.raises(MisconfiguredError, match="20003"):
        provider.send(reminder(Channel.SMS, "+4915112345678"))

    provider.close()


def test_sixteen_threads_lose_and_double_nothing(
    sandbox: SandboxServer, twilio: TwilioProvider, smtp: SmtpProvider
) -> None:
    texts = [reminder(Channel.SMS, "+4915112345678") for _ in range(200)]
    mails = [reminder(Channel.EMAIL, "anna@example.org") for _ in range(200)]

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(twilio.send, texts))
        list(threads.map(smtp.send, mails))

    counts = sandbox.counts()
    assert {counts[str(message.notification_id)]["times"] for message in texts + mails} == {1}
