"""Loss and duplicates are counted against the receivers, never against our own database alone."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

from stack import demo_report
from stack.demo import _patience
from stack.demo_changes import Posted
from stack.demo_replies import Replies, text_of_each
from stack.demo_waiting import Moved, waiting_reminders

NO_CHANGES = Posted(0, set(), 0.0)


def day(**statuses: str) -> dict[str, Any]:
    told = {
        id_: {"channel": "sms", "status": status, "patient_id": f"pat-{id_}", "appointment_day": "2026-11-27"}
        for id_, status in statuses.items()
    }
    by_status: dict[str, int] = {}
    for status in statuses.values():
        by_status[status] = by_status.get(status, 0) + 1
    return {
        "appointments_due": len(told),
        "patient_days_due": len(told),
        "notifications": len(told),
        "by_channel": {"sms": len(told)},
        "by_status": by_status,
        "skipped": {"opted_out": 2},
        "receipts": {"delivered": 1},
        "suppressions": {},
        "dead_letters": {},
        "fallbacks": 0,
        "quarantined": 1,
        "untold": 0,
        "expected_patient_days": len(told),
        "expected_reached": len(told),
        "expected_reachable": len(told),
        "expected_reachable_reached": len(told),
        "expected_with_two_addresses": 0,
        "expected_with_two_addresses_reached": 0,
        "expected_without_message": 0,
        "told_against_expectation": 0,
        "notification_ids": told,
    }


def written(
    folder: Path,
    report: dict[str, Any],
    times: dict[str, int],
    *,
    before: set[str] | None = None,
    changes: Posted = NO_CHANGES,
    moved: Moved | None = None,
    replies: Replies | None = None,
    by_kind: dict[str, int] | None = None,
) -> demo_report.Report:
    counts = {id_: {"channel": "sms", "times": number} for id_, number in times.items()}
    stats = {"api_calls": 40, "api_failures": 4, "by_kind": by_kind or {}}
    return demo_report.write(
        folder / "report.json",
        report=report,
        counts=counts,
        stats=stats,
        seconds={"ingest": 1.25},
        before=before or set(),
        changes=changes,
        moved=moved or Moved(),
        replies=replies or Replies(),
    )


def test_what_the_receivers_have_once_is_neither_lost_nor_twice(tmp_path: Path) -> None:
    found = written(tmp_path, day(a="sent", b="delivered"), {"a": 1, "b": 1})
    assert (found["lost"], found["duplicates"], found["received"]) == (0, 0, 2)
    assert json.loads((tmp_path / "report.json").read_text()) == found


def test_a_notification_that_is_sent_for_us_and_unknown_to_the_receiver_is_lost(tmp_path: Path) -> None:
    assert written(tmp_path, day(a="sent", b="delivered"), {"a": 1})["lost"] == 1


def test_a_notification_that_never_reached_a_final_status_is_lost(tmp_path: Path) -> None:
    assert written(tmp_path, day(a="sent", b="queued"), {"a": 1})["lost"] == 1


def test_a_failed_notification_is_not_lost(tmp_path: Path) -> None:
    assert written(tmp_path, day(a="sent", b="failed"), {"a": 1})["lost"] == 0


def test_what_the_receiver_has_twice_is_one_duplicate(tmp_path: Path) -> None:
    assert written(tmp_path, day(a="sent", b="sent"), {"a": 3, "b": 1})["duplicates"] == 1


def test_what_an_earlier_sandbox_received_is_told_apart_and_not_lost(tmp_path: Path) -> None:
    report = day(a="sent", b="sent")
    before = demo_report.taken_before(report, {"b": {"times": 1}})
    found = written(tmp_path, report, {"b": 1}, before=before)
    assert (found["lost"], found["sent_before_this_sandbox"]) == (0, 1)


def test_a_change_that_no_receiver_has_is_lost_and_one_that_came_twice_is_a_duplicate(tmp_path: Path) -> None:
    changes = Posted(3, {"x", "y", "z"}, 12.0)
    found = written(tmp_path, day(a="sent"), {"a": 1, "x": 1, "y": 2}, changes=changes)
    assert (found["change_events"], found["change_notifications"]) == (3, 3)
    assert (found["lost"], found["duplicates"], found["received_unknown"]) == (1, 1, 0)


def test_only_patients_whose_every_reminder_came_are_fully_told() -> None:
    report = day(a="sent", b="sent")
    report["notification_ids"]["c"] = report["notification_ids"]["b"] | {"channel": "email", "status": "failed"}
    assert demo_report.fully_told(report, {"a", "b"}, day=date(2026, 11, 27)) == {"pat-a"}
    assert demo_report.fully_told(report, {"a", "b"}, day=date(2026, 11, 28)) == set()


def test_a_new_time_that_nobody_got_is_lost(tmp_path: Path) -> None:
    report = written(tmp_path, day(old="superseded"), {}, moved=Moved(1, old_ids={"old"}, new_ids={"new"}))
    assert report["lost"] == 1


def test_only_patients_whose_every_reminder_waits_are_moved() -> None:
    told = day(a="queued", b="sent", c="pending")
    told["notification_ids"]["d"] = told["notification_ids"]["c"] | {"status": "sending"}
    assert waiting_reminders(told, day=date(2026, 11, 27)) == {"pat-a": {"a"}}
    assert waiting_reminders(told, day=date(2026, 11, 28)) == {}


def test_only_who_got_a_text_can_answer_it() -> None:
    told = day(a="delivered", b="failed", c="sent")
    told["notification_ids"]["c"]["channel"] = "email"
    assert text_of_each(told, {"a", "c"}) == {"pat-a": "a"}


def test_the_demo_waits_longest_for_messages_then_for_receipts_then_for_fallbacks() -> None:
    told = day(a="sent", b="delivered")
    told["notification_ids"]["a"]["channel"] = "email"
    waiting = [_patience(day(a="queued")), _patience(day(a="sent", b="delivered")), _patience(told)]
    assert waiting == sorted(waiting, reverse=True)
    assert len(set(waiting)) == 3


def test_an_old_time_that_was_told_is_counted_by_the_receiver(tmp_path: Path) -> None:
    moved = Moved(1, old_ids={"old"}, new_ids={"new"})
    well = written(tmp_path, day(old="superseded", other="sent"), {"new": 1, "other": 1}, moved=moved)
    assert (well["lost"], well["duplicates"], well["moved_while_waiting"], well["old_times_told"]) == (0, 0, 1, 0)
    wrong = written(tmp_path, day(old="superseded", other="sent"), {"new": 1, "other": 1, "old": 1}, moved=moved)
    assert wrong["old_times_told"] == 1


def test_a_text_that_was_tried_after_stop_is_counted_by_the_provider(tmp_path: Path) -> None:
    replies = Replies(3, frozenset({"pat-a"}), later_ids={"mail"})
    counts = {"a": 1, "mail": 1}
    heeded = written(tmp_path, day(a="delivered"), counts, replies=replies)
    assert (heeded["stops"], heeded["texts_after_stop"], heeded["lost"]) == (3, 0, 0)
    ignored = written(tmp_path, day(a="delivered"), counts, replies=replies, by_kind={"twilio:after-stop": 2})
    assert ignored["texts_after_stop"] == 2
