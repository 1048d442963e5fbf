"""What the page shows of a day at a glance. An index finds the rows of each figure, however many days are kept.

Times bound a local day: [since, until).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from carenotify.storage.alerts import WAITING
from carenotify.storage.database import Transaction

STEP_MINUTES = 5

# A day's rows lie together, and are in memory: its reminders' appointments are looked up one by one, and not found by
# reading all that there ever were.
_SNAPSHOT = """
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SET LOCAL random_page_cost = 1.1
"""

_BY_CHANNEL_AND_STATUS = """
SELECT channel, status, count(*) FROM notifications
WHERE created_at >= %(since)s AND created_at < %(until)s
GROUP BY channel, status
ORDER BY channel, status
"""

# A message is sent when a provider took it, delivered when the first receipt said so, and failed when it was given up
# or a receipt said that it did not arrive.
_TIMELINE = f"""
WITH step (at, sent, delivered, failed) AS (
    SELECT date_bin('{STEP_MINUTES} minutes', finished_at, %(since)s), count(*), 0, 0
    FROM delivery_attempts
    WHERE finished_at >= %(since)s AND finished_at < %(until)s AND outcome = 'sent'
    GROUP BY 1
    UNION ALL
    SELECT date_bin('{STEP_MINUTES} minutes', first_at, %(since)s), 0, count(*), 0
    FROM (
        SELECT min(received_at) AS first_at FROM receipts
        WHERE received_at >= %(since)s AND received_at < %(until)s AND status = 'delivered'
        GROUP BY notification_id
    ) delivered
    GROUP BY 1
    UNION ALL
    SELECT date_bin('{STEP_MINUTES} minutes', failed_at, %(since)s), 0, 0, count(*)
    FROM (
        SELECT GREATEST(n.finished_at, (
            SELECT max(r.received_at) FROM receipts r
            WHERE r.notification_id = n.id AND r.status IN ('failed', 'bounced', 'unsubscribed')
        )) AS failed_at
        FROM notifications n
        WHERE n.created_at >= %(since)s AND n.created_at < %(until)s
          AND n.status IN ('failed', 'bounced', 'suppressed', 'unsubscribed', 'expired')
    ) failed
    WHERE failed_at >= %(since)s AND failed_at < %(until)s
    GROUP BY 1
)
SELECT at, sum(sent)::int, sum(delivered)::int, sum(failed)::int FROM step GROUP BY at ORDER BY at
"""

# What changed something that a patient may have to be told; repetitions and what was out of date are left out.
_CHANGES = """
SELECT count(*) FROM change_events
WHERE received_at >= %(since)s AND received_at < %(until)s
  AND outcome IN ('notified', 'awaiting_contact', 'not_told')
"""

_WAITING_FOR_PEOPLE = f"""
SELECT (SELECT count(*) FROM dead_letters WHERE resolved_at IS NULL),
       (SELECT count(*) FROM alerts WHERE {WAITING})
"""

_LAST_LOAD = """
SELECT finished_at, status, counts FROM ingest_runs
WHERE finished_at IS NOT NULL
ORDER BY started_at DESC
LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Step:
    """What happened in the STEP_MINUTES from `at` on."""

    at: datetime
    sent: int
    delivered: int
    failed: int


@dataclass(frozen=True, slots=True)
class LastLoad:
    """How the newest load ended that has ended."""

    finished_at: datetime
    status: str
    counts: dict[str, int]


def hold_still(transaction: Transaction, *, statement_seconds: int) -> None:
    """Let everything that is read from here on be of one moment, and end a statement that takes longer than that."""
    transaction.execute(_SNAPSHOT)
    transaction.execute("SELECT set_config('statement_timeout', %s, true)", (f"{statement_seconds}s",))


def by_channel_and_status(transaction: Transaction, *, since: datetime, until: datetime) -> dict[tuple[str, str], int]:
    """How many notifications of whatever kind were made that day, by their channel and how they stand now."""
    rows = transaction.execute(_BY_CHANNEL_AND_STATUS, {"since": since, "until": until})
    return {(channel, status): number for channel, status, number in rows}


def timeline(transaction: Transaction, *, since: datetime, until: datetime) -> list[Step]:
    """What happened that day, step by step; steps in which nothing happened are left out."""
    return [Step(*row) for row in transaction.execute(_TIMELINE, {"since": since, "until": until})]


def changes(transaction: Transaction, *, since: datetime, until: datetime) -> int:
    """How many changes of appointments came in that day, by whatever way."""
    row = transaction.execute(_CHANGES, {"since": since, "until": until}).fetchone()
    return row[0] if row else 0


def waiting_for_people(transaction: Transaction) -> tuple[int, int]:
    """Dead letters that nobody has settled, and alerts that no mail server has taken yet."""
    row = transaction.execute(_WAITING_FOR_PEOPLE).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def last_load(transaction: Transaction) -> LastLoad | None:
    """The newest load that has ended; None before the first."""
    row = transaction.execute(_LAST_LOAD).fetchone()
    return None if row is None else LastLoad(*row)
