"""What staff have to know of while it lasts: what stands still, is held back, or was not taken over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from carenotify.storage.database import Transaction

# A message of the relay's that waits for its patient's address, or for its provider, is due later, or says so.
_STALLED = """
SELECT n.channel, count(*)::int, min(n.due_at)
FROM notifications n
WHERE n.status = 'pending' AND n.due_at <= %(due_before)s AND n.expires_at > %(now)s
  AND n.reason IS DISTINCT FROM 'awaiting_contact'
  AND NOT EXISTS (SELECT FROM pauses x WHERE x.channel IN (n.channel, '*'))
GROUP BY n.channel
ORDER BY n.channel
"""

_PAUSED = """
SELECT p.channel, p.paused_at, (
    SELECT count(*) FROM notifications n
    WHERE (n.status = 'queued' OR n.status = 'pending' AND n.due_at <= %(now)s) AND n.expires_at > %(now)s
      AND p.channel IN (n.channel, '*') AND n.reason IS DISTINCT FROM 'awaiting_contact'
)::int
FROM pauses p
ORDER BY p.channel
"""

# A load that failed is over once a newer one was taken over. One that is discarded by itself was held or had failed.
_NOT_TAKEN_OVER = """
SELECT run.id, run.status, run.reason, run.finished_at,
       run.status = 'held' OR NOT EXISTS (
           SELECT FROM ingest_runs newer WHERE newer.status = 'loaded' AND newer.started_at > run.started_at)
FROM ingest_runs run
WHERE run.status IN ('held', 'failed', 'discarded') AND run.reason IS DISTINCT FROM 'discarded by a person'
  AND run.started_at > %(since)s
ORDER BY run.started_at, run.id
"""

_LAST_LOADED = "SELECT max(finished_at) FROM ingest_runs WHERE status = 'loaded'"


@dataclass(frozen=True, slots=True)
class Stalled:
    """Messages of a channel that are due and nobody publishes, the oldest due at that time."""

    channel: str
    count: int
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Paused:
    """A pause (of every channel: `*`), and how many messages are due and wait for its end."""

    channel: str
    paused_at: datetime
    waiting: int


@dataclass(frozen=True, slots=True)
class NotTakenOver:
    """A load that is held, failed, or was discarded by itself. `lasts`: nothing newer was taken over since."""

    run_id: str
    status: str
    reason: str | None
    finished_at: datetime
    lasts: bool


def stalled(transaction: Transaction, *, due_before: datetime, now: datetime) -> list[Stalled]:
    """What has been due since that moment or longer, is not paused, and still waits to be published, by channel."""
    return [Stalled(*row) for row in transaction.execute(_STALLED, {"due_before": due_before, "now": now})]


def paused(transaction: Transaction, *, now: datetime) -> list[Paused]:
    """Every pause, with what waits for its end."""
    return [Paused(*row) for row in transaction.execute(_PAUSED, {"now": now})]


def loads_not_taken_over(transaction: Transaction, *, since: datetime) -> list[NotTakenOver]:
    """Loads that began after that moment and did not change the copy, oldest first."""
    return [NotTakenOver(*row) for row in transaction.execute(_NOT_TAKEN_OVER, {"since": since})]


def last_loaded(transaction: Transaction) -> datetime | None:
    """When a load was last taken over; None if none ever was."""
    row = transaction.execute(_LAST_LOADED).fetchone()
    return None if row is None else row[0]
