"""What a day's reminders came to, counted in the database: for reports that look at many days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from carenotify.storage.database import Transaction

# Failed are the same statuses that staff are alerted of.
_REMINDERS = """
SELECT channel, COALESCE(reason, status) AS reason,
       status IN ('failed', 'bounced', 'suppressed', 'unsubscribed', 'expired') AS failed,
       status IN ('pending', 'queued', 'sending') AS waits, count(*)
FROM notifications
WHERE kind = 'reminder' AND created_at >= %(since)s AND created_at < %(until)s
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 4
"""


@dataclass(frozen=True, slots=True)
class ReminderCount:
    """So many reminders of a channel, failed or not for one reason (their status, where no reason is noted).

    `waits`: they are yet to be sent, or to be given up.
    """

    channel: str
    reason: str
    failed: bool
    waits: bool
    number: int


def reminders(transaction: Transaction, *, since: datetime, until: datetime) -> list[ReminderCount]:
    """The reminders that were made in [since, until), by channel and by how they stand."""
    return [ReminderCount(*row) for row in transaction.execute(_REMINDERS, {"since": since, "until": until})]
