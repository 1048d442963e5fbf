"""Whether each channel of this process takes messages: not while it is paused, or all of its providers are down."""

from __future__ import annotations

from collections.abc import Sequence

from carenotify.journeys.choose_provider import ProviderChooser
from carenotify.storage.database import Database
from carenotify.storage.pauses import paused_channels
from carenotify.worker.channel_worker import ChannelWorker
from carenotify.worker.periodic import Periodic

_INTERVAL_SECONDS = 1.0


class Valve(Periodic):
    """Follows the pauses and the state of the providers, every second and once at its start."""

    def __init__(self, *, database: Database, chooser: ProviderChooser, workers: Sequence[ChannelWorker]) -> None:
        super().__init__("valve", self._follow, interval_seconds=_INTERVAL_SECONDS)
        self._database = database
        self._chooser = chooser
        self._workers = workers

    def start(self) -> None:
        """Begin; what is down or paused already is known when this returns."""
        self.round()
        super().start()

    def _follow(self) -> None:
        with self._database.transaction() as transaction:
            paused = paused_channels(transaction)
        self._chooser.follow()
        for worker in self._workers:
            worker.consume(worker.channel not in paused and self._chooser.can_send(worker.channel))
