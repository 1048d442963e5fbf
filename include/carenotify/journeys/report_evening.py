"""All that staff are told of a day in the evening: counts, and nobody's data."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from carenotify.config import Settings
from carenotify.domain.clock import Clock
from carenotify.domain.report_words import ENDINGS
from carenotify.journeys.report_coverage import CoverageReport, CoverageReporter
from carenotify.journeys.report_delivery import DeliveryReport, count_delivery, reported_day
from carenotify.storage import delivery_report, evening_report, overview, reminder_plans
from carenotify.storage.database import Database, Transaction
from carenotify.storage.delivery_report import ReminderRow, ReportedDay
from carenotify.storage.evening_report import MessagesOfKind

# A report of a large day takes a second or two.
_STATEMENT_SECONDS = 60
_WAITING = frozenset({"pending", "queued", "sending"})


@dataclass(frozen=True, slots=True)
class Unreached:
    """Why reminders did not arrive: of each reason the messages, and the patient-days that nothing reached.

    A patient-day counts under each reason that one of its messages has.
    """

    messages: Mapping[str, int]
    patient_days: Mapping[str, int]
    patient_days_waiting: int


@dataclass(frozen=True, slots=True)
class EveningReport:
    """A day as far as it had come at `counted_at`.

    Coverage and `dead_letters_open` are as of then, whatever the day. `planned` is whether the day's reminders were;
    `plan_missed`, whether they should have been by then.
    """

    day: date
    counted_at: datetime
    closes: datetime
    planned: bool
    plan_missed: bool
    delivery: DeliveryReport
    unreached: Unreached
    changes: int
    other_messages: Sequence[MessagesOfKind]
    coverage: CoverageReport
    dead_letters_open: int
    loads: Mapping[str, int]

    @property
    def under_way(self) -> bool:
        """Whether its reminders may still go out, so that nobody has missed anything yet."""
        return self.counted_at < self.closes

    @property
    def not_reached(self) -> int:
        """Patient-days that were due and that nothing reached."""
        return self.delivery.patient_days_due - self.delivery.patient_days_reached


@dataclass(frozen=True, slots=True)
class EveningReporter:
    """Reports days of the hospital's."""

    database: Database
    settings: Settings
    clock: Clock
    coverage: CoverageReporter

    def report(self, day: date) -> EveningReport:
        """Everything of that local day, of one moment but for the coverage. Raises StorageError."""
        reported, coverage = reported_day(day, self.settings), self.coverage.report()
        with self.database.transaction() as transaction:
            overview.hold_still(transaction, statement_seconds=_STATEMENT_SECONDS)
            return self._counted(transaction, reported, coverage)

    def _counted(self, transaction: Transaction, reported: ReportedDay, coverage: CoverageReport) -> EveningReport:
        bounds = {"since": reported.since, "until": reported.until}
        now = self.clock()
        rows = delivery_report.notifications(transaction, reported)
        delivery = count_delivery(transaction, reported, rows)
        planned = reminder_plans.planned_at(transaction, reported.day) is not None
        return EveningReport(
            day=reported.day,
            counted_at=now,
            closes=reported.closes,
            planned=planned,
            plan_missed=not planned
            and is_plan_late(reported, now=now, grace_minutes=self.settings.alert_plan_grace_minutes)
            and (delivery.untold > 0 or reminder_plans.planned_before(transaction, reported.day)),
            delivery=delivery,
            unreached=unreached(rows),
            changes=overview.changes(transaction, **bounds),
            other_messages=evening_report.other_messages(transaction, **bounds),
            coverage=coverage,
            dead_letters_open=overview.waiting_for_people(transaction)[0],
            loads=evening_report.loads(transaction, **bounds),
        )


def is_plan_late(reported: ReportedDay, *, now: datetime, grace_minutes: float) -> bool:
    """Whether the day's plan should be there, as the watchdog looks at it. A hospital without grace plans nothing."""
    has_window = reported.opens < reported.closes
    return grace_minutes > 0 and has_window and now >= reported.opens + timedelta(minutes=grace_minutes)


def unreached(reminders: Iterable[ReminderRow]) -> Unreached:
    """Why reminders of a day did not arrive. What was replaced by newer ones says nothing of anybody."""
    of_patient_day: defaultdict[tuple[str, str], list[ReminderRow]] = defaultdict(list)
    for row in reminders:
        if row.status != "superseded":
            of_patient_day[row.patient_id, row.appointment_day].append(row)
    missed = [rows for rows in of_patient_day.values() if not any(row.reached for row in rows)]
    return Unreached(
        messages=Counter(reason for rows in of_patient_day.values() for reason in _reasons(rows)),
        patient_days=Counter(reason for rows in missed for reason in set(_reasons(rows))),
        patient_days_waiting=sum(any(row.status in _WAITING for row in rows) for rows in missed),
    )


def _reasons(rows: Iterable[ReminderRow]) -> list[str]:
    return [row.reason or row.status for row in rows if row.status in ENDINGS and not row.reached]
