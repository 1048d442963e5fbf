"""Loads: which run fetched which days, how it stands and what it counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from carenotify.errors import NotFoundError
from carenotify.storage.database import Transaction


@dataclass(frozen=True, slots=True)
class IngestRun:
    """One load. `status` is running, loaded, held, released, discarded or failed; days are the hospital's."""

    id: str
    started_at: datetime
    finished_at: datetime | None
    status: str
    reason: str | None
    first_day: date
    last_day: date
    complete_days: list[date]
    updates_complete: bool
    counts: dict[str, int]


_START = """
INSERT INTO ingest_runs AS run (id, started_at, status, first_day, last_day)
VALUES (%(id)s, %(now)s, 'running', %(first_day)s, %(last_day)s)
ON CONFLICT (id) DO UPDATE
SET started_at = excluded.started_at, finished_at = NULL, status = 'running', reason = NULL,
    first_day = excluded.first_day, last_day = excluded.last_day,
    complete_days = '{}', updates_complete = false, counts = '{}'
"""

_READ = """
SELECT id, started_at, finished_at, status, reason, first_day, last_day, complete_days, updates_complete, counts
FROM ingest_runs WHERE id = %s
"""

_DAY_COMPLETE = """
UPDATE ingest_runs
SET complete_days = ARRAY(SELECT DISTINCT day FROM unnest(complete_days || %(day)s::date) AS day ORDER BY day)
WHERE id = %(id)s
"""

_DAY_OPEN = "UPDATE ingest_runs SET complete_days = array_remove(complete_days, %(day)s::date) WHERE id = %(id)s"

_SETTLE = """
UPDATE ingest_runs
SET status = %(status)s, reason = %(reason)s, counts = counts || %(counts)s,
    finished_at = CASE WHEN %(status)s IN ('running', 'released') THEN NULL ELSE %(now)s::timestamptz END
WHERE id = %(id)s
"""

# A load that has been running for a day was killed.
_DISCARD_LEFT_OVERS = """
WITH left_over AS (
    SELECT run.id, run.status FROM ingest_runs AS run
    WHERE run.id <> %(run_id)s
      AND (run.status = 'failed'
           OR run.status = 'running' AND run.started_at < %(now)s - interval '1 day'
           OR run.status = 'held' AND EXISTS (
               SELECT FROM ingest_runs AS newer
               WHERE newer.status = 'held' AND newer.id <> %(run_id)s
                 AND (newer.started_at, newer.id) > (run.started_at, run.id)))
      AND EXISTS (SELECT FROM staging_appointments AS staged WHERE staged.run_id = run.id)
),
discarded AS (
    UPDATE ingest_runs AS run
    SET status = 'discarded', finished_at = coalesce(run.finished_at, %(now)s),
        reason = concat_ws('; ', run.reason, 'what it fetched was removed when a newer load began')
    FROM left_over
    WHERE run.id = left_over.id AND run.status = left_over.status
    RETURNING run.id
)
DELETE FROM staging_appointments WHERE run_id IN (SELECT id FROM discarded)
"""

_LAST_GOOD = "SELECT max(started_at) FROM ingest_runs WHERE status = 'loaded' AND updates_complete AND id <> %s"


def start_run(transaction: Transaction, *, run_id: str, now: datetime, first_day: date, last_day: date) -> None:
    """Create a run, or start it over: whatever it staged before is gone."""
    transaction.execute(_START, {"id": run_id, "now": now, "first_day": first_day, "last_day": last_day})
    transaction.execute("DELETE FROM staging_appointments WHERE run_id = %s", (run_id,))


def read_run(transaction: Transaction, run_id: str, *, lock: bool = False) -> IngestRun:
    """The run as it stands; locked until the transaction ends when asked. Raises NotFoundError."""
    with transaction.cursor(row_factory=class_row(IngestRun)) as cursor:
        run = cursor.execute(_READ + (" FOR UPDATE" if lock else ""), (run_id,)).fetchone()
    if run is None:
        raise NotFoundError(f"there is no load {run_id}")
    return run


def discard_left_overs(transaction: Transaction, *, except_run: str, now: datetime) -> None:
    """Remove what loads staged that nobody will take over: those that failed, and all but the newest that is held."""
    transaction.execute(_DISCARD_LEFT_OVERS, {"run_id": except_run, "now": now})


def reopen_run(transaction: Transaction, run_id: str) -> None:
    """A task of a run that is loaded is run again: what it stages has to be checked and loaded too."""
    transaction.execute(
        "UPDATE ingest_runs SET status = 'running', finished_at = NULL WHERE id = %s AND status = 'loaded'", (run_id,)
    )


def add_counts(transaction: Transaction, *, run_id: str, counts: Mapping[str, int]) -> None:
    """Note what a step counted, whatever the run's status."""
    transaction.execute("UPDATE ingest_runs SET counts = counts || %s WHERE id = %s", (Jsonb(dict(counts)), run_id))


def mark_day(transaction: Transaction, *, run_id: str, day: date, complete: bool) -> None:
    """Say whether a day came whole. Mapped tasks call this side by side."""
    transaction.execute(_DAY_COMPLETE if complete else _DAY_OPEN, {"id": run_id, "day": day})


def mark_updates(transaction: Transaction, *, run_id: str, complete: bool) -> None:
    """Say whether every change since the last good load came."""
    transaction.execute("UPDATE ingest_runs SET updates_complete = %s WHERE id = %s", (complete, run_id))


def settle_run(
    transaction: Transaction,
    *,
    run_id: str,
    status: str,
    now: datetime,
    reason: str | None = None,
    counts: Mapping[str, int] | None = None,
) -> None:
    """Move a run to a status; counts are added to those it has."""
    transaction.execute(
        _SETTLE, {"id": run_id, "status": status, "reason": reason, "counts": Jsonb(dict(counts or {})), "now": now}
    )


def last_good_start(transaction: Transaction, *, except_run: str) -> datetime | None:
    """When the newest load began that was loaded and had all changes; what came later may be unknown to us."""
    row = transaction.execute(_LAST_GOOD, (except_run,)).fetchone()
    return row[0] if row else None
