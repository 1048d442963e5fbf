"""Whether each channel of this process takes messages: not while a person has paused it."""

from __future__ import annotations

from collections.abc import Sequence

from carenotify.storage.database import Database
from carenotify.storage.pauses import paused_channels
from carenotify.worker.channel_worker import ChannelWorker
from carenotify.worker.periodic import Periodic

_INTERVAL_SECONDS = 1.0


class Valve(Periodic):
    """Follows the pauses, every second."""

    def __init__(self, *, database: Database, workers: Sequence[ChannelWorker]) -> None:
        super().__init__("valve", self._follow_pauses, interval_seconds=_INTERVAL_SECONDS)
        self._database = database
        self._workers = workers

    def _follow_pauses(self) -> None:
        with self._database.transaction() as transaction:
            paused = paused_channels(transaction)
        for worker in self._workers:
            worker.consume(worker.channel not in paused)
