"""Delivering without the broker."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import pytest

from carenotify.app import App
from carenotify.channels.base import OutgoingMessage
from carenotify.domain.delivery import Outcome
from carenotify.domain.notification import Channel
from carenotify.domain.token_bucket import Rate
from carenotify.errors import DatabaseUnavailableError, DeadAddressError, TemporaryDeliveryError
from carenotify.journeys import send_due
from carenotify.journeys.deliver_batch import Deliverer
from carenotify.journeys.pace_sending import UNPACED, SharedPace
from carenotify.storage import pauses
from tests.integration.ward import MOBILE, NOON, Hospital, ScriptedProvider, SetClock


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


def _middle(hospital: Hospital, *, after: int = 50) -> object:
    return hospital.query("SELECT id FROM notifications ORDER BY id OFFSET %s LIMIT 1", after)[0][0]


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


def test_a_bug_in_one_message_leaves_the_others_sent_and_recorded(
    app: App, hospital: Hospital, sms: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    plan(app, hospital, patients=20)
    spoilt = _middle(hospital, after=3)

    def script(message: OutgoingMessage) -> None:
        if message.notification_id == spoilt:
            raise RuntimeError(message.to)

    sms.script = script
    assert app.due_sender.send_due(Channel.SMS, UNPACED) == Counter(sent=19)
    assert hospital.statuses() == Counter(sent=19, sending=1)
    assert MOBILE not in caplog.text


def test_what_was_sent_is_recorded_once_the_database_is_back(
    app: App, hospital: Hospital, sms: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(app, hospital, patients=3)
    away_for(2, monkeypatch)
    monkeypatch.setattr(send_due, "_DATABASE_PAUSE_SECONDS", 0.01)
    assert app.due_sender.send_due(Channel.SMS, UNPACED) == Counter(sent=3)
    assert hospital.statuses() == Counter(sent=3)


def test_a_database_that_stays_away_is_not_waited_for_without_end(
    app: App, hospital: Hospital, sms: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(app, hospital, patients=1)
    away_for(1_000, monkeypatch)
    monkeypatch.setattr(send_due, "_DATABASE_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(send_due, "_RECORD_SECONDS", 0.1)
    with pytest.raises(DatabaseUnavailableError):
        app.due_sender.send_due(Channel.SMS, UNPACED)


def away_for(calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is away when outcomes are to be recorded, so many times."""
    errors, record = [DatabaseUnavailableError("the database is away")] * calls, Deliverer.record

    def fails_first(deliverer: Deliverer, outcomes: Sequence[Outcome]) -> int:
        if errors:
            raise errors.pop()
        return record(deliverer, outcomes)

    monkeypatch.setattr(Deliverer, "record", fails_first)


def test_nothing_is_given_to_a_provider_that_others_have_found_down(
    app: App, hospital: Hospital, sms: ScriptedProvider, clock: SetClock
) -> None:
    plan(app, hospital, patients=3)
    hospital.query(
        "INSERT INTO provider_states (provider, state, changed_at, retry_at) VALUES (%s, 'open', %s, %s) RETURNING 1",
        *(sms.name, NOON, NOON + timedelta(minutes=1)),
    )
    assert app.due_sender.send_due(Channel.SMS, UNPACED) == Counter()
    assert hospital.statuses() == Counter(pending=3)
    clock.advance(minutes=2)
    app.due_sender.send_due(Channel.SMS, UNPACED)
    assert sms.times.total() == 1, "one message tries it out"
    clock.advance(seconds=31)
    assert app.due_sender.send_due(Channel.SMS, UNPACED) == Counter(sent=2, pending=1)


def test_what_was_abandoned_is_settled_what_is_over_is_closed_and_what_failed_is_told_by_mail(
    app: App, hospital: Hospital, sms: ScriptedProvider, clock: SetClock
) -> None:
    for patient in ("lost", "late", "dead"):
        hospital.add_patient(patient, mail=f"{patient}@example.org" if patient == "dead" else None)
        hospital.add_appointment(f"of-{patient}", patient)
        hospital.set_preferences(patient, channels=["sms"])
    app.reminder_planner.plan(NOON.date())
    [[lost]] = hospital.query("SELECT id FROM notifications WHERE patient_id = 'lost'")
    [[dead]] = hospital.query("SELECT id FROM notifications WHERE patient_id = 'dead'")
    app.deliverer.claim([lost])
    hospital.query("UPDATE notifications SET expires_at = %s WHERE patient_id = 'late' RETURNING 1", NOON)
    clock.advance(minutes=2)
    sms.script = lambda message: DeadAddressError("21211") if message.notification_id == dead else None
    everything = dict.fromkeys(Channel, UNPACED)
    assert app.due_sender.send_everything(everything) == Counter(sent=2, failed=1, expired=1)
    [mail] = app.providers[Channel.EMAIL]
    assert isinstance(mail, ScriptedProvider)
    assert [message.to for message in mail.taken] == ["dead@example.org"]
    assert hospital.query("SELECT possible_duplicate FROM notifications WHERE id = %s", lost) == [(True,)]
    assert app.due_sender.send_everything(everything) == Counter()
