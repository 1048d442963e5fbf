"""Why patients were not reached, told from a day's reminders."""

from __future__ import annotations

from uuid import uuid4

from carenotify.journeys.report_evening import unreached
from carenotify.storage.delivery_report import ReminderRow


def reminder(patient: str, status: str, reason: str | None = None, *, day: str = "2026-11-24") -> ReminderRow:
    reached = status in {"sent", "delivered"} or reason == "complaint"
    return ReminderRow(uuid4(), "sms", status, reason, reached, None, False, patient, day)


def test_what_failed_counts_for_messages_and_for_patients_only_when_nothing_else_reached_them() -> None:
    found = unreached(
        [
            reminder("anna", "failed", "carrier"),
            reminder("anna", "delivered"),
            reminder("berta", "failed", "carrier"),
            reminder("berta", "expired", "window_closed"),
            reminder("berta", "failed", "carrier", day="2026-11-25"),
        ]
    )
    assert found.messages == {"carrier": 3, "window_closed": 1}
    assert found.patient_days == {"carrier": 2, "window_closed": 1}
    assert found.patient_days_waiting == 0


def test_two_messages_that_failed_alike_are_one_patient() -> None:
    found = unreached([reminder("anna", "failed", "carrier"), reminder("anna", "failed", "carrier")])
    assert (found.messages, found.patient_days) == ({"carrier": 2}, {"carrier": 1})


def test_whoever_still_has_a_message_on_the_way_is_told_apart() -> None:
    rows = [
        reminder("anna", "bounced"),
        reminder("anna", "queued"),
        reminder("berta", "sending"),
        reminder("c", "sent"),
    ]
    found = unreached([*rows, reminder("c", "pending")])
    assert found.patient_days_waiting == 2
    assert found.patient_days == {"bounced": 1}


def test_without_a_reason_it_is_told_how_it_ended() -> None:
    assert unreached([reminder("anna", "suppressed")]).messages == {"suppressed": 1}


def test_what_a_newer_one_replaced_says_nothing_and_what_was_called_off_says_so() -> None:
    rows = [reminder("anna", "superseded", "replanned"), reminder("berta", "cancelled", "cancelled_by_request")]
    assert unreached(rows).patient_days == {"cancelled_by_request": 1}


def test_a_message_that_its_reader_complained_of_has_arrived() -> None:
    assert unreached([reminder("anna", "unsubscribed", "complaint")]).messages == {}
