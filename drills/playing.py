"""Plays one drill on servers of its own, or on given ones, and judges it by what the receivers counted."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from carenotify.storage.migrate import migrate
from drills.catalogue import Drill
from drills.private_server import private_server
from drills.verdict import Verdict, lost_ids, refused_ids, unexplained_ids
from drills.ward import Ward, open_ward

# Longer than a lease, its grace, a breaker's minute and the longest wait between two attempts.
STALLED_SECONDS = 150.0


def play_alone(drill: Drill, *, folder: Path, seed: int) -> Verdict:
    """Play a drill on new servers, its logs in `folder`."""
    with ExitStack() as stack:
        database = stack.enter_context(private_server("postgres"))
        broker = stack.enter_context(private_server(drill.broker))
        migrate(database.url)
        ward = stack.enter_context(
            open_ward(
                database=database,
                broker=broker,
                database_url=database.url,
                broker_url=broker.url,
                folder=folder,
                size=drill.size,
                settings=drill.settings,
                stalled_seconds=STALLED_SECONDS,
                seed=seed,
            )
        )
        return play(drill, ward)


def play(drill: Drill, ward: Ward) -> Verdict:
    """Play a drill on this ward, wait for every message's end, and judge."""
    drill.play(ward)
    ward.wait_until_done()
    died = tuple(ward.workers.ended())
    ward.workers.drain()
    return judge(drill, ward, died=died)


def judge(drill: Drill, ward: Ward, *, died: tuple[str, ...]) -> Verdict:
    """Hold what our database says against what the receivers counted."""
    received, statuses, exposed = ward.sandbox.counts(), ward.statuses(), ward.exposed()
    twice = Counter({identity: times for identity, times in received.items() if times > 1})
    return Verdict(
        drill=drill.name,
        messages=len(statuses),
        lost=len(lost_ids(ward.planned, statuses, received)),
        refused=len(refused_ids(statuses, received)),
        refused_bound=round(drill.refused_share * drill.size.messages),
        duplicates=len(twice),
        duplicates_bound=len(+exposed),
        unexplained=len(unexplained_ids(received, exposed)),
        recover_seconds=max(ward.recoveries, default=0.0),
        seconds=time.monotonic() - ward.began,
        died=died,
    )
