"""How a month's reminders went, day by day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta

from pydantic import BaseModel

from carenotify.config import Settings
from carenotify.domain.clock import Clock
from carenotify.domain.window import local_day
from carenotify.journeys.count_days import DayCounter
from carenotify.journeys.share_answers import SharedAnswers
from carenotify.journeys.take_turns import Turns

_DAYS_KEPT = 400
_CHANGING_SECONDS, _SETTLED_SECONDS = 10.0, 3600.0
_OLD_FOR_SECONDS = 86400.0


class MonthDay(BaseModel):
    """Due and reached are those of the day's delivery report. `by_channel` counts reminders, `failures` by reason."""

    day: date
    patient_days_due: int
    patient_days_reached: int
    reached_share: float | None
    untold: int
    by_channel: dict[str, int]
    failures: dict[str, int]


class MonthReport(BaseModel):
    """The days of a month that have begun, and all of them together. `reached_share` is null when nobody was due."""

    month: str
    patient_days_due: int
    patient_days_reached: int
    reached_share: float | None
    untold: int
    by_channel: dict[str, int]
    failures: dict[str, int]
    days: list[MonthDay]


class MonthReporter:
    """Reports months, and remembers days: those that still change for seconds, settled ones for an hour.

    While the database does not answer, days are told as they were up to a day ago.
    """

    def __init__(self, counter: DayCounter, settings: Settings, clock: Clock, *, turns: Turns) -> None:
        self._counter = counter
        self._settings = settings
        self._clock = clock
        self._days = SharedAnswers(
            self._told,
            good_for_seconds=self._good_for,
            old_for_seconds=_OLD_FOR_SECONDS,
            at_most=_DAYS_KEPT,
            turns=turns,
        )

    def report(self, month: date | None = None) -> MonthReport:
        """The report of the month that a day is of, this month when none is given."""
        today = self._today()
        first = (month or today).replace(day=1)
        days = [self._days.to(day) for day in _days_of(first) if day <= today]
        return MonthReport(
            month=first.strftime("%Y-%m"),
            patient_days_due=(due := sum(day.patient_days_due for day in days)),
            patient_days_reached=(reached := sum(day.patient_days_reached for day in days)),
            reached_share=reached / due if due else None,
            untold=sum(day.untold for day in days),
            by_channel=_together(days, lambda day: day.by_channel),
            failures=_together(days, lambda day: day.failures),
            days=days,
        )

    def _told(self, day: date) -> MonthDay:
        figures = self._counter.figures(day)
        due, reached = figures.patient_days_due, figures.patient_days_reached
        return MonthDay(
            day=day,
            patient_days_due=due,
            patient_days_reached=reached,
            reached_share=reached / due if due else None,
            untold=figures.untold,
            by_channel=dict(sorted(figures.by_channel.items())),
            failures=dict(sorted(figures.failures.items())),
        )

    def _good_for(self, day: date) -> float:
        return _SETTLED_SECONDS if self._counter.is_settled(day) else _CHANGING_SECONDS

    def _today(self) -> date:
        return local_day(self._clock(), self._settings.timezone)


def _days_of(first: date) -> list[date]:
    following = (first + timedelta(days=31)).replace(day=1)
    return [first + timedelta(days=number) for number in range((following - first).days)]


def _together(days: list[MonthDay], counted: Callable[[MonthDay], dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for day in days:
        total.update(counted(day))
    return dict(sorted(total.items()))
