"""Rows that broke a rule, kept sealed with the rule's name until a later load brings them right."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from carenotify.storage.database import Transaction
from carenotify.storage.sealed import Sealer

# About the appointment `a`: the source has said something newer of it that could not be read, so that what is known may
# be wrong. What a load that is held rejected does not count: there the last good copy stays in use, as a whole.
IN_QUARANTINE = """
EXISTS (
    SELECT FROM quarantine x LEFT JOIN ingest_runs r ON r.id = x.run_id
    WHERE x.appointment_id = a.id AND x.rejected AND x.resolved_at IS NULL
      AND x.fetched_at > greatest(a.fetched_at, a.known_at) AND coalesce(r.status, 'loaded') = 'loaded'
)
"""

_QUARANTINE = """
INSERT INTO quarantine AS kept
    (run_id, appointment_id, row_key, rules, sealed_row, fetched_at, rejected, quarantined_at)
SELECT DISTINCT ON (row_key)
    run_id, appointment_id, row_key, rules, sealed_row, fetched_at, verdict = 'rejected', %(now)s::timestamptz
FROM staging_appointments
WHERE run_id = %(run_id)s AND verdict IN ('rejected', 'address_left_out')
ORDER BY row_key, row_id DESC
ON CONFLICT (row_key) WHERE resolved_at IS NULL
"""

# A row that is driven through the gate again is the same row, and stays with the run that brought it.
_RENEWING = """
DO UPDATE
SET run_id = CASE WHEN kept.fetched_at = excluded.fetched_at THEN kept.run_id ELSE excluded.run_id END,
    rules = excluded.rules, sealed_row = excluded.sealed_row, fetched_at = excluded.fetched_at,
    rejected = excluded.rejected
WHERE kept.fetched_at <= excluded.fetched_at
"""

_RESOLVE = """
UPDATE quarantine AS kept
SET resolved_at = %(now)s, resolution = 'loaded'
FROM staging_appointments AS staged
WHERE staged.run_id = %(run_id)s AND staged.verdict = 'good'
  AND kept.row_key = staged.row_key AND kept.resolved_at IS NULL AND kept.fetched_at <= staged.fetched_at
"""

_OPEN = """
SELECT sealed_row, fetched_at FROM quarantine
WHERE resolved_at IS NULL AND (%(run_id)s::text IS NULL OR run_id = %(run_id)s)
ORDER BY id
"""


def quarantine_rows(transaction: Transaction, *, run_id: str, now: datetime, renew: bool) -> int:
    """Keep the rows of a run that broke a rule; gives how many. A row that is met again stays one open row.

    It is renewed only when the run is taken over; until then it says what the last good load said of it.
    """
    statement = _QUARANTINE + (_RENEWING if renew else "DO NOTHING")
    return transaction.execute(statement, {"run_id": run_id, "now": now}).rowcount


def resolve_rows(transaction: Transaction, *, run_id: str, now: datetime) -> int:
    """Close the open rows whose appointment this run brings without a fault; gives how many."""
    return transaction.execute(_RESOLVE, {"run_id": run_id, "now": now}).rowcount


def open_rows(transaction: Transaction, sealer: Sealer, *, run_id: str | None) -> list[tuple[dict[str, Any], datetime]]:
    """Open rows that a run quarantined, or all of them: content and when it was fetched. Raises DecryptionError."""
    return [(sealer.open(row[0]), row[1]) for row in transaction.execute(_OPEN, {"run_id": run_id})]


def count_open(transaction: Transaction) -> list[tuple[str, str, bool, int]]:
    """Rows that wait, counted by run, rule and whether they were rejected; newest run first."""
    return transaction.execute(
        """
        SELECT run_id, rule, rejected, count(*)
        FROM quarantine, unnest(rules) AS rule
        WHERE resolved_at IS NULL
        GROUP BY run_id, rule, rejected
        ORDER BY max(quarantined_at) DESC, rule
        """
    ).fetchall()
