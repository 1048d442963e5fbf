"""Let only so many do at a time what may take long, so that the others of a process have time for the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from carenotify.errors import TooBusyError

# Of what takes long and of lists, each for itself.
AT_ONCE = 3
# Of a process of the API: two are left for events and requests, which must not wait for either, however slow the
# database is.
LEAST_THREADS = 2 * AT_ONCE + 2
_PATIENCE_SECONDS = 0.25


class Turns:
    """So many turns at a time, for all who share this object. Safe to use from threads."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._free = BoundedSemaphore(at_once)

    @contextmanager
    def one(self, *, patience_seconds: float = _PATIENCE_SECONDS) -> Iterator[None]:
        """A turn, until the block ends. Raises TooBusyError when none gets free soon."""
        if not self._free.acquire(timeout=patience_seconds):
            raise TooBusyError("as many as may are working out reports, or looking up lists")
        try:
            yield
        finally:
            self._free.release()
