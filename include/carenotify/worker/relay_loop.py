"""The relay's thread: sweeps at an interval, and follows what a person paused."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from carenotify.errors import BrokerError, StorageError
from carenotify.journeys.relay_due import Relay
from carenotify.storage.database import Database
from carenotify.storage.pauses import paused_channels
from carenotify.worker.channel_worker import ChannelWorker

log = logging.getLogger(__name__)

_LOST_CHECK_EVERY_SWEEPS = 60


class RelayLoop:
    """Sweeps every `interval_seconds` until stopped. A sweep that fails is logged, and the next one goes on."""

    def __init__(
        self, *, relay: Relay, database: Database, workers: Sequence[ChannelWorker], interval_seconds: float
    ) -> None:
        self._relay = relay
        self._database = database
        self._workers = workers
        self._interval_seconds = interval_seconds
        self._stopping = threading.Event()
        self._sweeps = 0
        self._thread = threading.Thread(target=self._run, name="relay")

    def start(self) -> None:
        """Begin sweeping, in the background."""
        self._thread.start()

    def stop(self) -> None:
        """End after the sweep that is under way."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_seconds):
            try:
                self._follow_pauses()
                self._relay.sweep()
                self._sweeps += 1
                if self._sweeps % _LOST_CHECK_EVERY_SWEEPS == 0:
                    self._relay.requeue_lost()
            except (BrokerError, StorageError) as error:
                log.warning("the relay goes on with its next sweep: %s", error)

    def _follow_pauses(self) -> None:
        with self._database.transaction() as transaction:
            paused = paused_channels(transaction)
        for worker in self._workers:
            worker.consume(worker.channel not in paused)
