"""Whether a demo has shown what it is there to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stack.demo_replies import STOPPED
from stack.errors import StackError

Report = Mapping[str, Any]
# A smaller day may have too few dead numbers to fall back from.
_LARGE = 1000


def judge(report: Report, *, planned: int, fresh: int) -> None:
    """Raises StackError for the first thing that is not as it should be.

    `planned` notifications there were before the second run of the plan, `fresh` of them since this demo began.
    """
    if not report["notifications"]:
        raise StackError("No notification was planned, so the demo has shown nothing.")
    again = report["notifications"] - planned
    if again:
        raise StackError(f"The second send_reminders planned {again} more notifications; it should plan none.")
    for wrong in (_delivered, _told_right, _reached, _answered, *((_shown,) if fresh >= _LARGE else ())):
        if (said := wrong(report)) is not None:
            raise StackError(said)


_Check = Callable[[Report], str | None]


def _delivered(report: Report) -> str | None:
    if not report["lost"] and not report["duplicates"]:
        return None
    known = report.get("possible_duplicates", 0)
    return (
        f"Lost: {report['lost']}, received twice: {report['duplicates']}; both should be 0. "
        f"Answers of a provider that were lost, or workers that were killed, explain at most {known} of the latter."
    )


def _told_right(report: Report) -> str | None:
    if report["old_times_told"]:
        return f"{report['old_times_told']} reminders told a time that was changed while they waited."
    if report["texts_after_stop"]:
        return f"{report['texts_after_stop']} texts were tried to telephones that had said STOP."
    if report["untold"]:
        return f"Untold: {report['untold']} patient-days have neither a message nor a reason for having none."
    if report["expected_without_message"] or report["told_against_expectation"]:
        return (
            f"The hospital expected {report['expected_patient_days']} patient-days to be told: "
            f"{report['expected_without_message']} of them got no message, "
            f"and {report['told_against_expectation']} got one that should have got none."
        )
    return None


def _reached(report: Report) -> str | None:
    missed = report["expected_reachable"] - report["expected_reachable_reached"]
    if not missed:
        return None
    return f"{missed} patient-days were not reached, although the patient has an address that takes messages."


def _answered(report: Report) -> str | None:
    """Dead letters are for people: those of patients who were reached otherwise are closed by themselves."""
    unreached = report["patient_days_due"] - report["patient_days_reached"]
    waiting = report["dead_letters"].get("open", 0)
    channels = len(report["by_channel"])
    if waiting <= channels * unreached:
        return None
    return f"{waiting} dead letters are open, but only {unreached} patient-days were not reached."


def _shown(report: Report) -> str | None:
    """What a large day has to have in it."""
    if not report["receipts"].get("delivered"):
        return "No receipt came, so nobody knows what became of the texts."
    if not report["fallbacks"]:
        return "Nobody was told by a fallback, although some addresses are dead."
    if report["stops"] < STOPPED:
        return f"Only {report['stops']} of {STOPPED} telephones said STOP."
    return None
