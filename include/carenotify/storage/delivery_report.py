"""The figures of one day's reminders, as our own tables know them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from carenotify.storage.database import Transaction

_REMINDED = """
SELECT count(DISTINCT l.appointment_id),
       count(DISTINCT (n.patient_id, (a.start_at AT TIME ZONE %(timezone)s)::date)),
       count(DISTINCT (n.patient_id, (a.start_at AT TIME ZONE %(timezone)s)::date))
           FILTER (WHERE n.status IN ('sent', 'delivered'))
FROM notifications n
JOIN notification_appointments l ON l.notification_id = n.id
JOIN appointments a ON a.id = l.appointment_id
WHERE n.kind = 'reminder' AND n.created_at >= %(since)s AND n.created_at < %(until)s AND n.status <> 'superseded'
"""

_NOTIFICATIONS = """
SELECT id, channel, status, reason, possible_duplicate
FROM notifications
WHERE kind = 'reminder' AND created_at >= %(since)s AND created_at < %(until)s
ORDER BY id
"""

_SKIPPED = (
    "SELECT reason, sum(appointments)::int FROM reminder_skips WHERE day = %(day)s GROUP BY reason ORDER BY reason"
)

_QUARANTINED = """
SELECT count(*) FILTER (WHERE rejected), count(*) FILTER (WHERE NOT rejected)
FROM quarantine
WHERE quarantined_at >= %(since)s AND quarantined_at < %(until)s AND resolved_at IS NULL
"""


def reminded(transaction: Transaction, *, since: datetime, until: datetime, timezone: str) -> tuple[int, int, int]:
    """Of the reminders made in [since, until): appointments, patient-days, and patient-days that were reached."""
    row = transaction.execute(_REMINDED, {"since": since, "until": until, "timezone": timezone}).fetchone()
    return (0, 0, 0) if row is None else (row[0], row[1], row[2])


def notifications(transaction: Transaction, *, since: datetime, until: datetime) -> list[tuple[Any, ...]]:
    """Id, channel, status, reason and whether it may have been sent twice, of each reminder made in [since, until)."""
    return transaction.execute(_NOTIFICATIONS, {"since": since, "until": until}).fetchall()


def skipped(transaction: Transaction, day: date) -> dict[str, int]:
    """Appointments that the day's latest plan left out, by reason."""
    return dict(transaction.execute(_SKIPPED, {"day": day}).fetchall())


def quarantined(transaction: Transaction, *, since: datetime, until: datetime) -> tuple[int, int]:
    """Open quarantine rows of that time: rows that were rejected, and rows that only lost an address."""
    row = transaction.execute(_QUARANTINED, {"since": since, "until": until}).fetchone()
    return (0, 0) if row is None else (row[0], row[1])
