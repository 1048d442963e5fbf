"""Search for notifications by what is true of them, newest first, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from psycopg.rows import class_row

from carenotify.storage.database import Transaction
from carenotify.storage.notification_stories import STATE, NotificationState

# Ids sort by the time of making, and rows are found newest first by them: so the ids at the ends of a span, which the
# day there tells, spare the way through all that lies beyond. A day on which nothing was made tells nothing.
_FIRST_SINCE = """COALESCE(
    (SELECT id FROM (
        SELECT id FROM notifications
        WHERE created_at >= %(since)s AND created_at < %(since)s::timestamptz + interval '1 day' OFFSET 0
    ) day ORDER BY id LIMIT 1), '00000000-0000-0000-0000-000000000000')"""
_LAST_UNTIL = """COALESCE(
    (SELECT id FROM (
        SELECT id FROM notifications
        WHERE created_at < %(until)s AND created_at >= %(until)s::timestamptz - interval '1 day' OFFSET 0
    ) day ORDER BY id DESC LIMIT 1), 'ffffffff-ffff-ffff-ffff-ffffffffffff')"""

_CONDITIONS = {
    "patient_id": "n.patient_id = %(patient_id)s",
    "appointment_id": (
        "n.id IN (SELECT notification_id FROM notification_appointments WHERE appointment_id = %(appointment_id)s)"
    ),
    "kind": "n.kind = %(kind)s",
    "reason": "n.reason = %(reason)s",
    "status": "n.status = %(status)s",
    "channel": "n.channel = %(channel)s",
    "since": f"n.created_at >= %(since)s AND n.id >= {_FIRST_SINCE}",
    "until": f"n.created_at < %(until)s AND n.id <= {_LAST_UNTIL}",
    "before": "n.id < %(before)s",
}

_SPAN = frozenset({"since", "until", "before"})
_USUAL = frozenset({"status", "channel", "kind"})
_USUAL_KIND, _USUAL_STATUSES = "reminder", frozenset({"sent", "delivered"})


def is_usual(wanted: Mapping[str, object]) -> bool:
    """Whether only what most notifications are is asked for, so that no index finds those that are all of it."""
    asked = wanted.keys() - _SPAN
    of_usual_kind = wanted.get("kind", _USUAL_KIND) == _USUAL_KIND
    return bool(asked) and asked <= _USUAL and of_usual_kind and wanted.get("status", "sent") in _USUAL_STATUSES


def newest(
    transaction: Transaction, wanted: Mapping[str, object], *, limit: int, among: int | None = None
) -> list[NotificationState]:
    """Notifications that meet every condition of `wanted` (names of _CONDITIONS), newest first.

    `since` and `until` bound when they were made; `before` is the id that a page goes on after. With `among`, only so
    many of the newest within these bounds are looked at.
    """
    rows = "notifications n" if among is None else f"({_within(wanted, 'n.*')} LIMIT %(among)s) n"
    conditions = _all_of(wanted if among is None else wanted.keys() - _SPAN)
    chosen = f"SELECT n.id FROM {rows} WHERE {conditions} ORDER BY n.id DESC LIMIT %(limit)s"
    query = f"WITH chosen AS MATERIALIZED ({chosen}) {STATE} JOIN chosen USING (id) ORDER BY n.id DESC"
    with transaction.cursor(row_factory=class_row(NotificationState)) as cursor:
        # Not prepared: which index is best depends on the values.
        return cursor.execute(query, {**wanted, "limit": limit, "among": among}, prepare=False).fetchall()


def last_among(transaction: Transaction, wanted: Mapping[str, object], among: int) -> UUID | None:
    """The oldest of those that `newest` looks at, when it has so many to look at; None when that is all there are."""
    query = f"{_within(wanted, 'n.id')} OFFSET %(among)s - 1 LIMIT 1"
    row = transaction.execute(query, {**wanted, "among": among}, prepare=False).fetchone()
    return None if row is None else row[0]


def _within(wanted: Mapping[str, object], columns: str) -> str:
    return f"SELECT {columns} FROM notifications n WHERE {_all_of(_SPAN & wanted.keys())} ORDER BY n.id DESC"


def _all_of(names: Iterable[str]) -> str:
    return " AND ".join(_CONDITIONS[name] for name in sorted(names)) or "true"
