"""What became of one day's reminders."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from carenotify.domain.window import day_bounds
from carenotify.storage import delivery_report
from carenotify.storage.database import Database


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """Due: what should be told, once skips with a reason are taken away. Reached: told by at least one notification.

    `notification_ids` says of each notification its channel and status, so that receivers can be compared with it.
    """

    day: str
    appointments_due: int
    patient_days_due: int
    patient_days_reached: int
    notifications: int
    by_channel: dict[str, int]
    by_status: dict[str, int]
    by_reason: dict[str, int]
    possible_duplicates: int
    skipped: dict[str, int]
    quarantined: int
    addresses_left_out: int
    notification_ids: dict[str, dict[str, str]]

    @property
    def reached_share(self) -> float | None:
        """Reached patient-days of those that were due; None when none was."""
        return self.patient_days_reached / self.patient_days_due if self.patient_days_due else None


def report_delivery(day: date, *, database: Database, timezone: ZoneInfo) -> DeliveryReport:
    """The report of the reminders that were planned on a local day."""
    since, until = day_bounds(day, timezone)
    with database.transaction() as transaction:
        due, patient_days, reached = delivery_report.reminded(
            transaction, since=since, until=until, timezone=timezone.key
        )
        rows = delivery_report.notifications(transaction, since=since, until=until)
        skipped = delivery_report.skipped(transaction, day)
        rejected, left_out = delivery_report.quarantined(transaction, since=since, until=until)
    return DeliveryReport(
        day=day.isoformat(),
        appointments_due=due,
        patient_days_due=patient_days,
        patient_days_reached=reached,
        notifications=len(rows),
        by_channel=dict(Counter(channel for _, channel, *_ in rows)),
        by_status=dict(Counter(status for _, _, status, *_ in rows)),
        by_reason=dict(Counter(reason for *_, reason, _ in rows if reason is not None)),
        possible_duplicates=sum(possible for *_, possible in rows),
        skipped=skipped,
        quarantined=rejected,
        addresses_left_out=left_out,
        notification_ids={str(row[0]): {"channel": row[1], "status": row[2]} for row in rows},
    )
