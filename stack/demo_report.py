"""`.run/demo-report.json`: what our database says, held against what the receivers counted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date
from pathlib import Path
from typing import Any

from stack.demo_changes import Posted
from stack.demo_replies import Replies
from stack.demo_waiting import Moved
from stack.progress import say

Report = dict[str, Any]
_TAKEN = {"sent", "delivered"}
_UNFINISHED = ("pending", "queued", "sending")


def unfinished(report: Mapping[str, Any]) -> int:
    """How many notifications are in a status that is not final."""
    return sum(report["by_status"].get(status, 0) for status in _UNFINISHED)


def awaiting_receipt(report: Mapping[str, Any]) -> int:
    """How many texts their provider took, and has not told yet what became of them."""
    told = report["notification_ids"].values()
    return sum(each["channel"] == "sms" and each["status"] == "sent" for each in told)


def taken_before(report: Mapping[str, Any], counts: Mapping[str, Any]) -> set[str]:
    """Ids that were sent before this sandbox started, so that its counters know nothing of them."""
    return {id_ for id_, told in report["notification_ids"].items() if told["status"] in _TAKEN and id_ not in counts}


def fully_told(report: Mapping[str, Any], received: AbstractSet[str], *, day: date) -> set[str]:
    """Patients with reminders of that day's appointments, of which every one came."""
    about = {
        id_: told for id_, told in report["notification_ids"].items() if told["appointment_day"] == day.isoformat()
    }
    without = {told["patient_id"] for id_, told in about.items() if id_ not in received}
    return {told["patient_id"] for told in about.values()} - without


def write(
    file: Path,
    *,
    report: Mapping[str, Any],
    counts: Mapping[str, Mapping[str, Any]],
    stats: Mapping[str, Any],
    seconds: Mapping[str, float],
    before: set[str],
    changes: Posted,
    moved: Moved,
    replies: Replies,
) -> Report:
    """Put the report together, write it, and return it."""
    ids = report["notification_ids"]
    missing = [id_ for id_, told in ids.items() if told["status"] in _TAKEN and id_ not in counts and id_ not in before]
    told_at_once = changes.notification_ids | moved.new_ids | replies.later_ids
    missing += [id_ for id_ in told_at_once if id_ not in counts]
    twice = [id_ for id_ in ids.keys() | told_at_once if counts.get(id_, {}).get("times", 0) > 1]
    found: Report = {
        **{name: value for name, value in report.items() if name != "notification_ids"},
        "lost": len(missing) + unfinished(report),
        "duplicates": len(twice),
        "received": sum(told["times"] for id_, told in counts.items() if id_ in ids),
        "received_unknown": sum(1 for id_ in counts if id_ not in ids and id_ not in told_at_once),
        "sent_before_this_sandbox": len(before),
        "api_calls": stats["api_calls"],
        "api_failures": stats["api_failures"],
        "change_events": changes.events + moved.events + replies.stopped,
        "change_notifications": len(told_at_once),
        "moved_while_waiting": moved.events,
        "stops": replies.stopped,
        "texts_after_stop": stats["by_kind"].get("twilio:after-stop", 0),
        "old_times_told": len(moved.old_ids & counts.keys()),
        "change_answer_p95_ms": changes.answer_p95_ms,
        "seconds": {stage: round(spent, 1) for stage, spent in seconds.items()},
    }
    file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    return found


_REACHED = (
    ("reached, by the receivers", "expected_reached", "expected_patient_days"),
    ("  with an address that works", "expected_reachable_reached", "expected_reachable"),
    ("  with two addresses", "expected_with_two_addresses_reached", "expected_with_two_addresses"),
)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if whole else "-"


def show(report: Mapping[str, Any], settings: Mapping[str, str], file: Path) -> None:
    """Print the summary for the person at the terminal."""
    say("\nThe day's reminders")
    for name in ("appointments_due", "patient_days_due", "untold", "notifications", "received", "quarantined"):
        say(f"  {name.replace('_', ' '):<30}{report[name]:>8}")
    if report["sent_before_this_sandbox"]:
        say(f"  {'received by an earlier sandbox':<30}{report['sent_before_this_sandbox']:>8}")
    say(f"  {'fallbacks':<30}{report.get('fallbacks', 0):>8}")
    for name in ("by_channel", "by_status", "skipped", "receipts", "suppressions", "dead_letters"):
        for key, number in sorted(report.get(name, {}).items()):
            say(f"  {name.removeprefix('by_').replace('_', ' ') + ': ' + key:<30}{number:>8}")
    if report["reached_share"] is not None:
        say(f"  {'reached':<30}{report['reached_share']:>8.2%}")
    for label, part, whole in _REACHED:
        say(f"  {label:<30}{_share(report[part], report[whole]):>8}   {report[part]} of {report[whole]} patient-days")
    say(f"  {'change events':<30}{report['change_events']:>8}   {report['change_notifications']} messages")
    wrong = report["old_times_told"]
    say(f"  {'moved while reminders waited':<30}{report['moved_while_waiting']:>8}   {wrong} told the old time")
    say(
        f"  {'telephones that said STOP':<30}{report['stops']:>8}   {report['texts_after_stop']} texts tried afterwards"
    )
    say(f"  {'lost':<30}{report['lost']:>8}\n  {'duplicates':<30}{report['duplicates']:>8}")
    say(f"  {'patient API calls':<30}{report['api_calls']:>8}   of which failed {report['api_failures']}")
    say("  " + ", ".join(f"{stage} {spent} s" for stage, spent in report["seconds"].items()))
    say(f"\n  Report    {file}")
    say(f"  Airflow   {settings['AIRFLOW__API__BASE_URL']}")
    say(f"  Login     {settings['AIRFLOW_USERNAME']} / {settings['AIRFLOW_PASSWORD']}")
    say(f"  Mails and texts received: {settings['CARENOTIFY_SANDBOX_URL']}/messages")
    say("  Everything is left running; make down stops it.")
