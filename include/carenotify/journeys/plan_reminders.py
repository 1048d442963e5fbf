"""Turn the appointments of the coming days into reminders that wait to be published."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from carenotify.config import Settings
from carenotify.domain.clock import Clock
from carenotify.domain.kinds import REMINDER, AppointmentLine, ReminderData
from carenotify.domain.schedule import UNREADABLE, Digest, Plan, ReminderRules, plan_digests
from carenotify.domain.window import day_bounds, local_day
from carenotify.errors import PlanDayError, WindowClosedError
from carenotify.journeys.choose_wording import Wordings
from carenotify.journeys.tell_patient import Telling
from carenotify.storage import notifications, reminder_plans, reminders
from carenotify.storage.database import Database, Transaction
from carenotify.storage.outbox import IdRange
from carenotify.storage.patients import refuse_wrong_keys
from carenotify.tracing import span


@dataclass(frozen=True, slots=True)
class PlannedReminders:
    """What a plan came to. `batches` are what there is to publish now, this plan's and what an earlier one left."""

    day: date
    appointments_due: int
    patient_days: int
    planned: int
    superseded: int
    skipped: dict[str, int]
    batches: list[tuple[IdRange, int]]

    def summary(self) -> dict[str, Any]:
        """Counts for people and XComs."""
        return {
            "day": self.day.isoformat(),
            "appointments_due": self.appointments_due,
            "patient_days": self.patient_days,
            "planned": self.planned,
            "superseded": self.superseded,
            "skipped": self.skipped,
            "to_publish": sum(count for _, count in self.batches),
        }


@dataclass(frozen=True, slots=True)
class ReminderPlanner:
    """Plans the reminders of one day's window."""

    database: Database
    settings: Settings
    clock: Clock

    def plan(self, day: date, *, dry_run: bool = False) -> PlannedReminders:
        """Plan everything that is to go out in this local day's window, once, however often it is asked for.

        Looks from now to the end of the day that is `reminder_days_before` ahead, so what an earlier day left out is
        caught up on. Raises WindowClosedError when that window is over, PlanDayError when the day is still to come
        (a dry run may look ahead), DecryptionError when no patient's record can be opened; then nothing is stored.
        """
        now = self.clock()
        opens, closes = self.settings.send_window.bounds(day, self.settings.timezone)
        self._check_day(day, closes=closes, now=now, dry_run=dry_run)
        with span("plan reminders", day=day.isoformat(), dry_run=dry_run) as planning:
            with self.database.transaction() as transaction:
                reminders.refresh_statistics(transaction)
            with self.database.transaction() as transaction:
                planned = self._plan(transaction, day=day, opens=opens, closes=closes, now=now, dry_run=dry_run)
            planning.note(planned=planned.planned)
        return planned

    def _check_day(self, day: date, *, closes: datetime, now: datetime, dry_run: bool) -> None:
        window = self.settings.send_window
        if now >= closes:
            raise WindowClosedError(
                f"the window {window} of {day} is over; what was not reminded is taken up in the next day's window"
            )
        if day > local_day(now, self.settings.timezone) and not dry_run:
            raise PlanDayError(f"{day} is still to come: plan it on that day, or ask for a dry run")

    def _plan(
        self, transaction: Transaction, *, day: date, opens: datetime, closes: datetime, now: datetime, dry_run: bool
    ) -> PlannedReminders:
        settings, sealer = self.settings, self.database.sealer
        since = max(now, day_bounds(day, settings.timezone)[0])
        until = day_bounds(day + timedelta(days=settings.reminder_days_before), settings.timezone)[1]
        horizon = reminders.Horizon(since, until, settings.reminder_days_before)
        reminders.take_turns(transaction)
        superseded = 0
        if not dry_run:
            superseded = reminders.supersede_overtaken(
                transaction, horizon, kind=REMINDER.name, timezone=settings.timezone.key, now=now
            )
        found = reminders.candidates(transaction, horizon, kind=REMINDER.name, sealer=sealer)
        rules = ReminderRules(REMINDER, settings.timezone, settings.default_channels, day, now)
        plan = plan_digests(found, rules)
        self._refuse_wrong_keys(transaction, plan)
        wordings = Wordings.of(transaction, REMINDER, default_language=settings.default_language)
        rows = [
            row
            for digest in plan.digests
            for row in _telling(digest, due_at=max(opens, now), closes=closes, now=now).on_each(
                [digest.channel], wordings
            )
        ]
        planned, batches = len(rows), []
        if not dry_run:
            planned = len(notifications.insert(transaction, rows, sealer=sealer))
            reminders.replace_skips(transaction, day, plan.skips)
            reminder_plans.note(transaction, day, patient_days=plan.patient_days, planned=planned, now=now)
            batches = reminders.pending_batches(
                transaction, kind=REMINDER.name, size=settings.publish_batch, due_by=now, now=now
            )
        return PlannedReminders(day, plan.due, plan.patient_days, planned, superseded, dict(plan.skipped), batches)

    def _refuse_wrong_keys(self, transaction: Transaction, plan: Plan) -> None:
        """One record that cannot be opened is skipped; but with keys that open none, nobody would be reminded."""
        if plan.skipped[UNREADABLE] and not plan.due:
            refuse_wrong_keys(transaction, self.database.sealer)


def _telling(digest: Digest, *, due_at: datetime, closes: datetime, now: datetime) -> Telling:
    return Telling(
        kind=REMINDER,
        identity=digest.identity,
        patient_id=digest.patient.id,
        data=ReminderData(
            given_name=digest.patient.given_name,
            appointments=tuple(AppointmentLine.of(appointment) for appointment in digest.appointments),
        ),
        due_at=due_at,
        expires_at=closes,
        created_at=now,
        appointments=digest.appointments,
        languages=(digest.wanted_language,),
    )
