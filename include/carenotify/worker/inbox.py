"""Deliveries that wait to be claimed, urgent lanes first."""

from __future__ import annotations

import threading
from collections import deque

from carenotify.domain.notification import Lane
from carenotify.messaging.consumer import Delivery


class Inbox:
    """Between the connection's thread, which puts, and the claiming thread, which takes."""

    def __init__(self) -> None:
        self._lanes: dict[Lane, deque[Delivery]] = {lane: deque() for lane in Lane}
        self._changed = threading.Condition()
        self._free = 0
        self._closed = False

    def put(self, delivery: Delivery) -> None:
        """A message came in. Its lane is the last word of its queue's name."""
        with self._changed:
            self._lanes[Lane(delivery.queue.rpartition(".")[2])].append(delivery)
            self._changed.notify()

    def add_room(self, places: int) -> None:
        """So many more can be claimed."""
        with self._changed:
            self._free += places
            self._changed.notify()

    def take(self, *, worthwhile: int) -> list[Delivery]:
        """Wait for messages and room, then take as many as fit; each takes a place. Empty once closed.

        Bulk is not claimed one by one as places come free: it waits until `worthwhile` fit, or all that is there. An
        urgent message goes at once.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._ready(worthwhile))
            if self._closed:
                return []
            taken: list[Delivery] = []
            for waiting in self._lanes.values():
                while waiting and len(taken) < self._free:
                    taken.append(waiting.popleft())
            self._free -= len(taken)
            return taken

    def _ready(self, worthwhile: int) -> bool:
        waiting = sum(len(lane) for lane in self._lanes.values())
        wanted = 1 if self._lanes[Lane.HIGH] else min(worthwhile, waiting)
        return waiting > 0 and self._free >= wanted

    def close(self) -> None:
        """Nothing is taken any more; what is here goes back to its queue when the connection closes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
