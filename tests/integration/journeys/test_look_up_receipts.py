"""Receipts that did not come are asked for, not too often, and given up in the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

import pytest

from carenotify.app import App
from carenotify.channels.base import Found
from carenotify.domain.notification import Channel
from carenotify.errors import DeliveryError, TemporaryDeliveryError
from carenotify.journeys.look_up_receipts import LookedUp, ReceiptLookUp
from tests.integration.journeys.test_record_receipt import TODAY, said
from tests.integration.ward import Hospital, ScriptedProvider, SetClock


@dataclass
class AskedProvider(ScriptedProvider):
    """Knows what became of messages; `found` may be None, or an error that is raised."""

    looks_up: ClassVar[bool] = True
    found: Found | DeliveryError | None = field(default_factory=lambda: Found("delivered", None))
    asked: Counter[str] = field(default_factory=Counter)

    def look_up(self, provider_message_id: str) -> Found | None:
        self.asked[provider_message_id] += 1
        if isinstance(self.found, DeliveryError):
            raise self.found
        return self.found


@pytest.fixture
def provider(app: App) -> AskedProvider:
    provider = AskedProvider(Channel.SMS, "twilio")
    app.__dict__["providers"] = {Channel.SMS: (provider,), Channel.EMAIL: app.providers[Channel.EMAIL]}
    return provider


@pytest.fixture
def look_up(app: App, provider: AskedProvider) -> ReceiptLookUp:
    return app.receipt_look_up


@pytest.fixture(params=[3])
def sent(app: App, hospital: Hospital, provider: AskedProvider, request: pytest.FixtureRequest) -> int:
    """Texts that the provider took."""
    for number in range(request.param):
        hospital.add_patient(f"p{number}", phone=f"+4915112345{number:03}", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}")
    app.reminder_planner.plan(TODAY)
    ids = [identity for (identity,) in hospital.query("SELECT id FROM notifications")]
    app.deliverer.record([app.deliverer.send(one) for one in app.deliverer.claim(ids)[0]])
    assert hospital.statuses() == {"sent": request.param}
    return int(request.param)


def pass_an_hour(look_up: ReceiptLookUp, clock: SetClock) -> None:
    clock.now += look_up.after


def test_nobody_is_asked_before_an_hour_is_over(
    look_up: ReceiptLookUp, provider: AskedProvider, clock: SetClock, sent: int
) -> None:
    clock.now += look_up.after - timedelta(seconds=1)
    assert look_up.look_up(Channel.SMS) == LookedUp()
    assert not provider.asked


def test_what_is_found_moves_the_notification(
    look_up: ReceiptLookUp, hospital: Hospital, clock: SetClock, sent: int
) -> None:
    pass_an_hour(look_up, clock)
    assert look_up.look_up(Channel.SMS) == LookedUp(asked=sent, moved=sent)
    assert hospital.statuses() == {"delivered": sent}
    assert look_up.look_up(Channel.SMS) == LookedUp()


def test_what_failed_is_known_by_its_code(
    look_up: ReceiptLookUp, provider: AskedProvider, hospital: Hospital, clock: SetClock, sent: int
) -> None:
    provider.found = Found("undelivered", "30005")
    pass_an_hour(look_up, clock)
    look_up.look_up(Channel.SMS)
    assert hospital.query("SELECT DISTINCT status, reason, error_code FROM notifications") == [
        ("failed", "address_rejected", "30005")
    ]
    assert hospital.query("SELECT count(*) FROM suppressions WHERE reason = 'rejected'") == [(sent,)]


@pytest.mark.parametrize("found", [None, Found("sent", None)], ids=["unknown", "still on its way"])
def test_what_is_silent_is_asked_for_once_an_hour(
    look_up: ReceiptLookUp,
    provider: AskedProvider,
    hospital: Hospital,
    clock: SetClock,
    sent: int,
    found: Found | None,
) -> None:
    provider.found = found
    for _ in range(3):
        pass_an_hour(look_up, clock)
        assert look_up.look_up(Channel.SMS) == LookedUp(asked=sent, moved=0)
        assert look_up.look_up(Channel.SMS) == LookedUp()
    assert set(provider.asked.values()) == {3}
    assert hospital.statuses() == {"sent": sent}


def test_when_the_provider_is_down_the_rest_waits_for_the_next_round(
    look_up: ReceiptLookUp, provider: AskedProvider, hospital: Hospital, clock: SetClock, sent: int
) -> None:
    provider.found = TemporaryDeliveryError("no-connection")
    pass_an_hour(look_up, clock)
    assert look_up.look_up(Channel.SMS) == LookedUp()
    assert provider.asked.total() == 1
    provider.found = Found("delivered", None)
    assert look_up.look_up(Channel.SMS) == LookedUp(asked=sent, moved=sent)


@pytest.mark.parametrize("sent", [130], indirect=True)
def test_a_round_asks_for_a_hundred(look_up: ReceiptLookUp, clock: SetClock, hospital: Hospital, sent: int) -> None:
    pass_an_hour(look_up, clock)
    assert [look_up.look_up(Channel.SMS).asked for _ in range(3)] == [100, 30, 0]


def test_what_has_its_receipt_is_not_asked_for(
    app: App, look_up: ReceiptLookUp, provider: AskedProvider, hospital: Hospital, clock: SetClock, sent: int
) -> None:
    ids = [identity for (identity,) in hospital.query("SELECT id FROM notifications")]
    app.receipt_recorder.record([said(identity, "delivered") for identity in ids])
    pass_an_hour(look_up, clock)
    assert look_up.look_up(Channel.SMS) == LookedUp()
    assert not provider.asked


def test_after_three_days_silence_is_an_answer(
    look_up: ReceiptLookUp, provider: AskedProvider, hospital: Hospital, clock: SetClock, sent: int
) -> None:
    clock.now += look_up.give_up_after - timedelta(seconds=1)
    assert look_up.close_silent() == 0
    clock.advance(seconds=1)
    assert look_up.close_silent() == sent
    assert look_up.close_silent() == 0
    assert look_up.look_up(Channel.SMS) == LookedUp()
    assert not provider.asked
    assert hospital.query("SELECT status, reason, count(*) FROM notifications GROUP BY 1, 2") == [
        ("sent", "no_receipt", sent)
    ]


def test_a_receipt_that_comes_after_all_still_moves_it(
    app: App, look_up: ReceiptLookUp, hospital: Hospital, clock: SetClock, sent: int
) -> None:
    clock.now += look_up.give_up_after
    look_up.close_silent()
    [(identity,)] = hospital.query("SELECT id FROM notifications LIMIT 1")
    app.receipt_recorder.record([said(identity, "delivered")])
    assert hospital.query("SELECT status, reason FROM notifications WHERE id = %s", identity) == [("delivered", None)]


def test_a_provider_that_cannot_be_asked_is_left_alone(
    look_up: ReceiptLookUp, app: App, hospital: Hospital, clock: SetClock
) -> None:
    hospital.add_patient(phone=None)
    hospital.add_appointment()
    app.reminder_planner.plan(TODAY)
    ids = [identity for (identity,) in hospital.query("SELECT id FROM notifications")]
    app.deliverer.record([app.deliverer.send(one) for one in app.deliverer.claim(ids)[0]])
    clock.now += look_up.give_up_after
    assert look_up.look_up(Channel.EMAIL) == LookedUp()
    assert look_up.close_silent() == 0
    assert hospital.statuses() == {"sent": 1}


def test_a_round_that_is_told_to_end_leaves_the_rest_to_the_next_one(
    look_up: ReceiptLookUp, provider: AskedProvider, clock: SetClock, sent: int
) -> None:
    pass_an_hour(look_up, clock)
    assert look_up.look_up(Channel.SMS, until=lambda: provider.asked.total() >= 1) == LookedUp(asked=1, moved=1)
    assert look_up.look_up(Channel.SMS) == LookedUp(asked=sent - 1, moved=sent - 1)
