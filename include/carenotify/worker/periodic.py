"""A thread that does something again and again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from carenotify.errors import BrokerError, SourceError, StorageError
from carenotify.metrics import record_round

log = logging.getLogger(__name__)


class Periodic:
    """Acts every `interval_seconds` until stopped. A round that lacks a server is logged, and the next one goes on."""

    def __init__(self, name: str, act: Callable[[], object], *, interval_seconds: float) -> None:
        self._name = name
        self._act = act
        self._interval_seconds = interval_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin, in the background."""
        self._thread.start()

    @property
    def name(self) -> str:
        """What it is called."""
        return self._name

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop: a round that takes long ends early then."""
        return self._stopping.is_set()

    def ask_to_stop(self) -> None:
        """No round begins any more."""
        self._stopping.set()

    def stop(self, *, timeout_seconds: float | None = None) -> None:
        """End after the round that is under way. One that outlasts the time is left to its fate, as when killed."""
        self.ask_to_stop()
        self._thread.join(timeout_seconds)
        if self._thread.is_alive():
            log.warning("%s is not waited for any longer; other workers do what it leaves", self._name)

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_seconds):
            self.round()

    def round(self) -> None:
        """Act once, now."""
        begun, done = time.monotonic(), False
        try:
            self._act()
            done = True
        except (BrokerError, SourceError, StorageError) as error:
            log.warning("%s goes on with its next round: %s", self._name, error)
        finally:
            record_round(self._name, seconds=time.monotonic() - begun, done=done)
