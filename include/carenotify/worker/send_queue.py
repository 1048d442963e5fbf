"""Claims that wait for a thread to send them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from carenotify.domain.notification import Lane
from carenotify.storage.claims import Claim


class SendQueue:
    """Urgent lanes first, each in its order. Threads that are kept for urgent messages are given nothing else."""

    def __init__(self) -> None:
        self._lanes: dict[Lane, deque[Claim]] = {lane: deque() for lane in Lane}
        lock = threading.Lock()
        self._something_came = threading.Condition(lock)
        self._urgent_came = threading.Condition(lock)
        self._closed = False

    def put(self, claims: Sequence[Claim]) -> None:
        """These are to be sent."""
        with self._something_came:
            for claim in claims:
                self._lanes[claim.lane].append(claim)
            # Each wakes at most as many as can find something; whoever comes too late waits again.
            self._something_came.notify(len(claims))
            self._urgent_came.notify(sum(claim.lane is Lane.HIGH for claim in claims))

    def take(self, *, urgent_only: bool) -> Claim | None:
        """Wait for the next one; None once closed and empty."""
        came = self._urgent_came if urgent_only else self._something_came
        with came:
            while (claim := self._next(urgent_only=urgent_only)) is None and not self._closed:
                came.wait()
            return claim

    def _next(self, *, urgent_only: bool) -> Claim | None:
        for lane, waiting in self._lanes.items():
            if waiting and (lane is Lane.HIGH or not urgent_only):
                return waiting.popleft()
        return None

    def close(self) -> None:
        """Nothing is put any more; every thread goes when it finds nothing left."""
        with self._something_came:
            self._closed = True
            self._something_came.notify_all()
            self._urgent_came.notify_all()
