"""The watchdog's rounds, in a process that runs whatever becomes of Airflow."""

from __future__ import annotations

import logging

from carenotify.config import Settings
from carenotify.journeys.keep_watch import Watchdog
from carenotify.logs import place_of
from carenotify.worker.periodic import Periodic

log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 30.0


class WatchdogLoop(Periodic):
    """Looks every half minute, and more often only where something is to be noticed within a minute.

    It must not hurt what it watches over, so nothing that goes wrong in it ends the process.
    """

    def __init__(self, watchdog: Watchdog, settings: Settings, *, no_alerts_because: str | None) -> None:
        super().__init__("watchdog", watchdog.look, interval_seconds=_interval_seconds(settings))
        self._no_alerts_because = no_alerts_because

    def start(self) -> None:
        """Begin, in the background; say so when nobody can be told."""
        if self._no_alerts_because is not None:
            log.warning("this process cannot mail staff when something fails: %s", self._no_alerts_because)
        super().start()

    def round(self) -> None:
        """Act once, now."""
        try:
            super().round()
        except Exception as error:  # noqa: BLE001 - a bug here must not stop what delivers
            log.error("the watchdog goes on with its next round after a %s", place_of(error))  # noqa: TRY400 - its text may be personal


def _interval_seconds(settings: Settings) -> float:
    grace, silence = settings.alert_plan_grace_minutes, settings.alert_watch_silence_minutes
    patience = 60 * min(grace or silence, silence)
    return min(_INTERVAL_SECONDS, patience / 2, 3600 * settings.alert_ingest_silence_hours / 2)
