"""The relay's rounds: sweep, and follow what a person paused."""

from __future__ import annotations

from collections.abc import Sequence

from carenotify.journeys.relay_due import Relay
from carenotify.storage.database import Database
from carenotify.storage.pauses import paused_channels
from carenotify.worker.channel_worker import ChannelWorker
from carenotify.worker.periodic import Periodic

_LOST_CHECK_EVERY_SWEEPS = 60


class RelayLoop(Periodic):
    """Sweeps every `interval_seconds` until stopped."""

    def __init__(
        self, *, relay: Relay, database: Database, workers: Sequence[ChannelWorker], interval_seconds: float
    ) -> None:
        super().__init__("relay", self._round, interval_seconds=interval_seconds)
        self._relay = relay
        self._database = database
        self._workers = workers
        self._sweeps = 0

    def _round(self) -> None:
        self._follow_pauses()
        self._relay.sweep()
        self._sweeps += 1
        if self._sweeps % _LOST_CHECK_EVERY_SWEEPS == 0:
            self._relay.requeue_lost()

    def _follow_pauses(self) -> None:
        with self._database.transaction() as transaction:
            paused = paused_channels(transaction)
        for worker in self._workers:
            worker.consume(worker.channel not in paused)
