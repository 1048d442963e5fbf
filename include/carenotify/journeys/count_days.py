"""Count what a day's reminders came to, once: what nothing changes any more is kept."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta

from carenotify.config import Settings
from carenotify.domain.clock import Clock
from carenotify.domain.window import local_day
from carenotify.errors import StorageError
from carenotify.journeys.report_delivery import reported_day
from carenotify.storage import delivery_report, month_report, settled_days
from carenotify.storage.database import Database
from carenotify.storage.overview import hold_still
from carenotify.storage.settled_days import DayFigures

log = logging.getLogger(__name__)

# Receipts come for three days, and dead letters are replayed while their window is open.
_STILL_CHANGING = timedelta(days=4)
_STATEMENT_SECONDS = 20
# So many are counted and kept although nobody looks at them: a year, and the month that began before it.
_DAYS_LOOKED_BACK = 400
# A day takes half a second, and what is sent meanwhile must not wait: an upgraded hospital's year takes an hour or so.
_DAYS_AT_ONCE = 5


@dataclass(frozen=True, slots=True)
class DayCounter:
    """Counts days. Those of four days ago and before are settled: counted once, kept, and told as they stood then."""

    database: Database
    settings: Settings
    clock: Clock

    def figures(self, day: date) -> DayFigures:
        """That local day's figures: the kept ones, else as they stand now. Raises DatabaseUnavailableError."""
        if not self.is_settled(day):
            return self._count(day)[0]
        with self.database.transaction() as transaction:
            kept = settled_days.find(transaction, day, timezone=self.settings.timezone.key)
        if kept is not None:
            return kept
        figures, waits = self._count(day)
        try:
            return figures if waits else self._keep(day, figures)
        except StorageError as error:  # while another server takes over, nothing can be written
            log.warning("the figures of %s are told, and not kept: %s", day, error)
            return figures

    def keep_missing(self) -> int:
        """Count the newest settled days that are not kept yet, a few of them; gives how many days were counted.

        A day is not kept while a reminder of it still waits, as after an outage of days.
        """
        last = local_day(self.clock(), self.settings.timezone) - _STILL_CHANGING
        with self.database.transaction() as transaction:
            days = settled_days.missing(
                transaction, last=last, timezone=self.settings.timezone.key, at_most=_DAYS_LOOKED_BACK
            )
        for day in days[:_DAYS_AT_ONCE]:
            figures, waits = self._count(day)
            if not waits:
                self._keep(day, figures)
        return len(days[:_DAYS_AT_ONCE])

    def is_settled(self, day: date) -> bool:
        """Whether nothing that happens now belongs to that day any more."""
        return day <= local_day(self.clock(), self.settings.timezone) - _STILL_CHANGING

    def _keep(self, day: date, figures: DayFigures) -> DayFigures:
        """What is kept from now on: these, or those of whoever was quicker."""
        reported = reported_day(day, self.settings)
        with self.database.transaction() as transaction:
            settled_days.keep(transaction, reported, figures, now=self.clock())
            return settled_days.find(transaction, day, timezone=reported.timezone) or figures

    def _count(self, day: date) -> tuple[DayFigures, bool]:
        """A day's figures, and whether any of its reminders still waits."""
        reported = reported_day(day, self.settings)
        with self.database.transaction() as transaction:
            hold_still(transaction, statement_seconds=_STATEMENT_SECONDS)
            due = delivery_report.due(transaction, reported)
            reminders = month_report.reminders(transaction, since=reported.since, until=reported.until)
        by_channel: Counter[str] = Counter()
        failures: Counter[str] = Counter()
        for row in reminders:
            by_channel[row.channel] += row.number
            if row.failed:
                failures[row.reason] += row.number
        figures = DayFigures(
            due.patient_days, due.patient_days_reached, due.patient_days_untold, dict(by_channel), dict(failures)
        )
        return figures, any(row.waits for row in reminders)
