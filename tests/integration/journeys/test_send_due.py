"""Delivering without the broker."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from carenotify.app import App
from carenotify.domain.notification import Channel
from carenotify.domain.token_bucket import Rate
from carenotify.errors import TemporaryDeliveryError
from carenotify.journeys.pace_sending import UNPACED, SharedPace
from carenotify.storage import pauses
from tests.integration.ward import Hospital, ScriptedProvider, SetClock


@pytest.fixture
def sms(app: App) -> ScriptedProvider:
    [provider] = app.providers[Channel.SMS]
    assert isinstance(provider, ScriptedProvider)
    return provider


def plan(app: App, hospital: Hospital, patients: int) -> None:
    for number in range(patients):
        hospital.add_patient(f"p{number}", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}")
    app.reminder_planner.plan(app.clock().date())


def test_what_is_due_is_delivered_once_and_nothing_is_left(app: App, hospital: Hospital, sms: ScriptedProvider) -> None:
    plan(app, hospital, patients=100)
    hospital.query("UPDATE notifications SET status = 'queued' WHERE id < %s RETURNING 1", _middle(hospital))
    assert app.due_sender.send_due(Channel.SMS, UNPACED) == Counter(sent=100)
    assert set(sms.times.values()) == {1}
    assert app.due_sender.send_due(Channel.SMS, UNPACED) == Counter()
    assert app.due_sender.send_due(Channel.EMAIL, UNPACED) == Counter()


def _middle(hospital: Hospital) -> object:
    return hospital.query("SELECT id FROM notifications ORDER BY id OFFSET 50 LIMIT 1")[0][0]


def test_urgent_ones_go_first(app: App, hospital: Hospital, sms: ScriptedProvider) -> None:
    plan(app, hospital, patients=40)
    urgent = hospital.query("SELECT id FROM notifications ORDER BY id DESC LIMIT 5")
    hospital.query("UPDATE notifications SET lane = 'high' WHERE id = ANY(%s) RETURNING 1", [row[0] for row in urgent])
    app.due_sender.send_due(Channel.SMS, UNPACED)
    assert {message.notification_id for message in sms.taken[:5]} == {row[0] for row in urgent}


def test_a_passing_failure_is_left_for_later_and_a_pause_is_obeyed(
    app: App, hospital: Hospital, sms: ScriptedProvider, clock: SetClock
) -> None:
    plan(app, hospital, patients=3)
    sms.script = lambda _: TemporaryDeliveryError("503")
    assert app.due_sender.send_due(Channel.SMS, UNPACED) == Counter(pending=3)
    sms.script = lambda _: None
    clock.advance(seconds=3)
    with app.database.transaction() as transaction:
        pauses.pause(transaction, Channel.SMS, by="a test", now=clock.now)
    assert app.due_sender.send_due(Channel.SMS, UNPACED) == Counter()
    with app.database.transaction() as transaction:
        pauses.resume(transaction, None)
    assert app.due_sender.send_due(Channel.SMS, UNPACED) == Counter(sent=3)


def test_what_others_hold_is_left_to_them(app: App, hospital: Hospital, sms: ScriptedProvider) -> None:
    plan(app, hospital, patients=2)
    ids = [row[0] for row in hospital.query("SELECT id FROM notifications")]
    app.deliverer.claim(ids[:1])
    assert app.due_sender.send_due(Channel.SMS, UNPACED) == Counter(sent=1)


def test_the_provider_is_given_no_more_than_its_pace(app: App, hospital: Hospital, sms: ScriptedProvider) -> None:
    plan(app, hospital, patients=30)
    pace = SharedPace(app.database, {sms.name: Rate(20)}, provider=lambda: sms.name, clock=app.clock)
    began = time.monotonic()
    assert app.due_sender.send_due(Channel.SMS, pace) == Counter(sent=30)
    assert time.monotonic() - began > 1, "a second's worth at once, bulk at four fifths of the rate"
