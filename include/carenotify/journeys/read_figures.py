"""Read how delivery stands, for whoever monitors it: from memory while it is fresh, and never waiting for long."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import replace
from datetime import timedelta
from typing import Generic, TypeVar

from carenotify.config import Settings
from carenotify.domain.clock import Clock
from carenotify.domain.figures import DeliveryFigures, PatientDays, Reading, Today, Waiting
from carenotify.domain.window import day_bounds, local_day
from carenotify.errors import StorageError
from carenotify.journeys.report_delivery import reported_day
from carenotify.logs import place_of
from carenotify.storage import delivery_report
from carenotify.storage import figures as stored
from carenotify.storage.database import Database, Transaction

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 2.0
# While the last reading has failed, nobody waits for the next much longer than a database that is well takes.
_PATIENCE_AFTER_FAILURE_SECONDS = 0.25
_FRESH_SECONDS = 5.0
# It takes up to a second among a million rows, longer when the machine is busy, and moves slowly: so it is read in
# the background, while the last one is good enough.
_PATIENT_DAYS_FRESH_SECONDS = 60.0
_PATIENT_DAYS_LIMIT_SECONDS = 20.0

Found = TypeVar("Found")


class FigureReader:
    """Reads in threads of its own, so that a database that hangs holds up nobody who asks. Safe for many threads."""

    def __init__(
        self, database: Database, settings: Settings, clock: Clock, *, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._figures = _Remembered(self._read_figures, fresh_seconds=_FRESH_SECONDS, timer=timer)
        self._days = _Remembered(
            self._read_patient_days, fresh_seconds=_PATIENT_DAYS_FRESH_SECONDS, timer=timer, keeps_last=True
        )

    def read(self, *, patient_days: bool) -> Reading:
        """The figures, at most 5 s old, and patient-days when asked for, about a minute old; after at most 2 s."""
        readings: list[_Remembered[DeliveryFigures] | _Remembered[PatientDays]] = [self._figures]
        if patient_days:
            readings.append(self._days)
        give_up_at = time.monotonic() + self._figures.patience_seconds
        for reading in readings:
            reading.begin()
        figures = self._figures.wait(until=give_up_at)
        days = self._days.wait(until=give_up_at) if patient_days and figures is not None else None
        return Reading(figures, days, self._figures.took_seconds)

    def close(self) -> None:
        """Nothing is read any more; what is being read has a moment to end."""
        self._figures.close()
        self._days.close()

    def _read_figures(self) -> DeliveryFigures:
        now, timezone = self._clock(), self._settings.timezone
        day = local_day(now, timezone)
        today = Today(day, *day_bounds(day, timezone), *self._settings.send_window.bounds(day, timezone))
        providers = [*self._settings.email_providers, *self._settings.sms_providers]
        figures = self._in_time(
            _PATIENCE_SECONDS, lambda transaction: stored.read(transaction, today, now=now, providers=providers)
        )
        # Where nobody is to be mailed, nothing waits for it.
        return figures if self._settings.alert_to else replace(figures, unmailed=Waiting(0, 0.0))

    def _read_patient_days(self) -> PatientDays:
        reported = reported_day(local_day(self._clock(), self._settings.timezone), self._settings)
        due = self._in_time(_PATIENT_DAYS_LIMIT_SECONDS, lambda transaction: delivery_report.due(transaction, reported))
        return PatientDays(due.patient_days, due.patient_days_reached)

    def _in_time(self, limit_seconds: float, work: Callable[[Transaction], Found]) -> Found:
        with self._database.transaction(timeout_seconds=_PATIENCE_SECONDS) as transaction:
            stored.bound(transaction, timedelta(seconds=limit_seconds))
            return work(transaction)


class _Remembered(Generic[Found]):
    """What `find` has found; one thread finds it anew when it is asked for and older than `fresh_seconds`.

    That it could not be found is remembered as long, so that a database in need is not asked again and again. What
    `keeps_last` gives what it has, while it is found anew, instead of letting anybody wait.
    """

    def __init__(
        self,
        find: Callable[[], Found],
        *,
        fresh_seconds: float,
        timer: Callable[[], float],
        keeps_last: bool = False,
    ) -> None:
        self._find = find
        self._fresh_seconds = fresh_seconds
        self._timer = timer
        self._guard = threading.Lock()
        self._latest: Future[Found | None] = Future()
        self._latest.set_result(None)
        self._keeps_last = keeps_last
        self._last: Found | None = None
        self._begun_at = -float("inf")
        self._stuck_at = -float("inf")
        self._failed = self._closed = False
        self.took_seconds = 0.0

    @property
    def patience_seconds(self) -> float:
        """For how long it is worth waiting."""
        return _PATIENCE_AFTER_FAILURE_SECONDS if self._failed else _PATIENCE_SECONDS

    def begin(self) -> None:
        """Have it found anew unless it is fresh, or somebody is at it."""
        with self._guard:
            old = self._latest.done() and self._timer() - self._begun_at >= self._fresh_seconds
            if old and not self._closed:
                self._begun_at = self._timer()
                self._stuck_at = time.monotonic() + _PATIENCE_SECONDS
                self._last = self._latest.result() if self._keeps_last else None
                self._latest = Future()
                threading.Thread(target=self._run, args=(self._latest,), name="figures", daemon=True).start()

    def wait(self, *, until: float) -> Found | None:
        """What is found by that moment of time.monotonic(); for one that is stuck nobody waits once more."""
        latest, last = self._latest, self._last
        if last is not None and not latest.done():
            return last
        wait([latest], timeout=max(0.0, min(until, self._stuck_at) - time.monotonic()))
        return latest.result() if latest.done() else None

    def close(self) -> None:
        with self._guard:
            self._closed = True
        wait([self._latest], timeout=_PATIENCE_SECONDS)

    def _run(self, found: Future[Found | None]) -> None:
        begun = time.monotonic()
        result = self._found()
        self.took_seconds = time.monotonic() - begun
        found.set_result(result)

    def _found(self) -> Found | None:
        try:
            result = self._find()
        except StorageError as error:
            if not self._failed:
                log.warning("figures for monitoring cannot be read: %s", error)
        except Exception as error:  # noqa: BLE001 - whoever asks gets the process's own figures all the same
            log.error("reading figures for monitoring failed with %s", place_of(error))  # noqa: TRY400
        else:
            self._failed = False
            return result
        self._failed = True
        return None
