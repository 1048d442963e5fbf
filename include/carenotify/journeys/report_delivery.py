"""What became of one day's reminders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta

from pydantic import BaseModel, ConfigDict

from carenotify.config import Settings
from carenotify.domain.window import day_bounds
from carenotify.storage import delivery_report
from carenotify.storage.database import Database, Transaction
from carenotify.storage.delivery_report import ReminderRow, ReportedDay

FIGURE_COLUMNS = ("figure", "of", "number")


class DeliveryReport(BaseModel):
    """Due: what the day's plan should tell, once skips with a reason are taken away, whether it did or not.

    Reached: told by at least one notification, fallbacks included, that was taken and neither failed nor bounced
    afterwards; `reached_by_channel` counts patient-days too, one that was reached on both channels twice. `fallbacks`
    took the place of another notification. `suppressions`, `receipts` and `dead_letters` are those of the day, whatever
    they are about, by reason, by what they say, and by what became of them.

    `untold`: patient-days with an appointment that neither a notification nor a reason accounts for; it should be 0
    once the plan was made. `notification_ids` says of each notification its channel, status, patient and the
    appointments' day, so that receivers can be compared with it; it is null for callers who may not read notifications.
    `reached_share` is null when nobody was due.
    """

    model_config = ConfigDict(frozen=True)

    day: str
    appointments_due: int
    patient_days_due: int
    patient_days_reached: int
    untold: int
    appointments_untold: int
    reached_share: float | None
    notifications: int
    reached_by_channel: dict[str, int]
    by_channel: dict[str, int]
    by_status: dict[str, int]
    by_reason: dict[str, int]
    fallbacks: int
    possible_duplicates: int
    suppressions: dict[str, int]
    receipts: dict[str, int]
    dead_letters: dict[str, int]
    skipped: dict[str, int]
    quarantined: int
    addresses_left_out: int
    notification_ids: dict[str, dict[str, str]] | None

    @property
    def csv_name(self) -> str:
        """What its file is called when it is saved for a spreadsheet."""
        return f"delivery-{self.day}.csv"

    def figures(self) -> Iterator[tuple[str, str, object]]:
        """A line for each figure, in FIGURE_COLUMNS: its name, of what it is (if there are several), its number."""
        for figure, value in self.model_dump(exclude={"day", "notification_ids"}).items():
            if isinstance(value, dict):
                yield from ((figure, name, number) for name, number in value.items())
            else:
                yield figure, "", value


def report_delivery(day: date, *, database: Database, settings: Settings) -> DeliveryReport:
    """The report of the reminders that were planned on a local day."""
    reported = reported_day(day, settings)
    with database.transaction() as transaction:
        return count_delivery(transaction, reported, delivery_report.notifications(transaction, reported))


def count_delivery(transaction: Transaction, reported: ReportedDay, rows: Sequence[ReminderRow]) -> DeliveryReport:
    """The same for whoever has the day's reminders already, in a transaction that they have begun."""
    day, since, until = reported.day, reported.since, reported.until
    due = delivery_report.due(transaction, reported)
    rejected, left_out = delivery_report.quarantined(transaction, since=since, until=until)
    return DeliveryReport(
        day=day.isoformat(),
        appointments_due=due.appointments,
        patient_days_due=due.patient_days,
        patient_days_reached=due.patient_days_reached,
        untold=due.patient_days_untold,
        appointments_untold=due.appointments_untold,
        reached_share=due.patient_days_reached / due.patient_days if due.patient_days else None,
        notifications=len(rows),
        reached_by_channel=_reached_by_channel(rows),
        by_channel=dict(Counter(row.channel for row in rows)),
        by_status=dict(Counter(row.status for row in rows)),
        by_reason=dict(Counter(row.reason for row in rows if row.reason is not None)),
        fallbacks=sum(row.fallback_of is not None for row in rows),
        possible_duplicates=sum(row.possible_duplicate for row in rows),
        suppressions=delivery_report.suppressions(transaction, since=since, until=until),
        receipts=delivery_report.receipts(transaction, since=since, until=until),
        dead_letters=delivery_report.dead_letters(transaction, since=since, until=until),
        skipped=delivery_report.skipped(transaction, day),
        quarantined=rejected,
        addresses_left_out=left_out,
        notification_ids={
            str(row.id): {
                "channel": row.channel,
                "status": row.status,
                "patient_id": row.patient_id,
                "appointment_day": row.appointment_day,
            }
            for row in rows
        },
    )


def _reached_by_channel(rows: Iterable[ReminderRow]) -> dict[str, int]:
    reached = {(row.channel, row.patient_id, row.appointment_day) for row in rows if row.reached}
    return dict(Counter(channel for channel, _, _ in reached))


def reported_day(day: date, settings: Settings) -> ReportedDay:
    """A local day as its report looks at it."""
    since, until = day_bounds(day, settings.timezone)
    opens, closes = settings.send_window.bounds(day, settings.timezone)
    days_before = settings.reminder_days_before
    horizon = day_bounds(day + timedelta(days=days_before), settings.timezone)[1]
    return ReportedDay(day, settings.timezone.key, since, until, opens, closes, horizon, days_before)
