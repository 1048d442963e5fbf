"""What counts as lost, as refused, and as a duplicate that nothing explains."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from carenotify.domain.notification import Status
from drills.verdict import Verdict, lost_ids, refused_ids, unexplained_ids

GOOD = Verdict(
    drill="any",
    messages=10,
    lost=0,
    refused=1,
    refused_bound=1,
    duplicates=2,
    duplicates_bound=2,
    unexplained=0,
    recover_seconds=0.5,
    seconds=9.0,
)


def test_lost_is_what_is_gone_has_no_end_or_was_never_received() -> None:
    statuses = {
        "received": Status.SENT,
        "missing": Status.DELIVERED,
        "waiting": Status.PENDING,
        "stuck": Status.SENDING,
        "dead": Status.FAILED,
    }
    received = Counter({"received": 1, "waiting": 1})
    assert lost_ids({*statuses, "gone"}, statuses, received) == {"missing", "waiting", "stuck", "gone"}
    assert refused_ids(statuses, received) == {"dead"}


def test_each_duplicate_needs_a_moment_of_its_own_that_explains_it() -> None:
    received = Counter({"once": 1, "twice": 2, "thrice": 3, "without": 2})
    exposed = Counter({"once": 1, "twice": 1, "thrice": 1})
    assert unexplained_ids(received, exposed) == {"thrice", "without"}


@pytest.mark.parametrize(
    "worse",
    [{"lost": 1}, {"refused": 2}, {"duplicates": 3}, {"unexplained": 1}, {"died": ("worker 1 ended with 1",)}],
)
def test_a_drill_passes_only_when_nothing_is_wrong(worse: dict[str, object]) -> None:
    assert GOOD.passed
    assert not replace(GOOD, **worse).passed  # type: ignore[arg-type]


def test_the_report_has_what_others_read() -> None:
    wanted = {"drill", "lost", "duplicates", "duplicates_bound", "recover_seconds", "passed"}
    assert wanted <= GOOD.as_json().keys()
