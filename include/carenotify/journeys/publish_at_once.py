"""Publish what somebody has just asked for, without letting them wait for the broker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from carenotify.domain.notification import Lane
from carenotify.errors import CarenotifyError

log = logging.getLogger(__name__)

_LANES = (Lane.HIGH, Lane.MEDIUM)
_CLOSE_SECONDS = 15.0


class PromptPublisher:
    """One thread of this process, started by the first `wake`, so that a fork never finds it running.

    It only makes things quick: whatever it does not bring to the broker is brought there by the relay.
    """

    def __init__(self, publish_due: Callable[[Lane], object]) -> None:
        self._publish_due = publish_due
        self._wanted = threading.Event()
        self._closing = threading.Event()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Something is due, and committed. Comes back at once, whatever the broker does."""
        self._wanted.set()
        with self._guard:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="publish-at-once", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread, after what it is publishing."""
        self._closing.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while self._wanted.wait() and not self._closing.is_set():
            self._wanted.clear()
            try:
                for lane in _LANES:
                    self._publish_due(lane)
            except CarenotifyError as error:
                log.warning("%s; the relay goes on with it", error)
            except Exception as error:  # noqa: BLE001 - nobody else would hear of it, and the next request needs us
                log.error("publishing at once failed with %s", type(error).__name__)  # noqa: TRY400
