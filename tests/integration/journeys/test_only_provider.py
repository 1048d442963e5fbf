"""A channel's only provider comes back sooner than one for which another stands in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from carenotify.app import App
from carenotify.domain import delivery
from carenotify.domain.delivery import Attempt
from carenotify.domain.notification import Channel
from carenotify.errors import TemporaryDeliveryError
from carenotify.journeys.choose_provider import ProviderChooser
from tests.integration.ward import Hospital, ScriptedProvider, SetClock

TWO = (ScriptedProvider(Channel.SMS, "twilio"), ScriptedProvider(Channel.SMS, "sns"))


def fail(app: App, chooser: ProviderChooser, clock: SetClock, *, trial: bool = False) -> None:
    """One message more that the first SMS provider does not take."""
    attempt = Attempt(uuid4(), uuid4(), 1, "twilio", trial=trial)
    outcome = delivery.refused(attempt, TemporaryDeliveryError("503"), to="+4915112345678", now=clock.now)
    with app.database.transaction() as transaction:
        found = chooser.learn(transaction, [outcome])
    chooser.adopt(found)


def waits(app: App, clock: SetClock, providers: Sequence[ScriptedProvider]) -> list[timedelta]:
    """How long the first is left alone when it opens, and after each of two trials that fail."""
    chooser = ProviderChooser(database=app.database, providers={Channel.SMS: tuple(providers)}, clock=clock)
    for _ in range(5):
        fail(app, chooser, clock)
    found = []
    for _ in range(3):
        breaker = chooser.breaker("twilio")
        assert breaker.retry_at is not None
        found.append(breaker.retry_at - clock.now)
        clock.now = breaker.retry_at
        known = breaker.trial(now=clock.now)
        assert known is not None
        with app.database.transaction() as transaction:
            transaction.execute("UPDATE provider_states SET state = 'half_open' WHERE provider = 'twilio'")
        chooser.adopt({"twilio": known})
        fail(app, chooser, clock, trial=True)
    return found


@pytest.mark.parametrize(("providers", "seconds"), [(TWO[:1], [5, 10, 20]), (TWO, [60, 60, 60])])
def test_a_provider_is_left_alone_for_a_minute_and_the_only_one_of_its_channel_for_less(
    app: App, clock: SetClock, providers: Sequence[ScriptedProvider], seconds: Sequence[int]
) -> None:
    assert waits(app, clock, providers) == [timedelta(seconds=one) for one in seconds]


def test_a_message_that_was_the_trial_of_the_only_provider_is_due_for_the_next_one(
    app: App, hospital: Hospital, clock: SetClock
) -> None:
    only = ScriptedProvider(Channel.SMS, "twilio", script=lambda _: TemporaryDeliveryError("503"))
    chooser = ProviderChooser(database=app.database, providers={Channel.SMS: (only,)}, clock=clock)
    for _ in range(5):
        fail(app, chooser, clock)
    hospital.add_patient("anna", mail=None)
    hospital.add_appointment("a1", "anna")
    app.reminder_planner.plan(clock.now.date())
    clock.advance(seconds=6)
    chooser.follow()
    deliverer = replace(app.deliverer, chooser=chooser)
    [claim], _ = deliverer.claim([row[0] for row in hospital.query("SELECT id FROM notifications")])
    outcome = deliverer.send(claim)
    deliverer.record([outcome])
    assert (outcome.reason, outcome.attempts) == ("provider_down", 0)
    assert outcome.due_at == chooser.breaker("twilio").retry_at == clock.now + timedelta(seconds=10)


def test_one_message_that_fails_again_and_again_leaves_the_way_open_for_others(
    app: App, hospital: Hospital, clock: SetClock
) -> None:
    only = ScriptedProvider(Channel.SMS, "twilio", script=lambda _: TemporaryDeliveryError("30008"))
    chooser = ProviderChooser(database=app.database, providers={Channel.SMS: (only,)}, clock=clock)
    deliverer = replace(app.deliverer, chooser=chooser)
    hospital.add_patient("anna", mail=None)
    hospital.add_appointment("a1", "anna")
    app.reminder_planner.plan(clock.now.date())
    for _ in range(6):
        [claim], _ = deliverer.claim([row[0] for row in hospital.query("SELECT id FROM notifications")])
        deliverer.record([deliverer.send(claim)])
        clock.advance(seconds=40)
    assert hospital.query("SELECT status, attempts FROM notifications") == [("failed", 6)]
    assert chooser.breaker("twilio").closed
