"""Events through the surface: taken in once, answered the same, and never an old time over a new one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from desk import Desk

from carenotify.api import create_app
from carenotify.app import App
from carenotify.domain.access import Scope
from tests.integration.ward import NOON, Hospital, SetClock, wait_for

NEW_START = "2026-11-30T10:00:00+01:00"


def event(**changes: Any) -> dict[str, Any]:
    """A move of the appointment a1, with changes; `appointment__x` changes a field of the appointment."""
    body: dict[str, Any] = {
        "event_id": "e1",
        "type": "appointment.rescheduled",
        "occurred_at": "2026-11-24T09:29:00+01:00",
        "appointment": {"id": "a1", "patient_id": "anna", "start": NEW_START, "venue": "Cardiology"},
    }
    for name, value in changes.items():
        owner, _, field = name.rpartition("__")
        (body[owner] if owner else body)[field] = value
    return body


@pytest.fixture
def post(desk: Desk) -> Callable[..., Any]:
    key = desk.key(Scope.EVENTS_WRITE)
    return lambda **changes: desk.call_with(key, "POST", "/events", json=event(**changes))


@pytest.fixture
def known(hospital: Hospital) -> Hospital:
    """Anna has an appointment."""
    hospital.add_patient()
    hospital.add_appointment()
    return hospital


def everything(hospital: Hospital) -> list[Any]:
    return hospital.query(
        """
        SELECT (SELECT count(*) FROM change_events), (SELECT count(*) FROM notifications),
               (SELECT count(*) FROM notification_appointments),
               (SELECT array_agg((id, start_at, venue, status) ORDER BY id) FROM appointments)
        """
    )


def test_a_move_is_stored_and_told(post: Callable[..., Any], known: Hospital) -> None:
    answer = post()
    assert answer.status_code == 202
    told = answer.get_json()
    rows = known.query("SELECT id, kind, lane, channel, status, due_at, expires_at FROM notifications")
    assert told == {"event_id": "e1", "notification_ids": [str(row[0]) for row in rows], "outcome": "notified"}
    assert rows
    assert {(row[1], row[2], row[4], row[5]) for row in rows} == {("rescheduled", "high", "pending", NOON)}
    assert {row[6].isoformat() for row in rows} == {"2026-11-30T09:00:00+00:00"}
    assert known.query("SELECT start_at::text FROM appointments") == [("2026-11-30 09:00:00+00",)]


def test_the_same_event_again_gets_the_same_answer_and_changes_nothing(
    post: Callable[..., Any], known: Hospital
) -> None:
    first = post().get_json()
    before = everything(known)
    assert [post().get_json() for _ in range(3)] == [first] * 3
    assert everything(known) == before


def test_the_same_event_at_the_same_moment_is_taken_in_once(desk: Desk, app: App, known: Hospital) -> None:
    key = desk.key(Scope.EVENTS_WRITE)
    flask = desk.client.application
    together = threading.Barrier(8)

    def send(_: int) -> tuple[int, Any]:
        own = Desk(app, flask.test_client())
        together.wait()
        answer = own.call_with(key, "POST", "/events", json=event())
        return answer.status_code, answer.get_json()

    with ThreadPoolExecutor(8) as senders:
        answers = list(senders.map(send, range(8)))
    assert {status for status, _ in answers} == {202}
    assert all(body == answers[0][1] for _, body in answers)
    assert known.query("SELECT count(*) FROM change_events") == [(1,)]
    ids = {str(row[0]) for row in known.query("SELECT id FROM notifications")}
    assert ids == set(answers[0][1]["notification_ids"])


def test_two_changes_of_one_patients_day_at_the_same_moment_are_both_taken_in(
    desk: Desk, app: App, known: Hospital
) -> None:
    """Both supersede the same digest, which told of both appointments."""
    key, rounds = desk.key(Scope.EVENTS_WRITE), 10
    flask = desk.client.application
    together = threading.Barrier(2)
    known.add_appointment("a2", start=NOON + timedelta(days=3, hours=5))

    def send(number: int) -> list[int]:
        own, statuses = Desk(app, flask.test_client()), []
        for turn in range(rounds):
            together.wait()
            told = {"event_id": f"e{number}-{turn}", "appointment__id": f"a{number}"}
            start = (NOON + timedelta(days=3, hours=number, minutes=turn)).isoformat()
            body = event(**told, appointment__start=start)
            statuses.append(own.call_with(key, "POST", "/events", json=body).status_code)
        return statuses

    app.reminder_planner.plan(NOON.date())
    with ThreadPoolExecutor(2) as senders:
        answers = [status for statuses in senders.map(send, (1, 2)) for status in statuses]
    assert set(answers) == {202}
    assert known.query("SELECT count(*) FROM change_events") == [(2 * rounds,)]


def test_another_body_under_the_same_id_is_refused(post: Callable[..., Any], known: Hospital) -> None:
    post()
    before = everything(known)
    answer = post(appointment__venue="Radiology")
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    assert everything(known) == before


def test_an_older_event_changes_nothing(post: Callable[..., Any], known: Hospital) -> None:
    post()
    appointment = known.query("SELECT start_at FROM appointments")
    old = post(
        event_id="e0", occurred_at="2026-11-24T09:28:59+01:00", appointment__start="2026-12-01T10:00:00+01:00"
    ).get_json()
    assert old == {"event_id": "e0", "notification_ids": [], "outcome": "ignored_stale"}
    assert known.query("SELECT start_at FROM appointments") == appointment


def test_a_move_stops_the_reminder_that_would_tell_the_old_time(
    post: Callable[..., Any], known: Hospital, app: App
) -> None:
    app.reminder_planner.plan(NOON.date())
    assert set(known.statuses()) == {"pending"}
    told = post().get_json()["notification_ids"]
    rows = known.query("SELECT id, kind, status, reason FROM notifications")
    assert {tuple(row[2:]) for row in rows if row[1] == "reminder"} == {("superseded", "appointment_changed")}
    assert {str(row[0]) for row in rows if row[2] == "pending"} == set(told)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"type": "appointment.cancelled", "appointment__start": (NOON + timedelta(days=3)).isoformat()}, "cancelled"),
        ({"type": "appointment.cancelled", "appointment__status": "cancelled"}, "cancelled"),
        ({"type": "appointment.venue_changed", "appointment__venue": "Radiology"}, "rescheduled"),
        ({"type": "appointment.booked", "appointment__id": "new"}, "booked"),
        ({"type": "appointment.booked", "appointment__id": "new", "appointment__end": None}, "booked"),
        ({"appointment__end": "2026-11-30T09:30:00Z", "occurred_at": "2026-11-24t08:30:00z"}, "rescheduled"),
        ({"occurred_at": "2026-11-24T09:35:00+01:00", "event_id": "Ü" * 200}, "rescheduled"),
    ],
)
def test_the_patient_is_told_what_really_changed(
    post: Callable[..., Any], known: Hospital, changes: dict[str, Any], kind: str
) -> None:
    answer = post(**changes)
    assert (answer.status_code, answer.get_json()["outcome"]) == (202, "notified")
    assert {row[0] for row in known.query("SELECT kind FROM notifications")} == {kind}


def test_another_venue_has_no_known_location(post: Callable[..., Any], known: Hospital) -> None:
    known.query("UPDATE appointments SET location_id = 'loc-1' RETURNING id")
    start = (NOON + timedelta(days=3, hours=2)).isoformat()
    post(type="appointment.venue_changed", appointment__venue="Radiology", appointment__start=start)
    assert {row[0] for row in known.query("SELECT kind FROM notifications")} == {"venue_changed"}
    assert known.query("SELECT venue, location_id FROM appointments") == [("Radiology", None)]


def test_the_location_stays_when_the_name_stays(post: Callable[..., Any], known: Hospital) -> None:
    known.query("UPDATE appointments SET location_id = 'loc-1' RETURNING id")
    post()
    assert known.query("SELECT venue, location_id FROM appointments") == [("Cardiology", "loc-1")]


def test_nobody_is_told_who_cannot_be_and_the_sender_learns_why(post: Callable[..., Any], hospital: Hospital) -> None:
    hospital.add_patient(deceased=True)
    answer = post()
    assert answer.status_code == 202
    assert answer.get_json() == {
        "event_id": "e1",
        "notification_ids": [],
        "outcome": "not_told",
        "reason": "deceased",
    }


def test_an_event_of_an_unknown_patient_waits_for_an_address(post: Callable[..., Any], hospital: Hospital) -> None:
    told = post().get_json()
    assert (told["outcome"], told["reason"]) == ("awaiting_contact", "awaiting_contact")
    assert hospital.query("SELECT id::text FROM notifications") == [(each,) for each in told["notification_ids"]]


def test_a_broker_that_is_away_delays_no_answer(post: Callable[..., Any], known: Hospital) -> None:
    post()  # opens the connections to the database
    started = time.monotonic()
    answers = [post(event_id=f"n{number}", appointment__id=f"n{number}").status_code for number in range(10)]
    assert answers == [202] * 10
    assert time.monotonic() - started < 3  # the publisher itself waits five seconds for a broker
    assert set(known.statuses()) == {"pending"}


def test_what_an_event_leads_to_is_published_at_once(broker_app: App, clock: SetClock) -> None:
    hospital = Hospital(broker_app.database)
    hospital.add_patient()
    desk = Desk(broker_app, create_app(broker_app, person=None).test_client())
    assert desk.call("POST", "/events", json=event()).status_code == 202
    wait_for(lambda: set(hospital.statuses()) == {"queued"})
    assert desk.call("POST", "/events", json=event(event_id="e2", appointment__id="a2")).status_code == 202
    wait_for(lambda: set(hospital.statuses()) == {"queued"})


def test_events_are_taken_in_while_more_lists_hang_than_there_are_threads(
    desk: Desk, app: App, known: Hospital
) -> None:
    app.reminder_planner.plan(NOON.date())
    [(identity,)] = known.query("SELECT id FROM notifications WHERE channel = 'sms'")
    lists = ["/dead-letters", "/dead-letters/1", "/dead-letters/reasons", "/alerts", f"/notifications/{identity}"]
    key = desk.key(Scope.EVENTS_WRITE)
    with ThreadPoolExecutor(8) as threads, app.database.transaction() as transaction:
        transaction.execute("LOCK TABLE dead_letters, alerts, delivery_attempts")
        hung = [threads.submit(desk.call_with, "user.to.ken", "GET", path) for path in lists * 3]
        answer = threads.submit(desk.call_with, key, "POST", "/events", json=event()).result(timeout=5)
        assert (answer.status_code, answer.get_json()["outcome"]) == (202, "notified")
        assert not all(call.done() for call in hung)
    assert {call.result().status_code for call in hung} <= {200, 404, 503}
