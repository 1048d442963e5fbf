"""The demo fails when it has not shown what it is there to show."""

from __future__ import annotations

from typing import Any

import pytest

from stack.demo_judge import judge
from stack.errors import StackError

GOOD: dict[str, Any] = {
    "notifications": 2000,
    "by_channel": {"sms": 1000, "email": 1000},
    "lost": 0,
    "duplicates": 0,
    "possible_duplicates": 7,
    "old_times_told": 0,
    "texts_after_stop": 0,
    "untold": 0,
    "expected_patient_days": 1500,
    "expected_without_message": 0,
    "told_against_expectation": 0,
    "expected_reachable": 1490,
    "expected_reachable_reached": 1490,
    "patient_days_due": 1500,
    "patient_days_reached": 1490,
    "dead_letters": {"open": 12, "fallback": 20},
    "receipts": {"delivered": 900},
    "fallbacks": 20,
    "stops": 3,
}


def test_a_day_on_which_everything_was_shown_passes() -> None:
    judge(GOOD, planned=2000, fresh=2000)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"notifications": 0}, "No notification was planned"),
        ({"notifications": 2001}, "planned 1 more"),
        ({"lost": 1}, "Lost: 1, received twice: 0"),
        ({"duplicates": 2}, "Lost: 0, received twice: 2.* at most 7"),
        ({"old_times_told": 1}, "1 reminders told a time that was changed"),
        ({"texts_after_stop": 1}, "1 texts were tried to telephones that had said STOP"),
        ({"untold": 1}, "Untold: 1 patient-days"),
        ({"expected_without_message": 2}, "2 of them got no message"),
        ({"told_against_expectation": 3}, "3 got one that should have got none"),
        ({"expected_reachable_reached": 1489}, "1 patient-days were not reached"),
        ({"dead_letters": {"open": 21}}, "21 dead letters are open, but only 10 patient-days"),
        ({"receipts": {"sent": 900}}, "No receipt came"),
        ({"fallbacks": 0}, "Nobody was told by a fallback"),
        ({"stops": 2}, "Only 2 of 3 telephones"),
    ],
)
def test_whatever_is_wrong_is_said(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(StackError, match=said):
        judge(GOOD | wrong, planned=2000, fresh=2000)


def test_a_small_day_or_one_that_is_played_again_need_not_show_everything() -> None:
    small = GOOD | {"receipts": {}, "fallbacks": 0, "stops": 0}
    judge(small, planned=2000, fresh=0)
    with pytest.raises(StackError):
        judge(small, planned=2000, fresh=1000)
