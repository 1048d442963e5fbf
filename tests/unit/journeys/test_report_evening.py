"""Why patients were not reached, told from a day's reminders."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from carenotify.journeys.report_evening import is_plan_late, unreached
from carenotify.storage.delivery_report import ReminderRow, ReportedDay


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


OPENS = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
DAY = ReportedDay(
    day=date(2026, 11, 24),
    timezone="Europe/Berlin",
    since=OPENS - timedelta(hours=9),
    until=OPENS + timedelta(hours=15),
    opens=OPENS,
    closes=OPENS + timedelta(hours=15),
    horizon=OPENS + timedelta(days=3),
    days_before=3,
)


@pytest.mark.parametrize(("minutes", "is_late"), [(14, False), (15, True), (600, True)])
def test_a_plan_is_late_when_its_grace_is_over_and_not_only_when_the_window_is(minutes: int, *, is_late: bool) -> None:
    assert is_plan_late(DAY, now=OPENS + timedelta(minutes=minutes), grace_minutes=15) is is_late


def test_no_plan_is_late_where_nothing_is_planned_or_the_window_is_empty() -> None:
    now = OPENS + timedelta(hours=20)
    assert not is_plan_late(DAY, now=now, grace_minutes=0)
    assert not is_plan_late(replace(DAY, closes=OPENS), now=now, grace_minutes=15)
