"""The figures of a day: each must agree with the rows that it is counted from."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from carenotify.app import App
from carenotify.journeys.report_delivery import DeliveryReport, report_delivery
from tests.integration.ward import NOON, Hospital, SetClock

TODAY = date(2026, 11, 24)
IN_THREE_DAYS = NOON + timedelta(days=3, hours=2)


def report(app: App, day: date = TODAY) -> DeliveryReport:
    return report_delivery(day, database=app.database, settings=app.settings)


@pytest.fixture
def ward(app: App, hospital: Hospital) -> Hospital:
    """Anna has two of one day by both channels, Berta one by SMS, and two people are skipped."""
    hospital.add_patient("anna")
    hospital.add_appointment("a1", "anna")
    hospital.add_appointment("a2", "anna", start=IN_THREE_DAYS + timedelta(hours=1))
    hospital.add_patient("berta", mail=None)
    hospital.add_appointment("b1", "berta")
    hospital.add_patient("gone", deceased=True)
    hospital.add_appointment("g1", "gone")
    hospital.add_patient("silent", contacts=[])
    hospital.add_appointment("s1", "silent")
    app.reminder_planner.plan(TODAY)
    return hospital


def test_a_day_without_reminders_has_no_share(app: App) -> None:
    told = report(app)
    assert (told.appointments_due, told.patient_days_due, told.notifications, told.reached_share) == (0, 0, 0, None)


def test_due_is_counted_by_appointments_and_by_patient_days(app: App, ward: Hospital) -> None:
    told = report(app)
    assert (told.appointments_due, told.patient_days_due, told.patient_days_reached) == (3, 2, 0)
    assert (told.notifications, told.by_channel) == (3, {"sms": 2, "email": 1})
    assert told.by_status == {"pending": 3}
    assert told.skipped == {"deceased": 1, "no_contact": 1}
    assert told.reached_share == 0


def test_a_patient_day_is_reached_by_any_of_its_messages(app: App, ward: Hospital) -> None:
    ward.query(
        "UPDATE notifications SET status = CASE channel WHEN 'sms' THEN 'failed' ELSE 'sent' END,"
        " reason = CASE channel WHEN 'sms' THEN 'retries_spent' END RETURNING 1"
    )
    told = report(app)
    assert (told.patient_days_due, told.patient_days_reached, told.reached_share) == (2, 1, 0.5)
    assert told.by_status == {"failed": 2, "sent": 1}
    assert told.by_reason == {"retries_spent": 2}


def test_a_bounce_reached_nobody_and_a_receipt_did(app: App, ward: Hospital) -> None:
    ward.query(
        "UPDATE notifications SET status = CASE patient_id WHEN 'anna' THEN 'bounced' ELSE 'delivered' END RETURNING 1"
    )
    assert report(app).patient_days_reached == 1


def test_a_patient_day_is_reached_by_what_took_the_place_of_a_message_that_failed(app: App, ward: Hospital) -> None:
    ward.query(
        "UPDATE notifications SET status = 'failed', reason = 'message_rejected', finished_at = now() RETURNING 1"
    )
    assert report(app).patient_days_reached == 0
    ward.query("DELETE FROM notifications WHERE patient_id = 'anna' AND channel = 'email' RETURNING 1")
    app.fallback_sweeper.sweep()
    ward.query("UPDATE notifications SET status = 'sent' WHERE fallback_of IS NOT NULL RETURNING 1")
    told = report(app)
    assert (told.patient_days_due, told.patient_days_reached, told.untold) == (2, 1, 0)
    assert (told.fallbacks, told.by_channel, told.reached_by_channel) == (1, {"sms": 2, "email": 1}, {"email": 1})
    assert (told.appointments_due, told.notifications, len(told.notification_ids or ())) == (3, 3, 3)


def test_what_reaches_on_both_channels_counts_on_both_and_once_in_all(app: App, ward: Hospital) -> None:
    ward.query("UPDATE notifications SET status = 'delivered' RETURNING 1")
    told = report(app)
    assert (told.patient_days_reached, told.reached_by_channel) == (2, {"sms": 2, "email": 1})


def test_whoever_complains_of_a_message_has_it_and_whoever_said_stop_before_has_not(app: App, ward: Hospital) -> None:
    ward.query(
        "UPDATE notifications SET status = 'unsubscribed',"
        " reason = CASE patient_id WHEN 'anna' THEN 'complaint' ELSE 'opted_out' END RETURNING 1"
    )
    assert report(app).patient_days_reached == 1


def test_suppressions_receipts_and_dead_letters_of_the_day_are_counted(app: App, ward: Hospital) -> None:
    yesterday = NOON - timedelta(days=1)
    for number, (reason, at) in enumerate((("bounced", NOON), ("bounced", NOON), ("rejected", yesterday))):
        ward.query("INSERT INTO suppressions VALUES (%s, %s, %s) RETURNING 1", bytes([number]), reason, at)
    for word, status, at in (("delivered", "delivered", NOON), ("queued", None, NOON), ("failed", "failed", yesterday)):
        ward.query(
            "INSERT INTO receipts"
            " (notification_id, provider, provider_message_id, provider_status, status, received_at)"
            " VALUES (gen_random_uuid(), 'twilio', 'SM1', %s, %s, %s) RETURNING 1",
            word,
            status,
            at,
        )
    for resolution in (None, "fallback", "fallback", "due_again"):
        ward.query(
            "INSERT INTO dead_letters (notification_id, reason, attempts, created_at, resolution)"
            " VALUES (gen_random_uuid(), 'bounced', 1, %s, %s) RETURNING 1",
            NOON,
            resolution,
        )
    told = report(app)
    assert told.suppressions == {"bounced": 2}
    assert told.receipts == {"delivered": 1, "progress": 1}
    assert told.dead_letters == {"fallback": 2, "open": 1}


def seen_in_the_morning(ward: Hospital) -> None:
    """All appointments were known before the window closed."""
    ward.query("UPDATE appointments SET updated_at = %s RETURNING 1", NOON - timedelta(hours=2))


def test_what_the_plan_overlooked_is_due_and_untold(app: App, ward: Hospital) -> None:
    """Counted from the appointments: were it counted from what was planned, nothing could ever be missing."""
    ward.query("DELETE FROM notification_appointments WHERE appointment_id = 'b1' RETURNING 1")
    ward.query("DELETE FROM reminder_skips WHERE patient_id = 'silent' RETURNING 1")
    seen_in_the_morning(ward)
    told = report(app)
    assert (told.appointments_due, told.appointments_untold) == (4, 2)
    assert (told.patient_days_due, told.untold) == (3, 2)
    ward.query("UPDATE notifications SET status = 'sent' WHERE patient_id = 'anna' RETURNING 1")
    assert report(app).reached_share == pytest.approx(1 / 3)


def test_a_plan_that_never_ran_leaves_everybody_untold(app: App, hospital: Hospital) -> None:
    hospital.add_patient("anna")
    hospital.add_appointment("a1", "anna")
    hospital.add_appointment("far", "anna", start=NOON + timedelta(days=4))
    hospital.add_appointment("over", "anna", start=NOON - timedelta(hours=1))
    hospital.add_appointment("off", "anna", status="cancelled")
    seen_in_the_morning(hospital)
    told = report(app)
    assert (told.appointments_due, told.appointments_untold, told.untold) == (1, 1, 1)
    assert told.reached_share == 0


def test_the_reason_of_one_appointment_does_not_hide_another_of_that_day(app: App, hospital: Hospital) -> None:
    hospital.add_patient("anna")
    hospital.add_appointment("off", "anna", status="cancelled")
    app.reminder_planner.plan(TODAY)
    hospital.add_appointment("a1", "anna")
    seen_in_the_morning(hospital)
    assert (report(app).skipped, report(app).untold) == ({"cancelled": 1}, 1)


def test_a_skip_of_the_surviving_record_accounts_for_the_records_before_it(app: App, hospital: Hospital) -> None:
    for patient_id, into in (("first", "second"), ("second", "last"), ("last", None)):
        hospital.add_patient(patient_id, merged_into=into, deceased=patient_id == "last")
    hospital.add_appointment("a1", "first")
    seen_in_the_morning(hospital)
    assert report(app).untold == 1
    app.reminder_planner.plan(TODAY)
    assert (report(app).skipped, report(app).untold) == ({"deceased": 1}, 0)


def test_what_was_told_on_an_earlier_day_is_not_due_again(app: App, ward: Hospital, clock: SetClock) -> None:
    seen_in_the_morning(ward)
    clock.advance(days=1)
    app.reminder_planner.plan(TODAY + timedelta(days=1))
    told = report(app, TODAY + timedelta(days=1))
    assert (told.appointments_due, told.untold) == (0, 0)


def test_what_was_booked_after_the_window_is_due_on_the_next_day(app: App, hospital: Hospital) -> None:
    hospital.add_patient("late")
    hospital.add_appointment("l1", "late")
    hospital.query("UPDATE appointments SET updated_at = %s RETURNING 1", NOON + timedelta(hours=4))
    assert report(app).untold == 0
    assert report(app, TODAY + timedelta(days=1)).untold == 1


def test_possible_duplicates_are_counted(app: App, ward: Hospital) -> None:
    ward.query("UPDATE notifications SET possible_duplicate = channel = 'email' RETURNING 1")
    assert report(app).possible_duplicates == 1


def test_every_notification_is_named_so_that_receivers_can_be_compared(app: App, ward: Hospital) -> None:
    rows = ward.query("SELECT id::text, channel, status, patient_id, '2026-11-27' FROM notifications")
    names = ("channel", "status", "patient_id", "appointment_day")
    assert report(app).notification_ids == {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows}


def test_what_was_replaced_is_shown_and_not_due_twice(app: App, ward: Hospital) -> None:
    ward.add_appointment("b1", "berta", start=IN_THREE_DAYS + timedelta(hours=4))
    app.reminder_planner.plan(TODAY)
    told = report(app)
    assert (told.appointments_due, told.patient_days_due) == (3, 2)
    assert told.by_status == {"pending": 3, "superseded": 1}


def test_a_report_is_of_its_own_day(app: App, ward: Hospital, clock: SetClock) -> None:
    clock.advance(days=1)
    ward.add_patient("dora", mail=None)
    ward.add_appointment("d1", "dora")
    app.reminder_planner.plan(TODAY + timedelta(days=1))
    assert report(app, TODAY).notifications == 3
    assert report(app, TODAY + timedelta(days=1)).notifications == 1


def test_quarantined_rows_and_addresses_left_out_are_told_apart(app: App, ward: Hospital) -> None:
    for key, rejected in (("r1", True), ("r2", True), ("c1", False)):
        ward.query(
            "INSERT INTO quarantine (run_id, row_key, rules, sealed_row, fetched_at, rejected, quarantined_at)"
            " VALUES ('run', %s, '{rule}', '', %s, %s, %s) RETURNING 1",
            key,
            NOON,
            rejected,
            NOON,
        )
    told = report(app)
    assert (told.quarantined, told.addresses_left_out) == (2, 1)
