"""A drill that cannot fail shows nothing: without what it is about, each of these is judged as failed."""

from __future__ import annotations

from drills import kills, providers
from drills.catalogue import Drill
from drills.playing import play
from drills.ward import Size
from tests.integration.drills.conftest import OpenWard


def test_without_the_relay_what_a_killed_worker_had_claimed_is_lost(small_ward: OpenWard) -> None:
    drill = Drill(kills.worker_killed, Size(300, rounds=2))
    verdict = play(drill, small_ward(drill.size, "--no-relay"))
    assert verdict.lost > 0
    assert not verdict.passed


def test_without_fencing_a_worker_that_stood_still_makes_others_repeat_themselves(small_ward: OpenWard) -> None:
    drill = Drill(providers.slower_than_lease, Size(120, call_seconds=1.5))
    verdict = play(drill, small_ward(drill.size, without="fencing"))
    assert verdict.unexplained > 0
    assert not verdict.passed


def test_without_confirms_what_came_due_while_the_broker_was_away_is_lost(small_ward: OpenWard) -> None:
    drill = Drill(kills.broker_killed, Size(300, rounds=1))
    verdict = play(drill, small_ward(drill.size, without="confirms"))
    assert verdict.lost > 0
    assert not verdict.passed
