"""Delivery in numbers, for monitoring: today's rows and open ones, found by their indexes among millions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from carenotify.domain.breaker import BreakerState
from carenotify.domain.figures import DeliveryFigures, Loads, Made, Plan, Today, Waiting
from carenotify.domain.notification import Channel, Lane, Status
from carenotify.storage import heartbeats, provider_states
from carenotify.storage.alerts import WAITING
from carenotify.storage.database import Transaction
from carenotify.storage.pauses import paused_channels

_MADE = """
SELECT channel, status, count(*), count(*) FILTER (WHERE possible_duplicate), count(fallback_of)
FROM notifications
WHERE created_at >= %(since)s AND created_at < %(until)s
GROUP BY channel, status
"""

_DUE = """
SELECT channel, lane, count(*), min(due_at)
FROM notifications
WHERE status IN ('pending', 'queued') AND due_at <= %(now)s AND expires_at > %(now)s
  AND reason IS DISTINCT FROM 'awaiting_contact'
GROUP BY channel, lane
"""

_DEAD_LETTERS = "SELECT reason, count(*) FROM dead_letters WHERE resolved_at IS NULL GROUP BY reason"

_RECEIPTS_WAITING = "SELECT count(*) FROM receipts WHERE applied_at IS NULL"

_CHANGE_EVENTS = """
SELECT outcome, count(*) FROM change_events
WHERE received_at >= %(since)s AND received_at < %(until)s AND outcome IS NOT NULL
GROUP BY outcome
"""

_LOADS_TODAY = """
SELECT status, count(*) FROM ingest_runs WHERE started_at >= %(since)s AND started_at < %(until)s GROUP BY status
"""

_LOADS_HELD = "SELECT count(*) FROM ingest_runs WHERE status = 'held'"

_LAST_LOAD = """
SELECT finished_at, counts FROM ingest_runs
WHERE status = 'loaded' AND finished_at IS NOT NULL
ORDER BY started_at DESC
LIMIT 1
"""

_QUARANTINE = """
SELECT CASE WHEN rejected THEN 'rejected' ELSE 'address_left_out' END, count(*)
FROM quarantine
WHERE resolved_at IS NULL
GROUP BY rejected
"""

_PLAN = """
SELECT (SELECT planned_at FROM reminder_plans ORDER BY day DESC LIMIT 1),
       (SELECT planned FROM reminder_plans WHERE day = %(day)s)
"""

# Of what is over, its end is what waits.
_UNMAILED = f"SELECT count(*), min(COALESCE(resolved_at, raised_at)) FROM alerts WHERE {WAITING}"

_ALERTS = "SELECT kind, count(*) FROM alerts WHERE raised_at >= %(since)s AND raised_at < %(until)s GROUP BY kind"


def bound(transaction: Transaction, limit: timedelta) -> None:
    """The server ends every statement of this transaction that takes longer."""
    transaction.execute(
        "SELECT set_config('statement_timeout', %s, true)", (str(round(limit / timedelta(milliseconds=1))),)
    )


def read(transaction: Transaction, today: Today, *, now: datetime, providers: Iterable[str]) -> DeliveryFigures:
    """Everything that monitoring wants to know now. `providers` are those that are set up."""
    of_today = {"since": today.since, "until": today.until}
    return DeliveryFigures(
        today=today,
        made=_made(transaction, of_today),
        due=_due(transaction, now),
        dead_letters=_counts(transaction, _DEAD_LETTERS),
        breakers=_breakers(transaction, providers),
        paused=frozenset(paused_channels(transaction)),
        receipts_waiting=_row(transaction, _RECEIPTS_WAITING)[0],
        change_events=_counts(transaction, _CHANGE_EVENTS, of_today),
        loads=_loads(transaction, of_today),
        quarantine=_counts(transaction, _QUARANTINE),
        plan=Plan(*_row(transaction, _PLAN, {"day": today.day})),
        watched_at=heartbeats.last_beat(transaction, heartbeats.WATCH_DELIVERY),
        unmailed=_waiting(now, *_row(transaction, _UNMAILED)),
        alerts=_counts(transaction, _ALERTS, of_today),
    )


def _made(transaction: Transaction, of_today: dict[str, Any]) -> Made:
    rows = transaction.execute(_MADE, of_today).fetchall()
    return Made(
        {(Channel(channel), Status(status)): count for channel, status, count, *_ in rows},
        possible_duplicates=sum(row[3] for row in rows),
        fallbacks=sum(row[4] for row in rows),
    )


def _due(transaction: Transaction, now: datetime) -> dict[tuple[Channel, Lane], Waiting]:
    rows: Iterable[tuple[Any, ...]] = transaction.execute(_DUE, {"now": now})
    return {(Channel(channel), Lane(lane)): _waiting(now, *waiting) for channel, lane, *waiting in rows}


def _breakers(transaction: Transaction, providers: Iterable[str]) -> dict[str, BreakerState]:
    """A provider that has never failed has no row, and one that is not set up any more is left out."""
    known = provider_states.read(transaction)
    return {name: known[name].state if name in known else BreakerState.CLOSED for name in providers}


def _loads(transaction: Transaction, of_today: dict[str, Any]) -> Loads:
    today = _counts(transaction, _LOADS_TODAY, of_today)
    last_at, counts = transaction.execute(_LAST_LOAD).fetchone() or (None, {})
    rejected = counts.get("rejected", 0)
    rows = {
        "good": counts.get("rows", 0) - rejected,
        "rejected": rejected,
        "duplicate": counts.get("duplicates", 0),
    }
    return Loads(today, _row(transaction, _LOADS_HELD)[0], last_at, rows)


def _waiting(now: datetime, count: int, since: datetime | None) -> Waiting:
    return Waiting(count, 0.0 if since is None else max(0.0, (now - since).total_seconds()))


def _counts(transaction: Transaction, statement: str, parameters: dict[str, Any] | None = None) -> dict[str, int]:
    return dict(transaction.execute(statement, parameters).fetchall())


def _row(transaction: Transaction, statement: str, parameters: dict[str, Any] | None = None) -> tuple[Any, ...]:
    """The one row of a statement that always has one."""
    return transaction.execute(statement, parameters).fetchall()[0]
