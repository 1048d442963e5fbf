from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from carenotify.domain.notification import Channel, Lane
from carenotify.domain.patient import Patient
from carenotify.storage.claims import Claim
from carenotify.worker.send_queue import SendQueue
from tests.integration.ward import wait_for

NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
_CLAIM = Claim(
    notification_id=UUID(int=0),
    token=UUID(int=1),
    claimed_until=NOW,
    due_at=NOW,
    expires_at=NOW,
    kind="reminder",
    channel=Channel.SMS,
    lane=Lane.LOW,
    attempt=1,
    patient=Patient("anna", None, None),
    refused_addresses=frozenset(),
    template_version_id=1,
    data={},
)


def claim(number: int, lane: Lane) -> Claim:
    return replace(_CLAIM, notification_id=UUID(int=number), lane=lane)


def numbers(queue: SendQueue, count: int) -> list[int]:
    taken = [queue.take(urgent_only=False) for _ in range(count)]
    return [one.notification_id.int for one in taken if one is not None]


def test_urgent_lanes_go_first_and_each_in_its_order() -> None:
    queue = SendQueue()
    queue.put([claim(1, Lane.LOW), claim(2, Lane.MEDIUM), claim(3, Lane.HIGH)])
    queue.put([claim(4, Lane.LOW), claim(5, Lane.HIGH)])
    assert numbers(queue, 5) == [3, 5, 2, 1, 4]


@contextmanager
def takers(queue: SendQueue, *, urgent_only: bool, threads: int) -> Iterator[list[int]]:
    """Threads that take until the queue closes."""
    taken: list[int] = []

    def take() -> None:
        while (one := queue.take(urgent_only=urgent_only)) is not None:
            taken.append(one.notification_id.int)

    running = [threading.Thread(target=take, daemon=True) for _ in range(threads)]
    for thread in running:
        thread.start()
    yield taken
    for thread in running:
        thread.join(10)
        assert not thread.is_alive()


def test_a_thread_for_urgent_messages_takes_nothing_else_even_when_it_is_idle() -> None:
    queue = SendQueue()
    with takers(queue, urgent_only=True, threads=2) as urgent:
        queue.put([claim(1, Lane.LOW), claim(2, Lane.HIGH), claim(3, Lane.MEDIUM)])
        wait_for(lambda: urgent == [2])
        assert numbers(queue, 2) == [3, 1]
        queue.close()
    assert urgent == [2]


def test_with_idle_threads_of_both_sorts_every_claim_finds_one() -> None:
    queue = SendQueue()
    with takers(queue, urgent_only=True, threads=2) as urgent, takers(queue, urgent_only=False, threads=2) as others:
        for number in range(600):
            queue.put([claim(number, (Lane.HIGH, Lane.LOW)[number % 2])])
        wait_for(lambda: len(urgent) + len(others) == 600)
        queue.close()
    assert sorted(urgent + others) == list(range(600))
    assert {number % 2 for number in urgent} <= {0}


def test_what_is_left_is_still_taken_once_it_closes() -> None:
    queue = SendQueue()
    queue.put([claim(1, Lane.LOW), claim(2, Lane.HIGH)])
    queue.close()
    assert numbers(queue, 3) == [2, 1]
