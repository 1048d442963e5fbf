"""A change that only a load saw is told as an event would have told it, and never twice, whichever comes first."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from carenotify.domain.appointment import Appointment, AppointmentStatus, Venue
from carenotify.domain.event import ChangeEvent, Difference, EventOutcome, EventType
from carenotify.errors import LoadHeldError
from carenotify.journeys.accept_event import Accepted
from carenotify.storage.database import Transaction
from tests.integration.loading import PHONE, START, Loads, ScriptedSource, make_patient, make_row
from tests.integration.ward import SetClock, wait_for

REMINDER_DAY = date(2026, 11, 24)
# Who waits for a row that another transaction holds.
_WAITING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
LATER = "2026-11-27T15:00:00+01:00"
EVENING = "2026-11-27T18:00:00+01:00"
ANNA = make_patient(contacts=[PHONE])
BOOKED = make_row("a1", patient=ANNA)
MOVED = replace(BOOKED, start=LATER, end=None)


@pytest.fixture
def source() -> ScriptedSource:
    source = ScriptedSource()
    source.says(BOOKED)
    return source


@pytest.fixture
def loads(loads: Loads, source: ScriptedSource, clock: SetClock) -> Loads:
    """A hospital whose one appointment was loaded half an hour ago."""
    loads.run("r1")
    clock.advance(minutes=30)
    return loads


def accept(loads: Loads, *, start: str = LATER, occurred_at: datetime) -> Accepted:
    appointment = Appointment(
        "a1",
        "anna",
        datetime.fromisoformat(start),
        None,
        Venue("Building 2, room 12", "loc-2"),
        AppointmentStatus.BOOKED,
    )
    event = ChangeEvent(f"told {start}", EventType.RESCHEDULED, occurred_at, appointment)
    return loads.app.event_acceptor.accept(event, body={"start": start})


def made(appointment_id: str) -> Appointment:
    start = datetime.fromisoformat(START)
    return Appointment(appointment_id, "anna", start, None, Venue("Cardiology"), AppointmentStatus.BOOKED)


@dataclass
class CountingTransaction:
    """Counts the statements that go through it."""

    transaction: Transaction
    statements: int = 0

    def execute(self, *statement: Any) -> Any:
        self.statements += 1
        return self.transaction.execute(*statement)


def told(loads: Loads) -> list[tuple[Any, ...]]:
    """Each message: its kind, the old start and the new one."""
    rows = loads.query("SELECT kind, sealed_data FROM notifications ORDER BY id")
    opened = [(kind, loads.app.sealer.open(data)) for kind, data in rows]
    return [(kind, _start(data["old"]), _start(data["new"])) for kind, data in opened]


def _start(line: dict[str, Any] | None) -> datetime | None:
    return None if line is None else datetime.fromisoformat(line["start"])


def instants(*texts: str | None) -> Sequence[datetime | None]:
    return tuple(None if text is None else datetime.fromisoformat(text) for text in texts)


@pytest.mark.parametrize(
    ("changes", "kind", "starts"),
    [
        ({"start": LATER, "end": None}, "rescheduled", (START, LATER)),
        ({"venue": "Building 9", "location_id": "loc-9"}, "venue_changed", (START, START)),
        ({"status": "cancelled"}, "cancelled", (START, None)),
    ],
)
def test_a_difference_becomes_one_event_and_one_message_with_old_and_new(
    loads: Loads, source: ScriptedSource, changes: dict[str, Any], kind: str, starts: tuple[str | None, ...]
) -> None:
    source.says(replace(BOOKED, **changes))
    assert loads.run("r2")["announced"] == 1
    assert loads.query("SELECT event_id, type, source, outcome, cardinality(notification_ids) FROM change_events") == [
        ("load:r2:a1", f"appointment.{kind}", "load", EventOutcome.NOTIFIED, 1)
    ]
    assert told(loads) == [(kind, *instants(*starts))]


def test_an_appointment_that_is_booked_again_is_told(loads: Loads, source: ScriptedSource, clock: SetClock) -> None:
    source.says(replace(BOOKED, status="cancelled"))
    loads.run("r2")
    clock.advance(minutes=30)
    source.says(BOOKED)
    loads.run("r3")
    assert [kind for kind, *_ in told(loads)] == ["cancelled", "booked"]


def test_a_load_says_nothing_of_what_an_event_told_before(
    loads: Loads, source: ScriptedSource, clock: SetClock
) -> None:
    accepted = accept(loads, occurred_at=clock())
    assert accepted.outcome == EventOutcome.NOTIFIED
    clock.advance(minutes=30)
    source.says(MOVED)
    counts = loads.run("r2")
    assert (counts["changed"], counts["to_announce"], counts["announced"]) == (0, 0, 0)
    assert told(loads) == [("rescheduled", *instants(START, LATER))]


def test_an_event_after_the_load_is_known_and_answered_with_the_same_message(
    loads: Loads, source: ScriptedSource, clock: SetClock
) -> None:
    source.says(MOVED)
    loads.run("r2")
    ((first,),) = loads.query("SELECT id FROM notifications")
    accepted = accept(loads, occurred_at=clock() - timedelta(minutes=10))
    assert (accepted.outcome, accepted.notification_ids) == (EventOutcome.ALREADY_KNOWN, (first,))
    assert len(told(loads)) == 1


@pytest.mark.parametrize("last_updated", [None, "2026-11-20T10:00:00Z"])
def test_a_page_that_lags_brings_no_old_time_back_and_tells_nobody(
    loads: Loads, source: ScriptedSource, clock: SetClock, last_updated: str | None
) -> None:
    accept(loads, occurred_at=clock())
    lagging = replace(BOOKED, last_updated=last_updated)
    for run_id in ("r2", "r3"):
        clock.advance(minutes=30)
        source.says(lagging)
        assert loads.run(run_id)["announced"] == 0
    clock.advance(minutes=30)
    source.says(replace(MOVED, last_updated="2026-11-24T09:10:00Z"))
    assert loads.run("r4")["announced"] == 0
    clock.advance(minutes=30)
    source.says(replace(BOOKED, last_updated="2026-11-20T10:00:00Z"))
    assert loads.run("r5")["announced"] == 0
    assert loads.query("SELECT start_at FROM appointments") == [tuple(instants(LATER))]
    assert told(loads) == [("rescheduled", *instants(START, LATER))]


def test_a_change_that_only_a_later_load_saw_is_told_after_an_event(
    loads: Loads, source: ScriptedSource, clock: SetClock
) -> None:
    accept(loads, occurred_at=clock())
    clock.advance(minutes=30)
    source.says(replace(BOOKED, start=EVENING, end=None))
    assert loads.run("r2")["announced"] == 1
    assert told(loads) == [("rescheduled", *instants(START, LATER)), ("rescheduled", *instants(LATER, EVENING))]


def test_a_load_that_is_held_tells_nobody_until_it_is_released(loads: Loads, source: ScriptedSource) -> None:
    source.says(MOVED)
    loads.max_changes = 0
    with pytest.raises(LoadHeldError, match="told of 1 changes"):
        loads.run("r2")
    assert told(loads) == []
    released = loads.release("r2")
    assert released["announced"] == 1
    assert told(loads) == [("rescheduled", *instants(START, LATER))]


def test_the_others_of_a_reminder_that_a_load_cuts_short_are_still_reminded(
    loads: Loads, source: ScriptedSource, clock: SetClock
) -> None:
    others = [
        replace(BOOKED, appointment_id=key, start=START.replace("10:", f"{11 + at}:"), end=None)
        for at, key in enumerate("bc")
    ]
    source.says(BOOKED, *others)
    loads.run("r2")
    loads.app.reminder_planner.plan(REMINDER_DAY)
    clock.advance(minutes=30)
    source.says(MOVED, replace(others[0], status="cancelled"), others[1])
    assert loads.run("r3")["announced"] == 2
    waiting = loads.query(
        "SELECT kind, array_agg(appointment_id) FROM notifications"
        " JOIN notification_appointments ON id = notification_id WHERE status = 'pending' GROUP BY id, kind ORDER BY id"
    )
    assert waiting == [("reminder", ["c"]), ("rescheduled", ["a1"]), ("cancelled", ["b"])]


def test_thousands_of_changes_take_no_more_statements_than_two(loads: Loads) -> None:
    def statements(count: int) -> int:
        appointments = [made(f"{count}-{number}") for number in range(count)]
        moved = [Difference(one, replace(one, start=one.start + timedelta(hours=1)), one.start) for one in appointments]
        with loads.app.database.transaction() as transaction:
            counting = CountingTransaction(transaction)
            noted = loads.app.event_acceptor.note_differences(counting, moved, run_id=f"run {count}")  # type: ignore[arg-type]
        assert noted == count
        return counting.statements

    assert statements(40) == statements(2)


def test_a_load_that_a_deadlock_ended_is_tried_again(
    loads: Loads, source: ScriptedSource, clock: SetClock, database_url: str
) -> None:
    loads.app.reminder_planner.plan(REMINDER_DAY)
    clock.advance(minutes=30)
    source.says(MOVED)
    loads.fetch("r2")
    loads.check("r2")
    # Somebody holds the reminder, which the load will want, and then wants the appointment, which the load holds.
    with psycopg.connect(database_url, options="-c search_path=carenotify -c deadlock_timeout=60s") as other:
        other.execute("SELECT FROM notifications FOR UPDATE")
        with ThreadPoolExecutor(1) as pool:
            loading = pool.submit(loads.load, "r2")
            wait_for(lambda: loads.query(_WAITING) != [])
            other.execute("SELECT FROM appointments FOR UPDATE")
            other.commit()
            assert loading.result()["announced"] == 1
    stands = loads.query("SELECT kind, status FROM notifications ORDER BY id")
    assert stands == [("reminder", "superseded"), ("rescheduled", "pending")]
