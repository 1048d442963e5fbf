"""A load changes what it should and nothing else: twice, out of order, held, with rows that moved, lag or vanish."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from carenotify.domain.appointment import Appointment, AppointmentStatus, Venue
from carenotify.domain.event import ChangeEvent, EventType
from carenotify.errors import LoadHeldError, NotFoundError, SourceAnswerError, SourceUnavailableError
from carenotify.journeys.close_load import close_load
from carenotify.journeys.fetch_day import fetch_day
from carenotify.journeys.fetch_missing import fetch_missing
from carenotify.journeys.redrive_quarantine import redrive_quarantine
from carenotify.journeys.release_load import discard_load
from carenotify.journeys.start_load import start_load
from carenotify.sources.base import Page, SourceContact
from carenotify.storage.ingest_runs import read_run
from carenotify.storage.patients import open_patient
from tests.integration.loading import DAY, MAIL, PHONE, START, Loads, ScriptedSource, make_patient, make_row
from tests.integration.ward import SetClock

REMINDER_DAY = date(2026, 11, 24)
LATER = "2026-11-27T15:00:00+01:00"
AWAY = SourceUnavailableError("the patient API answered HTTP 503")


@pytest.fixture
def known(loads: Loads, source: ScriptedSource, clock: SetClock) -> Loads:
    """A hospital whose one appointment, a1, was loaded half an hour ago."""
    source.says(make_row("a1"))
    loads.run("r1")
    clock.advance(minutes=30)
    return loads


def event(loads: Loads, *, start: str, occurred_at: datetime) -> None:
    """Somebody told us directly that a1 is at another time: the truth changes, what loads said does not."""
    told = Appointment(
        "a1",
        "anna",
        datetime.fromisoformat(start),
        None,
        Venue("Building 2, room 12", "loc-2"),
        AppointmentStatus.BOOKED,
    )
    with loads.app.database.transaction() as transaction:
        transaction.execute(
            "UPDATE appointments SET start_at = %s, content_hash = %s, fetched_at = %s WHERE id = 'a1'",
            (told.start, told.content_hash, occurred_at),
        )


def started(loads: Loads, appointment_id: str = "a1") -> str:
    ((start,),) = loads.query("SELECT start_at FROM appointments WHERE id = %s", appointment_id)
    return start.astimezone(ZoneInfo("Europe/Berlin")).isoformat()


def test_rows_come_from_the_api_into_the_live_tables(loads: Loads, source: ScriptedSource) -> None:
    source.says(make_row("a1"), make_row("a2", patient=make_patient("bert")))
    counts = loads.run("r1")
    assert (counts["rows"], counts["new"], counts["patients_changed"], counts["rejected"]) == (2, 2, 2, 0)
    assert loads.stored("a2") == (DAY, "Building 2, room 12", "booked")
    assert close_load(loads.app.database, run_id="r1", clock=loads.app.clock) == []


def test_a_load_run_twice_changes_nothing(loads: Loads, source: ScriptedSource, clock: SetClock) -> None:
    source.says(make_row("a1"), make_row("a2", patient=make_patient("bert")))
    loads.run("r1")
    before = loads.snapshot()
    clock.advance(minutes=30)
    counts = loads.run("r2")
    assert (counts["new"], counts["changed"], counts["unchanged"], counts["patients_changed"]) == (0, 0, 2, 0)
    assert loads.snapshot() == before


def test_loading_a_loaded_run_again_gives_the_same_counts(loads: Loads, source: ScriptedSource) -> None:
    source.says(make_row("a1"))
    first = loads.run("r1")
    assert loads.check("r1") == first
    assert loads.load("r1") == first


def test_a_run_that_is_started_again_forgets_what_it_staged(loads: Loads, source: ScriptedSource) -> None:
    source.says(make_row("a1"))
    loads.fetch("r1")
    source.says(make_row("a2"))
    counts = loads.run("r1")
    assert counts["rows"] == 1
    assert loads.query("SELECT id FROM appointments") == [("a2",)]


def test_a_retried_day_replaces_its_own_rows_only(loads: Loads, source: ScriptedSource) -> None:
    source.says(make_row("a1"))
    source.says(make_row("b1", start="2026-11-28T10:00:00+01:00", end=None), day=DAY + timedelta(days=1))
    loads.fetch("r1", days=2)
    fetch_day(loads.app.database, source, run_id="r1", day=DAY, clock=loads.app.clock)
    assert loads.query("SELECT appointment_id FROM staging_appointments ORDER BY 1") == [("a1",), ("b1",)]


def test_a_changed_time_is_counted_and_taken_over(known: Loads, source: ScriptedSource) -> None:
    source.says(make_row("a1", start=LATER, end=None))
    counts = known.run("r2")
    assert (counts["changed"], counts["unchanged"]) == (1, 0)
    assert started(known) == LATER


def test_a_lagging_page_does_not_undo_an_event(loads: Loads, source: ScriptedSource, clock: SetClock) -> None:
    source.says(make_row("a1"))
    loads.run("r1")
    clock.advance(minutes=10)
    event(loads, start=LATER, occurred_at=clock())
    clock.advance(minutes=20)
    counts = loads.run("r2")
    assert (counts["changed"], counts["unchanged"]) == (0, 1)
    assert started(loads) == LATER
    clock.advance(minutes=30)
    evening = "2026-11-27T18:00:00+01:00"
    source.says(make_row("a1", start=evening, end=None))
    assert loads.run("r3")["changed"] == 1
    assert started(loads) == evening


def test_an_answer_from_before_an_event_does_not_undo_it(known: Loads, source: ScriptedSource, clock: SetClock) -> None:
    source.says(make_row("a1", start="2026-11-27T12:00:00+01:00", end=None))
    known.fetch("r2")
    event(known, start=LATER, occurred_at=clock() + timedelta(seconds=1))
    known.check("r2")
    assert known.load("r2")["stale"] == 1
    assert started(known) == LATER


def test_an_older_load_that_ends_later_changes_nothing(loads: Loads, source: ScriptedSource, clock: SetClock) -> None:
    source.says(make_row("a1"))
    loads.fetch("old")
    loads.check("old")
    clock.advance(minutes=30)
    source.says(make_row("a1", start=LATER, end=None, patient=make_patient(contacts=[MAIL])))
    loads.run("new")
    before = loads.snapshot()
    assert loads.load("old")["stale"] == 1
    assert loads.snapshot() == before


def test_a_renamed_building_is_no_change_but_its_new_name_is_told(known: Loads, source: ScriptedSource) -> None:
    source.says(make_row("a1", venue="Haus B"))
    assert known.run("r2")["changed"] == 0
    assert known.stored()[1] == "Haus B"


def test_too_many_changes_hold_the_load_before_anything_is_written(
    loads: Loads, source: ScriptedSource, clock: SetClock
) -> None:
    rows = [make_row(f"a{number}") for number in range(3)]
    source.says(*rows)
    loads.run("r1")
    before = loads.snapshot()
    clock.advance(minutes=30)
    source.says(*(replace(row, start=LATER, end=None) for row in rows))
    loads.max_changes = 2
    with pytest.raises(LoadHeldError, match="told of 3 changes ahead, more than 2"):
        loads.run("r2")
    assert loads.snapshot() == before
    with pytest.raises(LoadHeldError, match="is held"):
        loads.load("r2")
    assert loads.release("r2")["changed"] == 3
    assert started(loads) == LATER


def test_check_ins_hold_no_load_since_nobody_is_told_of_them(
    loads: Loads, source: ScriptedSource, clock: SetClock
) -> None:
    rows = [make_row(f"a{number}") for number in range(3)]
    source.says(*rows)
    loads.run("r1")
    clock.advance(minutes=30)
    statuses = ("checked-in", "arrived", "fulfilled")
    source.says(*(replace(row, status=status) for row, status in zip(rows, statuses, strict=True)))
    loads.max_changes = 0
    counts = loads.run("r2")
    assert (counts["changed"], counts["to_announce"], counts["announced"]) == (3, 0, 0)
    assert [loads.stored(row.appointment_id or "")[2] for row in rows] == list(statuses)


def test_a_held_load_that_is_released_late_does_not_undo_a_newer_one(
    known: Loads, source: ScriptedSource, clock: SetClock
) -> None:
    source.says(make_row("a1", start=LATER, end=None))
    known.max_changes = 0
    with pytest.raises(LoadHeldError):
        known.run("mad")
    clock.advance(minutes=30)
    source.says(make_row("a1"))
    assert known.run("sane")["unchanged"] == 1
    before = known.snapshot()
    assert known.release("mad")["stale"] == 1
    assert known.snapshot() == before


def test_a_load_with_too_many_bad_rows_is_held_and_the_last_good_copy_stays(
    known: Loads, source: ScriptedSource, clock: SetClock
) -> None:
    before = known.snapshot()
    source.says(make_row("a1", start="27.11.2026 10:00"), make_row("a2", start="27.11.2026 11:00"), make_row("a3"))
    with pytest.raises(
        LoadHeldError, match=r"2 of 3 rows broke a rule \(66.7%, the limit is 50.0%\): start_has_offset"
    ):
        known.run("r2")
    assert known.snapshot() == before
    with known.app.database.transaction() as transaction:
        run = read_run(transaction, "r2")
    assert (run.status, run.counts["rejected"]) == ("held", 2)
    assert "start_has_offset 2" in (run.reason or "")
    known.release("r2")
    assert known.query("SELECT id FROM appointments ORDER BY id") == [("a1",), ("a3",)]


def test_a_load_whose_addresses_are_all_broken_is_held(loads: Loads, source: ScriptedSource) -> None:
    source.says(make_row(patient=make_patient(contacts=[SourceContact("phone", "0151/abc")])))
    with pytest.raises(LoadHeldError, match="1 of 1 addresses broke a rule"):
        loads.run("r1")


def test_bad_addresses_are_measured_by_a_limit_of_their_own(loads: Loads, source: ScriptedSource) -> None:
    source.says(make_row(patient=make_patient(contacts=[SourceContact("phone", "0151/abc"), PHONE, MAIL])))
    loads.max_bad_share, loads.max_bad_address_share = 0.0, 0.4
    assert loads.run("r1")["addresses_left_out"] == 1
    loads.max_bad_address_share = 0.3
    with pytest.raises(LoadHeldError, match=r"1 of 3 addresses broke a rule \(33.3%, the limit is 30.0%\)"):
        loads.run("r2")


def test_a_held_load_can_be_thrown_away(loads: Loads, source: ScriptedSource, clock: SetClock) -> None:
    source.says(make_row(status="confirmed"))
    with pytest.raises(LoadHeldError):
        loads.run("r1")
    discard_load(loads.app.database, run_id="r1", clock=clock)
    assert loads.query("SELECT count(*) FROM staging_appointments") == [(0,)]
    with pytest.raises(LoadHeldError, match="is discarded"):
        loads.release("r1")


def test_only_a_held_load_can_be_released(loads: Loads, source: ScriptedSource, clock: SetClock) -> None:
    with pytest.raises(NotFoundError):
        loads.release("nobody")
    source.says(make_row())
    loads.run("r1")
    with pytest.raises(LoadHeldError, match="only a load that is held"):
        loads.release("r1")


def test_a_load_that_was_not_checked_is_not_loaded(loads: Loads, source: ScriptedSource) -> None:
    source.says(make_row())
    loads.fetch("r1")
    with pytest.raises(LoadHeldError, match="quality gate"):
        loads.load("r1")


def test_a_row_that_left_the_answer_is_asked_for_before_it_is_believed_gone(
    loads: Loads, source: ScriptedSource, clock: SetClock
) -> None:
    source.says(make_row("a1"), make_row("a2"))
    loads.run("r1")
    clock.advance(minutes=30)
    source.says(make_row("a1"))
    counts = loads.run("r2")
    assert source.asked == ["a2"]
    assert (counts["gone"], counts["changed"]) == (1, 1)
    assert loads.stored("a2")[2] == "entered-in-error"
    clock.advance(minutes=30)
    loads.run("r3")
    assert source.asked == ["a2"]


def test_a_row_moved_beyond_the_horizon_is_loaded_as_it_stands_now(known: Loads, source: ScriptedSource) -> None:
    source.says()
    source.by_id["a1"] = make_row("a1", start="2027-01-15T10:00:00+01:00", end=None)
    counts = known.run("r2")
    assert (counts["gone"], counts["changed"]) == (0, 1)
    assert known.stored()[0] == date(2027, 1, 15)


def test_a_missing_row_that_cannot_be_asked_for_stays_as_it_was(
    known: Loads, source: ScriptedSource, clock: SetClock
) -> None:
    source.says()
    source.by_id["a1"] = AWAY
    assert known.run("r2")["changed"] == 0
    assert known.stored()[2] == "booked"
    assert close_load(known.app.database, run_id="r2", clock=clock) == [
        "1 appointments did not come and could not be asked for; they stay as known"
    ]


def test_a_load_that_lost_most_of_what_is_known_is_held_and_can_be_released(
    loads: Loads, source: ScriptedSource, clock: SetClock
) -> None:
    rows = [make_row(f"a{number}") for number in range(52)]
    source.says(*rows)
    loads.run("r1")
    clock.advance(minutes=30)
    source.says(*rows[:26])
    assert loads.run("half is left")["gone"] == 26
    source.says(*rows)
    clock.advance(minutes=30)
    loads.run("they are back")
    clock.advance(minutes=30)
    source.says(*rows[:25])
    with pytest.raises(LoadHeldError, match="27 of 52 appointments that are known ahead on the fetched days did not"):
        loads.run("less than half")
    assert loads.query("SELECT count(*) FROM appointments WHERE status = 'booked'") == [(52,)]
    loads.release("less than half")
    assert loads.query("SELECT count(*) FROM appointments WHERE status = 'booked'") == [(25,)]


@pytest.mark.parametrize(("days", "told"), [(6, []), (7, ["the patient API gave no appointment at all"])])
def test_a_week_without_any_appointment_is_told(
    loads: Loads, source: ScriptedSource, clock: SetClock, days: int, told: list[str]
) -> None:
    loads.run("r1", days=days)
    assert close_load(loads.app.database, run_id="r1", clock=clock) == told


def test_a_day_that_is_fetched_again_after_the_load_is_loaded_too(
    loads: Loads, source: ScriptedSource, clock: SetClock
) -> None:
    tomorrow = DAY + timedelta(days=1)
    source.says(make_row("a1"))
    source.days[tomorrow] = [Page((make_row("b1", start="2026-11-28T10:00:00+01:00", end=None),)), AWAY]
    loads.run("r1", days=2)
    clock.advance(minutes=5)
    moved = make_row("b1", start="2026-11-28T11:00:00+01:00", end=None)
    source.says(moved, make_row("b2", start="2026-11-28T12:00:00+01:00", end=None), day=tomorrow)
    fetch_day(loads.app.database, source, run_id="r1", day=tomorrow, clock=clock)
    assert close_load(loads.app.database, run_id="r1", clock=clock)[0].startswith("load r1 did not come to its end")
    fetch_day(loads.app.database, source, run_id="r1", day=tomorrow, clock=clock)
    fetch_missing(loads.app.database, source, run_id="r1", timezone=loads.app.settings.timezone, clock=clock)
    assert source.asked == []
    loads.check("r1")
    counts = loads.load("r1")
    assert (counts["rows"], counts["new"], counts["changed"], counts["missing"]) == (2, 1, 1, 0)
    assert close_load(loads.app.database, run_id="r1", clock=clock) == []
    assert loads.query("SELECT id FROM appointments ORDER BY id") == [("a1",), ("b1",), ("b2",)]


def test_nothing_is_believed_missing_from_a_day_that_did_not_come_whole(
    loads: Loads, source: ScriptedSource, clock: SetClock
) -> None:
    source.says(make_row("a1"), make_row("a2"))
    loads.run("r1")
    clock.advance(minutes=30)
    source.days[DAY] = [Page((make_row("a1"),), total=2)]
    loads.run("r2")
    assert source.asked == []
    assert close_load(loads.app.database, run_id="r2", clock=clock) == ["days that did not come whole: 2026-11-27"]


def test_a_day_that_came_short_is_asked_for_again(loads: Loads, source: ScriptedSource) -> None:
    answers = iter([[Page((make_row("a1"),), total=2)], [Page((make_row("a1"), make_row("a2")), total=2)]])

    def appointments_on(day: date) -> object:
        return iter(next(answers))

    source.appointments_on = appointments_on  # type: ignore[method-assign,assignment]
    assert loads.run("r1")["new"] == 2
    with loads.app.database.transaction() as transaction:
        assert read_run(transaction, "r1").complete_days == [DAY]


def test_duplicates_across_pages_become_the_newest_version(loads: Loads, source: ScriptedSource) -> None:
    old = make_row("a1", last_updated="2026-11-20T10:00:00Z", version="9")
    new = make_row("a1", last_updated="2026-11-20T10:00:00Z", version="10", start=LATER, end=None)
    source.days[DAY] = [Page((new,)), Page((old, make_row("a2")))]
    counts = loads.run("r1")
    assert (counts["rows"], counts["duplicates"]) == (2, 1)
    assert started(loads) == LATER


def test_a_replica_that_lags_does_not_undo_what_a_load_before_it_said(
    loads: Loads, source: ScriptedSource, clock: SetClock
) -> None:
    old = make_row("a1", last_updated="2026-11-20T10:00:00Z")
    new = make_row("a1", last_updated="2026-11-20T11:00:00Z", start=LATER, end=None)
    for answer, run_id in ((new, "r1"), (old, "r2"), (new, "r3"), (old, "r4")):
        source.says(answer)
        assert loads.run(run_id)["changed"] == 0
        assert started(loads) == LATER
        clock.advance(minutes=30)


def test_one_page_that_fails_for_good_keeps_the_others(loads: Loads, source: ScriptedSource, clock: SetClock) -> None:
    tomorrow = DAY + timedelta(days=1)
    source.days[DAY] = [Page((make_row("a1"),)), AWAY]
    source.says(make_row("b1", start="2026-11-28T10:00:00+01:00", end=None), day=tomorrow)
    assert loads.run("r1", days=2)["new"] == 2
    with loads.app.database.transaction() as transaction:
        assert read_run(transaction, "r1").complete_days == [tomorrow]
    assert close_load(loads.app.database, run_id="r1", clock=clock) == ["days that did not come whole: 2026-11-27"]


@pytest.mark.parametrize("error", [AWAY, SourceAnswerError("expected a FHIR Bundle")])
def test_a_day_of_which_nothing_came_raises(
    loads: Loads, source: ScriptedSource, error: Exception, clock: SetClock
) -> None:
    source.days[DAY] = [error]  # type: ignore[list-item]
    start_load(loads.app.database, run_id="r1", first_day=DAY, days=1, clock=clock)
    with pytest.raises(type(error)):
        fetch_day(loads.app.database, source, run_id="r1", day=DAY, clock=clock)


def test_changes_are_asked_for_since_the_start_of_the_last_good_load(
    loads: Loads, source: ScriptedSource, clock: SetClock
) -> None:
    first_start = clock()
    source.says(make_row("a1"))
    loads.run("r1")
    assert source.updates_asked_since is None
    clock.advance(minutes=30)
    source.updates = [AWAY]
    with pytest.raises(SourceUnavailableError):
        loads.run("r2")
    clock.advance(minutes=30)
    far = make_row("far", start="2027-03-01T09:00:00+01:00", end=None)
    source.updates = [Page((far,))]
    loads.run("r3")
    assert source.updates_asked_since == first_start - timedelta(minutes=5)
    assert loads.stored("far")[0] == date(2027, 3, 1)


def test_a_cancellation_that_lost_its_start_cancels_the_known_appointment(known: Loads, source: ScriptedSource) -> None:
    source.updates = [Page((make_row("a1", status="cancelled", start=None, end=None),))]
    source.says()
    counts = known.run("r2")
    assert (counts["changed"], counts["rejected"]) == (1, 0)
    assert known.stored() == (DAY, "Building 2, room 12", "cancelled")


def test_a_cancellation_that_lost_its_place_and_end_cancels_the_known_appointment(
    known: Loads, source: ScriptedSource
) -> None:
    source.says(make_row("a1", status="cancelled", venue=None, location_id=None, end="never"))
    counts = known.run("r2")
    assert (counts["changed"], counts["rejected"], counts["to_announce"]) == (1, 0, 1)
    assert known.stored() == (DAY, "Building 2, room 12", "cancelled")


def test_nobody_is_reminded_of_what_a_newer_row_in_quarantine_may_have_changed(
    loads: Loads, source: ScriptedSource, clock: SetClock
) -> None:
    unreadable = make_row("a1", start="27.11.2026 10:00")
    source.says(make_row("a1"), make_row("a2", patient=make_patient("bert")))
    loads.run("r1")
    planner = loads.app.reminder_planner
    assert planner.plan(REMINDER_DAY).planned == 4
    clock.advance(minutes=30)
    source.says(unreadable, make_row("a2", patient=make_patient("bert")))
    loads.run("r2")
    again = planner.plan(REMINDER_DAY)
    assert (again.superseded, again.skipped) == (2, {"in_quarantine": 1})
    clock.advance(minutes=30)
    loads.run("r3")
    once_more = planner.plan(REMINDER_DAY)
    assert (once_more.superseded, once_more.planned) == (0, 0)
    clock.advance(minutes=30)
    source.says(make_row("a1"), make_row("a2", patient=make_patient("bert")))
    loads.run("r4")
    assert planner.plan(REMINDER_DAY).planned == 2


def test_what_a_held_load_rejected_keeps_nobody_from_being_reminded(known: Loads, source: ScriptedSource) -> None:
    source.says(make_row("a1", start="27.11.2026 10:00"))
    with pytest.raises(LoadHeldError):
        known.run("r2")
    assert known.app.reminder_planner.plan(REMINDER_DAY).planned == 2


def test_a_proposal_without_a_time_is_neither_bad_nor_loaded(loads: Loads, source: ScriptedSource) -> None:
    source.says(make_row("a1"), make_row("a2", status="proposed", start=None, end=None))
    counts = loads.run("r1")
    assert (counts["rejected"], counts["unscheduled"], counts["new"]) == (0, 1, 1)


def test_a_bad_address_is_left_out_and_the_appointment_is_loaded(loads: Loads, source: ScriptedSource) -> None:
    source.says(make_row(patient=make_patient(contacts=[SourceContact("phone", "n/a"), PHONE, MAIL])))
    counts = loads.run("r1")
    assert (counts["rejected"], counts["addresses_left_out"], counts["new"]) == (0, 1, 1)
    assert loads.query("SELECT rejected, rules, appointment_id FROM quarantine") == [(False, ["phone_is_number"], "a1")]
    ((sealed, language, deceased, merged_into),) = loads.query(
        "SELECT sealed_contact, language, deceased, merged_into FROM patients"
    )
    patient = open_patient(
        patient_id="anna",
        sealed_contact=sealed,
        language=language,
        deceased=deceased,
        merged_into=merged_into,
        sealer=loads.app.sealer,
    )
    assert [contact.value for contact in patient.contacts] == [PHONE.value, MAIL.value]


def test_a_bad_row_met_again_stays_one_open_row_until_it_comes_right(
    loads: Loads, source: ScriptedSource, clock: SetClock
) -> None:
    source.says(make_row("a1", status="confirmed"), make_row(None), make_row("a2"))
    loads.max_bad_share = 0.9
    loads.run("r1")
    clock.advance(minutes=30)
    loads.run("r2")
    kept = "SELECT appointment_id, rules, resolution FROM quarantine ORDER BY appointment_id"
    assert loads.query(kept) == [
        ("a1", ["status_is_fhir_status"], None),
        (None, ["appointment_id_present"], None),
    ]
    clock.advance(minutes=30)
    source.says(make_row("a1"), make_row("a2"))
    assert loads.run("r3")["resolved"] == 1
    assert loads.query(kept)[0] == ("a1", ["status_is_fhir_status"], "loaded")


def test_quarantined_rows_are_driven_through_the_gate_again(
    loads: Loads, source: ScriptedSource, clock: SetClock
) -> None:
    unknown = replace(make_row("a1"), patients=())
    source.says(unknown, make_row("a2", status="confirmed"), make_row("a3", patient=make_patient("bert")))
    loads.max_bad_share = 0.9
    loads.run("r1")
    assert loads.query("SELECT id FROM appointments") == [("a3",)]
    clock.advance(minutes=30)
    source.says(make_row("a4"), make_row("a3", patient=make_patient("bert")), make_row("a2", status="confirmed"))
    source.by_id["a1"] = AWAY
    loads.run("r2")
    counts = redrive_quarantine(
        loads.app.database,
        redrive_id="redrive-1",
        run_id=None,
        timezone=loads.app.settings.timezone,
        max_changes=0,
        docs_path=loads.docs_path,
        acceptor=loads.app.event_acceptor,
        clock=clock,
    )
    assert (counts["rows"], counts["rejected"], counts["new"], counts["resolved"]) == (2, 1, 1, 1)
    assert loads.stored("a1")[2] == "booked"
    assert loads.query("SELECT appointment_id, run_id FROM quarantine WHERE resolved_at IS NULL") == [("a2", "r2")]


def test_a_redrive_that_fails_is_marked_failed(
    loads: Loads, source: ScriptedSource, clock: SetClock, tmp_path: Path
) -> None:
    source.says(make_row("a1", status="confirmed"), make_row("a2"))
    loads.run("r1")
    no_folder = tmp_path / "file"
    no_folder.write_text("")
    with pytest.raises(FileExistsError):
        redrive_quarantine(
            loads.app.database,
            redrive_id="redrive-1",
            run_id="r1",
            timezone=loads.app.settings.timezone,
            max_changes=0,
            docs_path=no_folder,
            acceptor=loads.app.event_acceptor,
            clock=clock,
        )
    assert loads.query("SELECT status FROM ingest_runs WHERE id = 'redrive-1'") == [("failed",)]


def test_a_new_load_removes_what_others_left_behind(loads: Loads, source: ScriptedSource, clock: SetClock) -> None:
    source.says(make_row("a1", status="confirmed"))
    for run_id in ("held first", "held last"):
        with pytest.raises(LoadHeldError):
            loads.run(run_id)
        clock.advance(minutes=30)
    loads.fetch("stuck")
    close_load(loads.app.database, run_id="stuck", clock=clock)
    clock.advance(minutes=30)
    source.says(make_row("a2"))
    loads.run("good")
    assert loads.query("SELECT DISTINCT run_id FROM staging_appointments") == [("held last",)]
    assert loads.query("SELECT id, status FROM ingest_runs ORDER BY started_at") == [
        ("held first", "discarded"),
        ("held last", "held"),
        ("stuck", "discarded"),
        ("good", "loaded"),
    ]
    with pytest.raises(LoadHeldError, match=r"stuck is discarded .*removed when a newer load began"):
        loads.check("stuck")


def test_the_surviving_record_of_a_merge_is_loaded_too(loads: Loads, source: ScriptedSource) -> None:
    merged = replace(make_patient("old"), merged_into="new")
    source.says(replace(make_row(patient=merged), patients=(merged, make_patient("new"))))
    loads.run("r1")
    assert loads.query("SELECT id, merged_into FROM patients ORDER BY id") == [("new", None), ("old", "new")]


def test_a_load_that_got_stuck_is_marked_failed(loads: Loads, source: ScriptedSource, clock: SetClock) -> None:
    source.says(make_row())
    loads.fetch("r1")
    assert close_load(loads.app.database, run_id="r1", clock=clock) == [
        "load r1 did not come to its end; the last good copy stays"
    ]
    assert loads.query("SELECT status FROM ingest_runs") == [("failed",)]


def test_nothing_personal_is_stored_in_the_clear_or_written_to_the_docs(loads: Loads, source: ScriptedSource) -> None:
    bad = make_patient("bert", contacts=[SourceContact("phone", "4711-secret"), SourceContact("email", "bert@nowhere")])
    source.says(make_row("a1"), make_row("a2", patient=bad), make_row("a3", start="tomorrow-secret"))
    loads.max_bad_share = 0.9
    loads.fetch("r1")
    loads.check("r1")
    tables = ("staging_appointments", "quarantine", "ingest_runs")
    written = "".join(str(loads.query(f"SELECT * FROM {table}")) for table in tables)
    loads.load("r1")
    written += "".join(str(loads.query(f"SELECT * FROM {table}")) for table in ("patients", "appointments"))
    pages = [
        page for page in loads.docs_path.rglob("*") if page.is_file() and page.suffix in {".html", ".json", ".yml"}
    ]
    assert pages
    written += "".join(page.read_text() for page in pages)
    secrets = ("Annegret", "4915112345678", "anna@example.org", "4711-secret", "bert@nowhere", "tomorrow-secret")
    assert [secret for secret in secrets if secret in written] == []


def test_a_place_that_an_event_named_and_a_load_knows_by_its_id_is_told_once(
    loads: Loads, source: ScriptedSource, clock: SetClock
) -> None:
    source.says(make_row(last_updated="2026-11-20T08:00:00Z"))
    loads.run("r1")
    moved = Appointment(
        "a1", "anna", datetime.fromisoformat(START), None, Venue("Building 9, room 1"), AppointmentStatus.BOOKED
    )
    accepted = loads.app.event_acceptor.accept(
        ChangeEvent("e1", EventType.VENUE_CHANGED, clock.now, moved), body={"event_id": "e1"}
    )
    assert accepted.outcome == "notified"
    clock.advance(minutes=30)
    after_the_event = clock.now.isoformat()
    source.says(make_row(venue="Building 9, room 1", location_id="loc-9", last_updated=after_the_event))
    assert loads.run("r2")["changed"] == 0
    told = loads.query("SELECT kind, count(*) FROM notifications GROUP BY kind")
    assert told == [("venue_changed", len(accepted.notification_ids))]
