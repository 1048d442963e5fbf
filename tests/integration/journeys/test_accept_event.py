"""Change events against real PostgreSQL: once, in order, and nobody is told what is no longer true."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from carenotify.app import App
from carenotify.domain.appointment import Appointment, AppointmentStatus, Venue
from carenotify.domain.event import ChangeEvent, EventType
from carenotify.domain.notification import Lane
from carenotify.errors import EventConflictError, SourceError, SourceUnavailableError
from carenotify.journeys.accept_event import Accepted
from carenotify.sources.base import SourceContact, SourcePatient
from carenotify.storage.outbox import lease_due
from tests.integration.loading import ScriptedSource
from tests.integration.ward import NOON, Hospital, SetClock, make_unreadable

TODAY = date(2026, 11, 24)
START = NOON + timedelta(days=3, hours=2)
LATER = START + timedelta(hours=3)


def event(
    event_id: str = "e1",
    *,
    kind: EventType = EventType.RESCHEDULED,
    start: datetime = LATER,
    venue: str = "Cardiology",
    occurred_at: datetime = NOON,
    patient_id: str = "anna",
    appointment_id: str = "a1",
) -> ChangeEvent:
    status = AppointmentStatus.CANCELLED if kind is EventType.CANCELLED else AppointmentStatus.BOOKED
    appointment = Appointment(appointment_id, patient_id, start, None, Venue(venue), status)
    return ChangeEvent(event_id, kind, occurred_at, appointment)


def accept(app: App, one: ChangeEvent, body: dict[str, Any] | None = None) -> Accepted:
    return app.event_acceptor.accept(one, body=body or {"id": one.event_id})


def rows(hospital: Hospital) -> list[tuple[Any, ...]]:
    return hospital.query("SELECT kind, channel, status, lane FROM notifications ORDER BY id")


@pytest.fixture
def anna(hospital: Hospital) -> Hospital:
    hospital.add_patient(mail=None)
    hospital.add_appointment()
    return hospital


def test_a_new_time_is_told_at_once_with_the_old_one(app: App, anna: Hospital) -> None:
    accepted = accept(app, event())
    assert (accepted.outcome, accepted.reason, len(accepted.notification_ids)) == ("notified", None, 1)
    assert rows(anna) == [("rescheduled", "sms", "pending", Lane.HIGH)]
    [(sealed, due_at, expires_at)] = anna.query("SELECT sealed_data, due_at, expires_at FROM notifications")
    told = app.sealer.open(sealed)
    assert datetime.fromisoformat(told["old"]["start"]) == START
    assert datetime.fromisoformat(told["new"]["start"]) == LATER
    assert (due_at, expires_at) == (NOON, LATER)
    assert anna.query("SELECT start_at FROM appointments") == [(LATER,)]


def test_the_same_event_again_has_the_same_answer_and_no_second_message(app: App, anna: Hospital) -> None:
    first = accept(app, event())
    assert accept(app, event()) == first
    assert len(rows(anna)) == 1


def test_the_same_event_at_the_same_moment_is_one_message(app: App, anna: Hospital) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: accept(app, event()), range(12)))
    assert len(set(answers)) == 1
    assert len(rows(anna)) == 1


def test_the_same_id_with_another_body_is_refused(app: App, anna: Hospital) -> None:
    accept(app, event())
    with pytest.raises(EventConflictError, match="e1"):
        accept(app, event(start=LATER + timedelta(hours=1)), {"id": "e1", "start": "other"})
    assert len(rows(anna)) == 1


def test_an_event_older_than_what_is_known_is_ignored(app: App, anna: Hospital) -> None:
    accept(app, event("new", occurred_at=NOON))
    late = accept(app, event("old", start=START + timedelta(hours=1), occurred_at=NOON - timedelta(minutes=5)))
    assert (late.outcome, late.notification_ids) == ("ignored_stale", ())
    assert anna.query("SELECT start_at FROM appointments") == [(LATER,)]
    assert len(rows(anna)) == 1


def test_a_change_supersedes_the_waiting_reminder(app: App, anna: Hospital) -> None:
    app.reminder_planner.plan(TODAY)
    accept(app, event())
    assert rows(anna) == [("reminder", "sms", "superseded", "low"), ("rescheduled", "sms", "pending", "high")]
    assert app.reminder_planner.plan(TODAY).planned == 0


def test_a_second_change_supersedes_the_first_that_was_not_sent_yet(app: App, anna: Hospital) -> None:
    accept(app, event("e1"))
    accept(app, event("e2", start=LATER + timedelta(hours=1), occurred_at=NOON + timedelta(seconds=1)))
    assert Counter(row[2] for row in rows(anna)) == Counter(superseded=1, pending=1)


def test_the_other_appointments_of_a_superseded_reminder_are_still_reminded(app: App, anna: Hospital) -> None:
    anna.add_appointment("a2", start=START + timedelta(hours=1), venue="Laboratory")
    app.reminder_planner.plan(TODAY)
    accept(app, event())
    waiting = anna.query("SELECT id, sealed_data FROM notifications WHERE kind = 'reminder' AND status = 'pending'")
    assert [line["venue"] for line in app.sealer.open(waiting[0][1])["appointments"]] == ["Laboratory"]
    assert len(waiting) == 1


def test_a_cancellation_is_told_and_not_reminded_of(app: App, anna: Hospital) -> None:
    app.reminder_planner.plan(TODAY)
    accepted = accept(app, event(kind=EventType.CANCELLED, start=START))
    assert accepted.outcome == "notified"
    assert rows(anna)[1][0] == "cancelled"
    [(sealed,)] = anna.query("SELECT sealed_data FROM notifications WHERE kind = 'cancelled'")
    told = app.sealer.open(sealed)
    assert told["new"] is None
    assert datetime.fromisoformat(told["old"]["start"]) == START


def test_a_new_place_is_called_so_whatever_the_event_is_called(app: App, anna: Hospital) -> None:
    accept(app, event(kind=EventType.RESCHEDULED, start=START, venue="Radiology"))
    assert rows(anna)[0][0] == "venue_changed"


def test_the_same_change_under_two_ids_is_told_once(app: App, anna: Hospital) -> None:
    first = accept(app, event("e1"))
    second = accept(app, event("e2", occurred_at=NOON + timedelta(seconds=1)))
    assert (second.outcome, second.notification_ids) == ("already_known", first.notification_ids)
    assert len(rows(anna)) == 1


def test_a_booking_that_a_load_brought_first_is_still_confirmed(app: App, anna: Hospital) -> None:
    assert accept(app, event(kind=EventType.BOOKED, start=START)).outcome == "notified"
    assert rows(anna)[0][0] == "booked"


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE patients SET deceased = true", "deceased"),
        ("INSERT INTO preferences (patient_id, opted_out_kinds) VALUES ('anna', '{*}')", "opted_out"),
        ("INSERT INTO preferences (patient_id, opted_out_channels) VALUES ('anna', '{sms}')", "opted_out"),
    ],
)
def test_who_must_not_be_told_is_not_and_the_change_is_true_all_the_same(
    app: App, anna: Hospital, statement: str, reason: str
) -> None:
    anna.query(f"{statement} RETURNING 1")
    accepted = accept(app, event())
    assert (accepted.outcome, accepted.reason, accepted.notification_ids) == ("not_told", reason, ())
    assert anna.query("SELECT start_at FROM appointments") == [(LATER,)]


def test_an_event_for_a_patient_whose_record_cannot_be_opened_is_stored_and_not_told(app: App, anna: Hospital) -> None:
    anna.add_appointment("a2", start=START + timedelta(hours=1))
    app.reminder_planner.plan(TODAY)
    make_unreadable(anna, "anna")
    accepted = accept(app, event())
    assert (accepted.outcome, accepted.reason, accepted.notification_ids) == ("not_told", "unreadable", ())
    assert anna.query("SELECT outcome, reason FROM change_events") == [("not_told", "unreadable")]
    assert anna.query("SELECT start_at FROM appointments WHERE id = 'a1'") == [(LATER,)]
    assert rows(anna) == [("reminder", "sms", "superseded", "low")]


def test_a_change_of_what_is_past_is_not_told(app: App, anna: Hospital) -> None:
    assert accept(app, event(start=NOON - timedelta(hours=1))).reason == "past"


def test_no_personal_data_of_an_event_is_stored_in_the_clear(app: App, anna: Hospital) -> None:
    accept(app, event(), {"event_id": "e1", "note": "Zebedäus"})
    assert "Zebed" not in str(anna.query("SELECT e::text FROM change_events e"))


# --- a patient whom nobody copied ------------------------------------------------------------


@dataclass
class KnownPatients(ScriptedSource):
    """A source that knows these patients, or is away."""

    patients_by_id: dict[str, tuple[SourcePatient, ...]] = field(default_factory=dict)
    error: SourceError | None = None

    def patients(self, patient_id: str) -> tuple[SourcePatient, ...]:
        if self.error is not None:
            raise self.error
        return self.patients_by_id.get(patient_id, ())


@pytest.fixture
def source(app: App) -> KnownPatients:
    source = KnownPatients()
    app.__dict__["source"] = source
    return source


PAUL = SourcePatient(
    "paul",
    given_name="Paul",
    contacts=(
        SourceContact("phone", "+4915112349999", use="mobile", textable=True),
        SourceContact("email", "paul@example.org"),
    ),
)


def test_an_event_for_an_unknown_patient_waits_and_is_completed_from_the_source(
    app: App, hospital: Hospital, source: KnownPatients, clock: SetClock
) -> None:
    source.patients_by_id["paul"] = (PAUL,)
    accepted = accept(app, event(patient_id="paul"))
    assert (accepted.outcome, accepted.reason, len(accepted.notification_ids)) == (
        "awaiting_contact",
        "awaiting_contact",
        1,
    )
    assert app.contact_completer.complete() == 1
    done = hospital.query("SELECT id, channel, status, reason, due_at FROM notifications ORDER BY id")
    assert done[0][0] == accepted.notification_ids[0]
    assert [row[1:] for row in done] == [("sms", "pending", None, clock.now), ("email", "pending", None, clock.now)]


def test_a_source_that_is_away_is_asked_again_later(
    app: App, hospital: Hospital, source: KnownPatients, clock: SetClock
) -> None:
    source.error = SourceUnavailableError("away")
    accept(app, event(patient_id="paul"))
    assert app.contact_completer.complete() == 0
    source.error, source.patients_by_id["paul"] = None, (PAUL,)
    assert app.contact_completer.complete() == 0
    clock.advance(seconds=2)
    assert app.contact_completer.complete() == 1


def test_a_patient_whom_the_source_never_knows_ends_as_a_dead_letter(
    app: App, hospital: Hospital, source: KnownPatients, clock: SetClock
) -> None:
    accept(app, event(patient_id="nobody"))
    for _ in range(14):
        app.contact_completer.complete()
        clock.advance(minutes=5)
    assert hospital.query("SELECT status, reason FROM notifications") == [("failed", "contact_unknown")]
    assert hospital.query("SELECT reason FROM dead_letters") == [("contact_unknown",)]


def test_a_completed_patient_who_must_not_be_told_is_not(app: App, hospital: Hospital, source: KnownPatients) -> None:
    source.patients_by_id["paul"] = (replace(PAUL, deceased=True),)
    accept(app, event(patient_id="paul"))
    app.contact_completer.complete()
    assert hospital.query("SELECT status, reason FROM notifications") == [("suppressed", "deceased")]


def test_a_patient_who_became_known_and_cannot_be_opened_is_not_told(
    app: App, hospital: Hospital, source: KnownPatients
) -> None:
    accept(app, event(patient_id="paul"))
    hospital.add_patient("paul")
    make_unreadable(hospital, "paul")
    assert app.contact_completer.complete() == 1
    assert hospital.query("SELECT status, reason FROM notifications") == [("suppressed", "unreadable")]


def test_what_waits_for_a_contact_is_neither_published_nor_claimed(
    app: App, hospital: Hospital, source: KnownPatients
) -> None:
    accepted = accept(app, event(patient_id="paul"))
    taken, refused = app.deliverer.claim(accepted.notification_ids)
    assert (taken, refused.total()) == ([], 0)
    with app.database.transaction() as transaction:
        assert lease_due(transaction, lane=Lane.HIGH, now=NOON, lease=NOON, limit=10) == []
