"""Deliveries that wait to be claimed, urgent lanes first."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from carenotify.domain.notification import Lane
from carenotify.messaging.consumer import Delivery


@dataclass(frozen=True, slots=True)
class Ready:
    """How many messages of each sort are here and have a place to go to."""

    urgent: int
    bulk: int


def lane_of(delivery: Delivery) -> Lane:
    """The lane is the last word of the queue's name."""
    return Lane(delivery.queue.rpartition(".")[2])


class Inbox:
    """Between the connection's thread, which puts, and the claiming thread, which waits and takes.

    Of its `places`, bulk may have no more than `bulk_places`: what is urgent can be claimed however slow bulk is.
    """

    def __init__(self, *, places: int, bulk_places: int) -> None:
        self._lanes: dict[Lane, deque[Delivery]] = {lane: deque() for lane in Lane}
        self._changed = threading.Condition()
        self._free = places
        self._free_for_bulk = bulk_places
        # Moments of time.monotonic() before which a sort has no leave to go.
        self._urgent_from = self._bulk_from = -math.inf
        self._closed = False

    def put(self, delivery: Delivery) -> None:
        """A message came in. More of a sort that waits already lets nobody go, and wakes nobody."""
        lane = lane_of(delivery)
        with self._changed:
            first = not (self._urgent_waiting if lane is Lane.HIGH else self._bulk_waiting)
            self._lanes[lane].append(delivery)
            if first:
                self._changed.notify()

    def wait(self, *, worthwhile: int) -> Ready | None:
        """Wait for messages that can be claimed; None once closed.

        Bulk is not claimed one by one as places come free: it waits until `worthwhile` fit, or all that is there. An
        urgent message goes at once. What was told to `hold` is not counted, and wakes nobody before its time.
        """
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                ready = self._ready(now, worthwhile)
                if ready.urgent or ready.bulk:
                    return ready
                self._changed.wait(self._until_some_may_go(now))
            return None

    def _ready(self, now: float, worthwhile: int) -> Ready:
        urgent = min(self._urgent_waiting, self._free) if self._urgent_from <= now else 0
        fitting = min(self._bulk_waiting, self._free_for_bulk, self._free - urgent)
        goes = self._bulk_from <= now and (urgent > 0 or fitting >= min(worthwhile, self._bulk_waiting))
        return Ready(urgent, fitting if goes else 0)

    def _until_some_may_go(self, now: float) -> float | None:
        """Seconds until the first sort that is here may go; None when only a change can bring that about."""
        begins = [
            begin
            for begin, waiting in ((self._urgent_from, self._urgent_waiting), (self._bulk_from, self._bulk_waiting))
            if waiting and begin > now
        ]
        return min(begins) - now if begins else None

    @property
    def _urgent_waiting(self) -> int:
        return len(self._lanes[Lane.HIGH])

    @property
    def _bulk_waiting(self) -> int:
        return sum(len(waiting) for lane, waiting in self._lanes.items() if lane is not Lane.HIGH)

    def hold(self, *, urgent_seconds: float, bulk_seconds: float) -> None:
        """Messages of a sort have no leave for so long, or for as long as was said before."""
        with self._changed:
            now = time.monotonic()
            self._urgent_from = max(self._urgent_from, now + urgent_seconds)
            self._bulk_from = max(self._bulk_from, now + bulk_seconds)

    def take(self, *, urgent: int, bulk: int) -> list[Delivery]:
        """Take so many, oldest first in each lane; each takes a place until it leaves."""
        with self._changed:
            taken: list[Delivery] = []
            for lane, waiting in self._lanes.items():
                most = urgent if lane is Lane.HIGH else urgent + bulk
                while waiting and len(taken) < most:
                    taken.append(waiting.popleft())
            self._give_places(taken, -1)
            return taken

    def leave(self, deliveries: Iterable[Delivery]) -> None:
        """The places of these are free again."""
        with self._changed:
            self._give_places(deliveries, 1)
            self._changed.notify()

    def _give_places(self, deliveries: Iterable[Delivery], sign: int) -> None:
        for delivery in deliveries:
            self._free += sign
            if lane_of(delivery) is not Lane.HIGH:
                self._free_for_bulk += sign

    def close(self) -> None:
        """Nothing is taken any more; what is here goes back to its queue when the connection closes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
