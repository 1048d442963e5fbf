"""The fault drills of `make drill`, some seconds each."""

from __future__ import annotations

import pytest

from drills import kills, providers
from drills.catalogue import Drill
from drills.playing import play
from drills.ward import Size
from tests.integration.drills.conftest import BREAKER_SECONDS, OpenWard

DRILLS = [
    Drill(kills.worker_killed, Size(300, rounds=3)),
    Drill(kills.postgres_killed, Size(300, rounds=1)),
    Drill(kills.broker_killed, Size(300, rounds=1)),
    Drill(providers.answers_cut, Size(200), refused_share=0.05),
    Drill(providers.slower_than_lease, Size(120, call_seconds=1.5)),
]


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
def test_nothing_is_lost_and_only_what_was_under_way_comes_twice(drill: Drill, small_ward: OpenWard) -> None:
    verdict = play(drill, small_ward(drill.size, stalled_seconds=BREAKER_SECONDS, **drill.settings))
    assert verdict.passed, verdict
    assert verdict.messages == drill.size.messages
