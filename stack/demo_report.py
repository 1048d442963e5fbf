"""`.run/demo-report.json`: what our database says, held against what the receivers counted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stack.progress import say

Report = dict[str, Any]
_TAKEN = {"sent", "delivered"}
_UNFINISHED = ("pending", "queued", "sending")


def unfinished(report: Mapping[str, Any]) -> int:
    """How many notifications are in a status that is not final."""
    return sum(report["by_status"].get(status, 0) for status in _UNFINISHED)


def taken_before(report: Mapping[str, Any], counts: Mapping[str, Any]) -> set[str]:
    """Ids that were sent before this sandbox started, so that its counters know nothing of them."""
    return {id_ for id_, told in report["notification_ids"].items() if told["status"] in _TAKEN and id_ not in counts}


def write(
    file: Path,
    *,
    report: Mapping[str, Any],
    counts: Mapping[str, Mapping[str, Any]],
    stats: Mapping[str, Any],
    seconds: Mapping[str, float],
    before: set[str],
) -> Report:
    """Put the report together, write it, and return it."""
    ids = report["notification_ids"]
    missing = [id_ for id_, told in ids.items() if told["status"] in _TAKEN and id_ not in counts and id_ not in before]
    twice = [id_ for id_ in ids if counts.get(id_, {}).get("times", 0) > 1]
    found: Report = {
        **{name: value for name, value in report.items() if name != "notification_ids"},
        "lost": len(missing) + unfinished(report),
        "duplicates": len(twice),
        "received": sum(told["times"] for id_, told in counts.items() if id_ in ids),
        "received_unknown": sum(1 for id_ in counts if id_ not in ids),
        "sent_before_this_sandbox": len(before),
        "api_calls": stats["api_calls"],
        "api_failures": stats["api_failures"],
        "change_events": report.get("change_events", 0),
        "seconds": {stage: round(spent, 1) for stage, spent in seconds.items()},
    }
    file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    return found


def show(report: Mapping[str, Any], settings: Mapping[str, str], file: Path) -> None:
    """Print the summary for the person at the terminal."""
    say("\nThe day's reminders")
    for name in ("appointments_due", "patient_days_due", "notifications", "received", "quarantined"):
        say(f"  {name.replace('_', ' '):<30}{report[name]:>8}")
    if report["sent_before_this_sandbox"]:
        say(f"  {'received by an earlier sandbox':<30}{report['sent_before_this_sandbox']:>8}")
    for name in ("by_channel", "by_status", "skipped"):
        for key, number in sorted(report[name].items()):
            say(f"  {name.removeprefix('by_') + ': ' + key:<30}{number:>8}")
    if "reached_share" in report:
        say(f"  {'reached':<30}{report['reached_share']:>8.2%}")
    say(f"  {'lost':<30}{report['lost']:>8}\n  {'duplicates':<30}{report['duplicates']:>8}")
    say(f"  {'patient API calls':<30}{report['api_calls']:>8}   of which failed {report['api_failures']}")
    say("  " + ", ".join(f"{stage} {spent} s" for stage, spent in report["seconds"].items()))
    say(f"\n  Report    {file}")
    say(f"  Airflow   {settings['AIRFLOW__API__BASE_URL']}")
    say(f"  Login     {settings['AIRFLOW_USERNAME']} / {settings['AIRFLOW_PASSWORD']}")
    say(f"  Mails and texts received: {settings['CARENOTIFY_SANDBOX_URL']}/messages")
    say("  Everything is left running; make down stops it.")
