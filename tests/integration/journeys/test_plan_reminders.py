"""Planning against real PostgreSQL: once for each patient, day and channel, and never about what is no longer true."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from carenotify.app import App
from carenotify.domain.patient import ContactPoint
from carenotify.errors import DecryptionError, PlanDayError, WindowClosedError
from carenotify.journeys.report_delivery import report_delivery
from tests.integration.ward import NOON, Hospital, SetClock, make_unreadable

TODAY = date(2026, 11, 24)
IN_THREE_DAYS = NOON + timedelta(days=3, hours=2)


def test_one_message_for_each_channel_of_a_patient(app: App, hospital: Hospital) -> None:
    hospital.add_patient()
    hospital.add_appointment()
    planned = app.reminder_planner.plan(TODAY)
    assert (planned.appointments_due, planned.patient_days, planned.planned) == (1, 1, 2)
    assert [count for _, count in planned.batches] == [2]
    rows = hospital.query("SELECT channel, lane, status, due_at, expires_at FROM notifications ORDER BY channel")
    closes = datetime(2026, 11, 24, 11, tzinfo=UTC)
    assert rows == [("email", "low", "pending", NOON, closes), ("sms", "low", "pending", NOON, closes)]


def test_planning_twice_plans_nothing_more(app: App, hospital: Hospital) -> None:
    hospital.add_patient()
    hospital.add_appointment()
    app.reminder_planner.plan(TODAY)
    again = app.reminder_planner.plan(TODAY)
    assert (again.planned, again.superseded, again.patient_days) == (0, 0, 0)
    assert [count for _, count in again.batches] == [2]
    assert hospital.statuses() == Counter(pending=2)


def test_several_appointments_of_a_day_make_one_message(app: App, hospital: Hospital) -> None:
    hospital.add_patient(mail=None)
    hospital.add_appointment("a1")
    hospital.add_appointment("a2", start=IN_THREE_DAYS + timedelta(hours=1))
    hospital.add_appointment("b1", start=IN_THREE_DAYS - timedelta(days=1))
    planned = app.reminder_planner.plan(TODAY)
    assert (planned.appointments_due, planned.patient_days, planned.planned) == (3, 2, 2)


def test_an_appointment_booked_after_the_plan_joins_the_waiting_digest(app: App, hospital: Hospital) -> None:
    hospital.add_patient(mail=None)
    hospital.add_appointment("a1")
    app.reminder_planner.plan(TODAY)
    hospital.add_appointment("a2", start=IN_THREE_DAYS + timedelta(hours=1))
    again = app.reminder_planner.plan(TODAY)
    assert (again.superseded, again.planned) == (1, 1)
    told = hospital.query(
        "SELECT count(*) FROM notification_appointments JOIN notifications ON id = notification_id"
        " WHERE status = 'pending'"
    )
    assert told == [(2,)]


def test_a_digest_that_was_sent_is_not_repeated_for_a_later_booking(app: App, hospital: Hospital) -> None:
    hospital.add_patient(mail=None)
    hospital.add_appointment("a1")
    app.reminder_planner.plan(TODAY)
    hospital.query("UPDATE notifications SET status = 'sent' RETURNING 1")
    hospital.add_appointment("a2", start=IN_THREE_DAYS + timedelta(hours=1))
    app.reminder_planner.plan(TODAY)
    told = hospital.query(
        "SELECT appointment_id FROM notification_appointments JOIN notifications ON id = notification_id"
        " WHERE status = 'pending'"
    )
    assert told == [("a2",)]


def test_a_changed_appointment_supersedes_its_waiting_reminder(app: App, hospital: Hospital) -> None:
    hospital.add_patient(mail=None)
    hospital.add_appointment("a1")
    app.reminder_planner.plan(TODAY)
    hospital.add_appointment("a1", start=IN_THREE_DAYS + timedelta(hours=3))
    app.reminder_planner.plan(TODAY)
    assert hospital.statuses() == Counter(superseded=1, pending=1)


def test_a_cancelled_appointment_supersedes_its_waiting_reminder(app: App, hospital: Hospital) -> None:
    hospital.add_patient(mail=None)
    hospital.add_appointment("a1")
    app.reminder_planner.plan(TODAY)
    hospital.add_appointment("a1", status="cancelled")
    planned = app.reminder_planner.plan(TODAY)
    assert hospital.statuses() == Counter(superseded=1)
    assert planned.skipped == {"cancelled": 1}


def test_what_ran_out_of_time_is_caught_up_the_next_day(app: App, hospital: Hospital, clock: SetClock) -> None:
    hospital.add_patient(mail=None)
    hospital.add_appointment("a1")
    app.reminder_planner.plan(TODAY)
    hospital.query("UPDATE notifications SET status = 'expired' RETURNING 1")
    clock.advance(days=1)
    assert app.reminder_planner.plan(TODAY + timedelta(days=1)).planned == 1


def test_what_was_sent_or_failed_is_not_caught_up(app: App, hospital: Hospital, clock: SetClock) -> None:
    for number, status in enumerate(("sent", "failed", "delivered", "unsubscribed")):
        hospital.add_patient(f"p{number}", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}")
        app.reminder_planner.plan(TODAY)
        hospital.query("UPDATE notifications SET status = %s WHERE patient_id = %s RETURNING 1", status, f"p{number}")
    clock.advance(days=1)
    assert app.reminder_planner.plan(TODAY + timedelta(days=1)).planned == 0


@pytest.mark.parametrize(("possible_duplicate", "planned"), [(False, 1), (True, 0)])
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("failed", "retries_spent"),
        ("failed", "provider_down"),
        ("failed", "carrier"),
        ("failed", "address_rejected"),
        ("bounced", "bounced"),
    ],
)
def test_what_surely_reached_nobody_is_caught_up_unless_it_may_have_arrived(
    app: App, hospital: Hospital, clock: SetClock, status: str, reason: str, *, possible_duplicate: bool, planned: int
) -> None:
    hospital.add_patient(mail=None)
    hospital.add_appointment()
    app.reminder_planner.plan(TODAY)
    hospital.query(
        "UPDATE notifications SET status = %s, reason = %s, possible_duplicate = %s RETURNING 1",
        status,
        reason,
        possible_duplicate,
    )
    clock.advance(days=1)
    assert app.reminder_planner.plan(TODAY + timedelta(days=1)).planned == planned


def test_a_number_that_is_dead_is_not_tried_again_on_the_next_day_and_that_is_counted(
    app: App, hospital: Hospital, clock: SetClock
) -> None:
    hospital.add_patient(mail=None)
    hospital.add_appointment()
    app.reminder_planner.plan(TODAY)
    hospital.query("UPDATE notifications SET status = 'failed', reason = 'address_rejected' RETURNING 1")
    hospital.query("INSERT INTO suppressions SELECT unnest(address_indexes), 'rejected' FROM patients RETURNING 1")
    clock.advance(days=1)
    planned = app.reminder_planner.plan(TODAY + timedelta(days=1))
    assert (planned.planned, sum(planned.skipped.values())) == (0, 1)


def test_appointments_inside_the_three_days_are_caught_up_on_and_later_ones_are_not(
    app: App, hospital: Hospital
) -> None:
    hospital.add_patient(mail=None)
    for days in range(-1, 6):
        hospital.add_appointment(f"in-{days}", start=NOON + timedelta(days=days, hours=1))
    planned = app.reminder_planner.plan(TODAY)
    told = {row[0] for row in hospital.query("SELECT appointment_id FROM notification_appointments")}
    assert told == {"in-0", "in-1", "in-2", "in-3"}
    assert planned.skipped == {}


def test_a_closed_window_stores_nothing(app: App, hospital: Hospital, clock: SetClock) -> None:
    hospital.add_patient()
    hospital.add_appointment()
    clock.now = datetime(2026, 11, 24, 11, tzinfo=UTC)
    with pytest.raises(WindowClosedError, match="09:00-12:00 of 2026-11-24 is over"):
        app.reminder_planner.plan(TODAY)
    assert hospital.query("SELECT count(*) FROM notifications") == [(0,)]


def test_a_past_day_stores_nothing(app: App, hospital: Hospital) -> None:
    hospital.add_patient()
    hospital.add_appointment()
    with pytest.raises(WindowClosedError):
        app.reminder_planner.plan(TODAY - timedelta(days=1))
    assert hospital.query("SELECT count(*) FROM notifications") == [(0,)]


def test_a_day_to_come_can_only_be_looked_at(app: App, hospital: Hospital) -> None:
    hospital.add_patient()
    hospital.add_appointment(start=IN_THREE_DAYS + timedelta(days=1))
    with pytest.raises(PlanDayError):
        app.reminder_planner.plan(TODAY + timedelta(days=1))
    seen = app.reminder_planner.plan(TODAY + timedelta(days=1), dry_run=True)
    assert (seen.planned, seen.batches) == (2, [])
    assert hospital.query("SELECT count(*) FROM notifications") == [(0,)]


def test_an_early_run_waits_for_the_window(app: App, hospital: Hospital, clock: SetClock) -> None:
    hospital.add_patient(mail=None)
    hospital.add_appointment()
    clock.now = datetime(2026, 11, 24, 6, tzinfo=UTC)
    planned = app.reminder_planner.plan(TODAY)
    assert (planned.planned, planned.batches) == (1, [])
    assert hospital.query("SELECT due_at FROM notifications") == [(datetime(2026, 11, 24, 8, tzinfo=UTC),)]


def test_nine_is_nine_on_the_day_the_clocks_change(app: App, hospital: Hospital, clock: SetClock) -> None:
    hospital.add_patient(mail=None)
    hospital.add_appointment(start=datetime(2026, 3, 31, 8, tzinfo=UTC))
    clock.now = datetime(2026, 3, 29, 5, tzinfo=UTC)
    app.reminder_planner.plan(date(2026, 3, 29))
    assert hospital.query("SELECT due_at, expires_at FROM notifications") == [
        (datetime(2026, 3, 29, 7, tzinfo=UTC), datetime(2026, 3, 29, 10, tzinfo=UTC))
    ]


def test_every_skip_has_a_counted_reason(app: App, hospital: Hospital) -> None:
    old = ContactPoint("phone", "+4915112345670", use="old", textable=True)
    landline = ContactPoint("phone", "+493012345", use="home", textable=False)
    hospital.add_patient("gone", deceased=True)
    hospital.add_patient("silent", contacts=[])
    hospital.add_patient("landline", contacts=[landline])
    hospital.add_patient("moved", contacts=[old])
    hospital.add_patient("refuses")
    hospital.set_preferences("refuses", opted_out_kinds=["*"])
    hospital.add_patient("no-sms", mail=None)
    hospital.set_preferences("no-sms", opted_out_channels=["sms"])
    hospital.add_patient("anna")
    for patient in ("gone", "silent", "landline", "moved", "refuses", "no-sms", "unknown"):
        hospital.add_appointment(f"of-{patient}", patient)
    for status in ("cancelled", "noshow", "entered-in-error", "waitlist"):
        hospital.add_appointment(f"is-{status}", "anna", status=status)
    planned = app.reminder_planner.plan(TODAY)
    assert planned.planned == 0
    assert planned.skipped == {
        "deceased": 1,
        "no_contact": 1,
        "no_usable_address": 2,
        "opted_out": 2,
        "patient_unknown": 1,
        "cancelled": 1,
        "no_show": 1,
        "entered_in_error": 1,
        "not_booked": 1,
    }
    stored = dict(hospital.query("SELECT reason, sum(appointments)::int FROM reminder_skips GROUP BY reason"))
    assert stored == planned.skipped


def test_a_record_that_cannot_be_opened_costs_only_its_own_patient(app: App, hospital: Hospital) -> None:
    for patient in ("anna", "bert", "carl"):
        hospital.add_patient(patient)
        hospital.add_appointment(f"of-{patient}", patient)
    make_unreadable(hospital, "bert", "carl")
    hospital.query("UPDATE patients SET deceased = true WHERE id = 'carl' RETURNING 1")
    planned = app.reminder_planner.plan(TODAY)
    assert (planned.planned, planned.skipped) == (2, {"unreadable": 1, "deceased": 1})
    again = app.reminder_planner.plan(TODAY)
    assert (again.planned, again.skipped) == (0, {"unreadable": 1, "deceased": 1})
    report = report_delivery(TODAY, database=app.database, settings=app.settings)
    assert (report.patient_days_due, report.untold) == (1, 0)


def test_with_keys_that_open_nothing_there_is_no_plan_at_all(app: App, hospital: Hospital) -> None:
    hospital.add_patient()
    hospital.add_appointment()
    app.reminder_planner.plan(TODAY)
    hospital.add_appointment(venue="Radiology")
    make_unreadable(hospital, "anna")
    with pytest.raises(DecryptionError, match="CARENOTIFY_ENCRYPTION_KEYS"):
        app.reminder_planner.plan(TODAY)
    assert hospital.statuses() == Counter(pending=2)
    assert hospital.query("SELECT count(*) FROM reminder_skips") == [(0,)]


def test_a_suppressed_address_is_not_used(app: App, hospital: Hospital) -> None:
    patient = hospital.add_patient()
    hospital.add_appointment()
    index = app.sealer.index(patient.contacts[0].value)
    hospital.query("INSERT INTO suppressions (address_index, reason) VALUES (%s, 'opted_out') RETURNING 1", index)
    app.reminder_planner.plan(TODAY)
    assert hospital.query("SELECT channel FROM notifications") == [("email",)]


def test_an_appointment_of_a_merged_record_goes_to_the_surviving_one(app: App, hospital: Hospital) -> None:
    hospital.add_patient("survivor", mail=None)
    hospital.add_patient("merged", contacts=[], merged_into="survivor")
    hospital.add_appointment("a1", "merged")
    hospital.add_appointment("a2", "survivor", start=IN_THREE_DAYS + timedelta(hours=1))
    planned = app.reminder_planner.plan(TODAY)
    assert (planned.patient_days, planned.planned) == (1, 1)
    assert hospital.query("SELECT patient_id FROM notifications") == [("survivor",)]


def test_records_that_were_merged_one_after_the_other_lead_to_the_last(app: App, hospital: Hospital) -> None:
    hospital.add_patient("first", contacts=[], merged_into="second")
    hospital.add_patient("second", contacts=[], merged_into="third")
    hospital.add_patient("third", mail=None)
    hospital.add_appointment("a1", "first")
    app.reminder_planner.plan(TODAY)
    assert hospital.query("SELECT patient_id FROM notifications") == [("third",)]
    hospital.add_appointment("a2", "second", start=IN_THREE_DAYS + timedelta(hours=1))
    again = app.reminder_planner.plan(TODAY)
    assert (again.superseded, again.planned, again.patient_days) == (1, 1, 1)


@pytest.mark.parametrize("booked_under", ["old", "survivor"])
@pytest.mark.parametrize("noted_on", ["old", "survivor"])
def test_an_opt_out_on_any_record_of_a_person_holds_for_the_person(
    app: App, hospital: Hospital, booked_under: str, noted_on: str
) -> None:
    hospital.add_patient("survivor")
    hospital.add_patient("old", contacts=[], merged_into="survivor")
    hospital.set_preferences("old" if noted_on == "survivor" else "survivor", opted_out_channels=["email"])
    hospital.set_preferences(noted_on, opted_out_kinds=["reminder"])
    hospital.add_appointment("a1", booked_under)
    assert app.reminder_planner.plan(TODAY).skipped == {"opted_out": 1}
    hospital.query("UPDATE preferences SET opted_out_kinds = '{}' RETURNING 1")
    app.reminder_planner.plan(TODAY)
    assert hospital.query("SELECT patient_id, channel FROM notifications") == [("survivor", "sms")]


@pytest.mark.parametrize("booked_under", ["old", "survivor"])
def test_a_death_noted_on_any_record_of_a_person_counts(app: App, hospital: Hospital, booked_under: str) -> None:
    hospital.add_patient("survivor")
    hospital.add_patient("old", contacts=[], merged_into="survivor", deceased=True)
    hospital.add_appointment("a1", booked_under)
    assert app.reminder_planner.plan(TODAY).skipped == {"deceased": 1}


def test_what_was_wished_on_the_surviving_record_goes_before_the_old_ones(app: App, hospital: Hospital) -> None:
    hospital.add_patient("survivor")
    hospital.add_patient("old", contacts=[], merged_into="survivor")
    hospital.set_preferences("old", channels=["email"])
    hospital.add_appointment("a1", "old")
    app.reminder_planner.plan(TODAY)
    assert hospital.query("SELECT channel FROM notifications") == [("email",)]
    hospital.set_preferences("survivor", channels=["sms"])
    hospital.add_appointment("b1", "old", start=IN_THREE_DAYS - timedelta(days=1))
    app.reminder_planner.plan(TODAY)
    assert hospital.query("SELECT channel FROM notifications ORDER BY id") == [("email",), ("sms",)]


def test_records_that_were_never_merged_are_spared_the_price_of_following_merges(app: App, hospital: Hospital) -> None:
    """It is a recursive query for each row: six minutes for 100,000, where there are no statistics yet."""
    with app.database.transaction() as transaction:
        transaction.execute("""
            CREATE OR REPLACE FUNCTION person_records(patient_id text) RETURNS text[] LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'asked for the records of a patient'; END $$
        """)
    for number in range(3):
        hospital.add_patient(f"p{number}", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}")
    assert app.reminder_planner.plan(TODAY).planned == 3
    hospital.add_appointment("later", "p1")
    assert app.reminder_planner.plan(TODAY).superseded == 1


def test_records_that_are_said_to_have_replaced_each_other_make_nobody_wait(app: App, hospital: Hospital) -> None:
    hospital.add_patient("one", mail=None, merged_into="other")
    hospital.add_patient("other", mail=None, merged_into="one")
    hospital.add_appointment("a1", "one")
    assert app.reminder_planner.plan(TODAY).planned == 1


def test_a_patient_who_wants_sms_but_gave_only_a_mail_address_is_told_by_mail(app: App, hospital: Hospital) -> None:
    hospital.add_patient(phone=None)
    hospital.set_preferences(channels=["sms"])
    hospital.add_appointment()
    app.reminder_planner.plan(TODAY)
    assert hospital.query("SELECT channel FROM notifications") == [("email",)]


def test_batches_cover_everything_once(app: App, hospital: Hospital) -> None:
    object.__setattr__(app.settings, "publish_batch", 7)
    for number in range(20):
        hospital.add_patient(f"p{number}", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}")
    planned = app.reminder_planner.plan(TODAY)
    assert [count for _, count in planned.batches] == [7, 7, 6]
    covered = [
        row[0]
        for within, _ in planned.batches
        for row in hospital.query("SELECT id FROM notifications WHERE id BETWEEN %s AND %s", within.first, within.last)
    ]
    assert len(covered) == len(set(covered)) == 20


def test_no_personal_data_is_stored_in_the_clear(app: App, hospital: Hospital) -> None:
    hospital.add_patient(given_name="Zebedäus")
    hospital.add_appointment()
    app.reminder_planner.plan(TODAY)
    stored = str(hospital.query("SELECT n::text, p::text FROM notifications n, patients p"))
    for secret in ("Zebed", "15112345678", "example.org"):
        assert secret not in stored
