"""The relay's rounds."""

from __future__ import annotations

from carenotify.journeys.relay_due import Relay
from carenotify.worker.periodic import Periodic

_LOST_CHECK_EVERY_SWEEPS = 60


class RelayLoop(Periodic):
    """Sweeps every `interval_seconds` until stopped."""

    def __init__(self, relay: Relay, *, interval_seconds: float) -> None:
        super().__init__("relay", self._round, interval_seconds=interval_seconds)
        self._relay = relay
        self._sweeps = 0

    def _round(self) -> None:
        self._relay.sweep()
        self._sweeps += 1
        if self._sweeps % _LOST_CHECK_EVERY_SWEEPS == 0:
            self._relay.requeue_lost()
