"""What happened in a local day [since, until) besides its reminders: other messages, and loads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from carenotify.storage.database import Transaction

_OTHER_MESSAGES = """
SELECT kind, count(*),
       count(*) FILTER (WHERE status IN ('sent', 'delivered')),
       count(*) FILTER (WHERE status IN ('failed', 'bounced', 'suppressed', 'unsubscribed', 'expired')),
       count(*) FILTER (WHERE possible_duplicate)
FROM notifications
WHERE kind <> 'reminder' AND created_at >= %(since)s AND created_at < %(until)s
GROUP BY kind
ORDER BY kind
"""

_LOADS = """
SELECT status, count(*) FROM ingest_runs
WHERE started_at >= %(since)s AND started_at < %(until)s
GROUP BY status
ORDER BY status
"""


@dataclass(frozen=True, slots=True)
class MessagesOfKind:
    """Messages of one kind; `failed` are those that staff are alerted of."""

    kind: str
    made: int
    taken: int
    failed: int
    possible_duplicates: int


def other_messages(transaction: Transaction, *, since: datetime, until: datetime) -> list[MessagesOfKind]:
    """The messages of that day that are no reminders, as they stand now, by kind."""
    rows = transaction.execute(_OTHER_MESSAGES, {"since": since, "until": until})
    return [MessagesOfKind(*row) for row in rows]


def loads(transaction: Transaction, *, since: datetime, until: datetime) -> dict[str, int]:
    """How many loads of appointments began that day, by how they stand."""
    return dict(transaction.execute(_LOADS, {"since": since, "until": until}).fetchall())
