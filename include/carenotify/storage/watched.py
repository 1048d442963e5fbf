"""What staff have to know of while it lasts: what stands still, is held back, or was not taken over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from carenotify.storage.database import Transaction

# What is tried again is due later. While a channel sends at all, a long queue is no standstill; but nothing waits for
# long to be published.
_STALLED = """
WITH waiting AS (
    SELECT n.channel, n.due_at, n.status = 'pending' AND n.due_at <= %(surely_before)s AS surely
    FROM notifications n
    WHERE n.status IN ('pending', 'queued') AND n.expires_at > %(now)s
      AND CASE n.status WHEN 'queued' THEN n.queued_at ELSE n.due_at END <= %(quiet_since)s
      AND n.reason IS DISTINCT FROM 'awaiting_contact'
      AND NOT EXISTS (SELECT FROM pauses x WHERE x.channel IN (n.channel, '*'))
),
newest AS MATERIALIZED (  -- found by the index on their time, once for all channels, and read up to the first that fits
    SELECT d.notification_id FROM delivery_attempts d WHERE d.finished_at > %(quiet_since)s
)
SELECT w.channel, count(*)::int, min(w.due_at)
FROM waiting w
GROUP BY w.channel
HAVING bool_or(w.surely) OR NOT EXISTS (
    SELECT FROM newest d
    JOIN notifications k ON k.id = d.notification_id
    WHERE k.channel = w.channel
)
ORDER BY w.channel
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
# A run of Airflow that fails is noted a moment after its load.
_NOT_TAKEN_OVER = """
SELECT run.id, run.status, run.reason, run.finished_at,
       run.status = 'held' OR NOT EXISTS (
           SELECT FROM ingest_runs newer WHERE newer.status = 'loaded' AND newer.started_at > run.started_at),
       run.status <> 'held' AND EXISTS (
           SELECT FROM alerts told WHERE told.dedup_key = 'task_failed:ingest_appointments:' || run.id)
FROM ingest_runs run
WHERE run.status IN ('held', 'failed', 'discarded') AND run.reason IS DISTINCT FROM 'discarded by a person'
  AND run.started_at > %(since)s AND (run.status <> 'failed' OR run.finished_at <= %(failed_until)s)
ORDER BY run.started_at, run.id
"""

_LAST_LOADED = "SELECT max(finished_at) FROM ingest_runs WHERE status = 'loaded'"


@dataclass(frozen=True, slots=True)
class Stalled:
    """Messages of a channel that are due and nobody sends, the oldest due at that time."""

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
    """A load that is held, failed, or was discarded by itself.

    `lasts`: nothing newer was taken over since. `told_as_run`: staff are told that Airflow's run of it failed.
    """

    run_id: str
    status: str
    reason: str | None
    finished_at: datetime
    lasts: bool
    told_as_run: bool


def stalled(
    transaction: Transaction, *, quiet_since: datetime, surely_before: datetime, now: datetime
) -> list[Stalled]:
    """Channels that are not paused, on which something has waited since `quiet_since` and nothing was sent since then.

    Also those with what was due before `surely_before` and is not even published, whatever else was sent.
    """
    parameters = {"quiet_since": quiet_since, "surely_before": surely_before, "now": now}
    return [Stalled(*row) for row in transaction.execute(_STALLED, parameters)]


def paused(transaction: Transaction, *, now: datetime) -> list[Paused]:
    """Every pause, with what waits for its end."""
    return [Paused(*row) for row in transaction.execute(_PAUSED, {"now": now})]


def loads_not_taken_over(transaction: Transaction, *, since: datetime, failed_until: datetime) -> list[NotTakenOver]:
    """Loads that began after `since` and did not change the copy, oldest first; those failed by `failed_until` only."""
    parameters = {"since": since, "failed_until": failed_until}
    return [NotTakenOver(*row) for row in transaction.execute(_NOT_TAKEN_OVER, parameters)]


def last_loaded(transaction: Transaction) -> datetime | None:
    """When a load was last taken over; None if none ever was."""
    row = transaction.execute(_LAST_LOADED).fetchone()
    return None if row is None else row[0]
