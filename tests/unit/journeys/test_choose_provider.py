"""Which provider is chosen, given what is known of each."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from carenotify.domain.breaker import Breaker, BreakerState
from carenotify.domain.notification import Channel, Lane
from carenotify.domain.patient import Patient
from carenotify.journeys.choose_provider import ProviderChooser
from carenotify.storage.claims import Claim
from tests.integration.ward import NOON, ScriptedProvider, SetClock

FIRST, SECOND, MAIL = (
    ScriptedProvider(Channel.SMS, "first"),
    ScriptedProvider(Channel.SMS, "second"),
    ScriptedProvider(Channel.EMAIL, "mail"),
)
OPEN = Breaker(BreakerState.OPEN, failures=5, retry_at=NOON + timedelta(seconds=60), changed_at=NOON, last_code="500")
HALF_OPEN = replace(OPEN, state=BreakerState.HALF_OPEN)
JUST_BACK = Breaker(successes=2, changed_at=NOON)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def chooser(clock: SetClock) -> ProviderChooser:
    providers = {Channel.SMS: (FIRST, SECOND), Channel.EMAIL: (MAIL,)}
    return ProviderChooser(database=None, providers=providers, clock=clock)  # type: ignore[arg-type]


def claim(notification_id: UUID | None = None, last_provider: str | None = None) -> Claim:
    patient = Patient("anna", None, None)
    return Claim(
        notification_id or uuid4(),
        uuid4(),
        NOON,
        NOON,
        NOON,
        "reminder",
        Channel.SMS,
        Lane.LOW,
        1,
        patient,
        frozenset(),
        1,
        {},
        last_provider=last_provider,
    )


def chosen(chooser: ProviderChooser, asked: Claim) -> str | None:
    choice = chooser.choose(asked)
    return None if choice is None else choice.provider.name


@pytest.mark.parametrize(
    ("known", "last", "name"),
    [
        ({}, None, "first"),
        ({"first": OPEN}, None, "second"),
        ({"first": HALF_OPEN}, None, "second"),
        ({"second": OPEN}, None, "first"),
        ({"first": OPEN, "second": OPEN}, None, None),
        ({}, "first", "second"),
        ({}, "second", "first"),
        ({"second": OPEN}, "first", "first"),
    ],
)
def test_the_first_that_is_well_and_has_not_just_failed_this_message(
    chooser: ProviderChooser, known: dict[str, Breaker], last: str | None, name: str | None
) -> None:
    chooser.adopt(known)
    assert chosen(chooser, claim(last_provider=last)) == name


def test_one_that_came_back_gets_a_tenth_then_half_then_all(chooser: ProviderChooser, clock: SetClock) -> None:
    chooser.adopt({"first": JUST_BACK})
    claims = [claim(UUID(int=number)) for number in range(4_000)]
    for seconds, share in ((0, 0.1), (30, 0.55), (60, 1.0)):
        clock.now = NOON + timedelta(seconds=seconds)
        counted = Counter(chosen(chooser, one) for one in claims)
        assert counted["first"] / len(claims) == pytest.approx(share, abs=0.03)


def test_a_message_that_goes_to_the_one_that_came_back_does_so_from_then_on(
    chooser: ProviderChooser, clock: SetClock
) -> None:
    chooser.adopt({"first": JUST_BACK})
    claims = [claim() for _ in range(200)]
    early = [one for one in claims if chosen(chooser, one) == "first"]
    clock.advance(seconds=20)
    assert {chosen(chooser, one) for one in early} <= {"first"}


def test_most_messages_go_to_the_one_that_came_back_once_half_of_the_ramp_is_over(
    chooser: ProviderChooser, clock: SetClock
) -> None:
    assert chooser.mostly_used(Channel.SMS) == "first"
    chooser.adopt({"first": JUST_BACK})
    assert chooser.mostly_used(Channel.SMS) == "second"
    clock.advance(seconds=40)
    assert chooser.mostly_used(Channel.SMS) == "first"
    chooser.adopt({"first": OPEN, "second": OPEN})
    assert chooser.mostly_used(Channel.SMS) is None


def test_without_another_one_it_has_everything_at_once(chooser: ProviderChooser) -> None:
    chooser.adopt({"first": JUST_BACK, "second": OPEN})
    assert {chosen(chooser, claim()) for _ in range(100)} == {"first"}


def test_a_message_that_finds_nobody_comes_again_when_the_first_may_be_tried(
    chooser: ProviderChooser, clock: SetClock
) -> None:
    chooser.adopt({"first": OPEN, "second": replace(OPEN, retry_at=NOON + timedelta(seconds=20))})
    assert chooser.next_chance(Channel.SMS) == NOON + timedelta(seconds=20)
    clock.advance(seconds=45)
    assert chooser.next_chance(Channel.SMS) == clock.now + timedelta(seconds=1)


def test_a_channel_is_stopped_only_when_all_of_its_own_are_down(chooser: ProviderChooser) -> None:
    assert chooser.can_send(Channel.SMS)
    chooser.adopt({"first": OPEN, "mail": OPEN})
    assert (chooser.can_send(Channel.SMS), chooser.can_send(Channel.EMAIL)) == (True, False)
    chooser.adopt({"second": OPEN})
    assert not chooser.can_send(Channel.SMS)


def test_what_a_provider_did_not_take_can_go_to_another_that_is_well(chooser: ProviderChooser) -> None:
    assert chooser.has_another(than=FIRST)
    assert not chooser.has_another(than=MAIL)
    chooser.adopt({"second": OPEN})
    assert not chooser.has_another(than=FIRST)


def test_each_change_is_told_once_with_the_providers_code(
    chooser: ProviderChooser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for known in (OPEN, OPEN, HALF_OPEN, HALF_OPEN, JUST_BACK, JUST_BACK):
        chooser.adopt({"first": known})
    assert [(record.levelname, record.getMessage().split(":")[0]) for record in caplog.records] == [
        ("WARNING", "provider first is open after 500"),
        ("INFO", "provider first is half open"),
        ("INFO", "provider first is closed"),
    ]
