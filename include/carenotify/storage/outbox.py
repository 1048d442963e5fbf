"""Rows on their way to the broker: leased, published by somebody else, then marked.

Nothing stays locked across the network: a lease is a time in `publish_until`, and it is also the token by which its
holder marks the rows, so that a row that was claimed, sent and due again in the meantime is not marked as queued.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from carenotify.domain.notification import Channel, Lane
from carenotify.storage.database import Transaction
from carenotify.storage.pauses import paused_channels


@dataclass(frozen=True, slots=True)
class IdRange:
    """Notifications by the order of their UUIDv7, both ends included: a batch, said in two ids."""

    first: UUID
    last: UUID


@dataclass(frozen=True, slots=True)
class LeasedRow:
    """What a message needs to know of its notification."""

    notification_id: UUID
    kind: str
    channel: Channel
    lane: Lane
    attempts: int
    traceparent: str | None


LEASE = """
WITH due AS (
    SELECT n.id
    FROM notifications n
    WHERE n.status = 'pending'
      AND n.lane = %(lane)s
      AND n.due_at <= %(now)s
      AND n.expires_at > %(now)s
      AND (n.publish_until IS NULL OR n.publish_until <= %(now)s)
      AND n.reason IS DISTINCT FROM 'awaiting_contact'
      AND (%(first)s::uuid IS NULL OR n.id BETWEEN %(first)s AND %(last)s)
      AND n.channel = ANY(%(channels)s)
    ORDER BY n.due_at, n.id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE notifications n
SET publish_until = %(lease)s
FROM due
WHERE n.id = due.id
RETURNING n.id, n.kind, n.channel, n.lane, n.attempts, n.traceparent
"""

_DUE_IDS = """
SELECT n.id
FROM notifications n
WHERE (n.status = 'queued' OR n.status = 'pending' AND n.due_at <= %(now)s)
  AND n.lane = %(lane)s AND n.channel = %(channel)s AND n.expires_at > %(now)s
  AND n.reason IS DISTINCT FROM 'awaiting_contact'
  AND NOT EXISTS (SELECT FROM pauses p WHERE p.channel IN (n.channel, '*'))
ORDER BY n.due_at, n.id
LIMIT %(limit)s
"""

MARK_QUEUED = """
WITH confirmed AS (
    SELECT id FROM notifications WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE
)
UPDATE notifications n
SET status = 'queued', queued_at = %(now)s, publish_until = NULL
FROM confirmed
WHERE n.id = confirmed.id AND n.status = 'pending' AND n.publish_until = %(lease)s
"""

RELEASE = """
UPDATE notifications
SET publish_until = NULL
WHERE id = ANY(%(ids)s) AND status = 'pending' AND publish_until = %(lease)s
"""

REQUEUE_LOST = """
WITH lost AS (
    SELECT id FROM notifications
    WHERE status = 'queued' AND channel = %(channel)s AND lane = %(lane)s AND queued_at <= %(queued_before)s
    ORDER BY id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE notifications n SET status = 'pending', queued_at = NULL FROM lost WHERE n.id = lost.id
"""

CALL_BACK = """
WITH waiting AS (
    SELECT id FROM notifications
    WHERE status = 'pending' AND due_at > %(now)s AND channel = %(channel)s AND reason = %(reason)s
    ORDER BY id
    FOR UPDATE SKIP LOCKED
)
UPDATE notifications n SET due_at = %(now)s FROM waiting WHERE n.id = waiting.id
"""

EXPIRE = """
WITH over AS (
    SELECT id FROM notifications
    WHERE status IN ('pending', 'queued') AND expires_at <= %(now)s
    ORDER BY id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE notifications n
SET status = 'expired', reason = 'window_closed', finished_at = %(now)s, publish_until = NULL
FROM over
WHERE n.id = over.id
"""


def call_back(transaction: Transaction, *, channel: Channel, reason: str, now: datetime) -> int:
    """What was put back for this reason, to come later, is due at once. Returns how many."""
    return transaction.execute(CALL_BACK, {"channel": channel, "reason": reason, "now": now}).rowcount


def lease_due(
    transaction: Transaction,
    *,
    lane: Lane,
    now: datetime,
    lease: datetime,
    limit: int,
    channels: Collection[Channel] = tuple(Channel),
    within: IdRange | None = None,
) -> list[LeasedRow]:
    """Take up to `limit` due rows of a lane's `channels` until `lease`, oldest first; paused channels' rows stay put.

    They may be many, and waiting long, so they are not asked one by one whether their channel is paused; what is
    published in the very moment of a pause is put back when it is claimed.
    """
    going = set(channels) - paused_channels(transaction)
    if not going:
        return []
    parameters = {
        "channels": list(going),
        "lane": lane,
        "now": now,
        "lease": lease,
        "limit": limit,
        "first": within and within.first,
        "last": within and within.last,
    }
    rows = transaction.execute(LEASE, parameters).fetchall()
    return [LeasedRow(row[0], row[1], Channel(row[2]), Lane(row[3]), row[4], row[5]) for row in rows]


def due_ids(transaction: Transaction, *, channel: Channel, lane: Lane, now: datetime, limit: int) -> list[UUID]:
    """What could be claimed on a channel's lane now, published or not, oldest first."""
    parameters = {"channel": channel, "lane": lane, "now": now, "limit": limit}
    return [row[0] for row in transaction.execute(_DUE_IDS, parameters)]


def mark_queued(transaction: Transaction, ids: Sequence[UUID], *, lease: datetime, now: datetime) -> int:
    """The broker confirmed these. Rows that a quick worker has claimed already are left as they are."""
    return transaction.execute(MARK_QUEUED, {"ids": list(ids), "lease": lease, "now": now}).rowcount


def release(transaction: Transaction, ids: Collection[UUID], *, lease: datetime) -> None:
    """The broker did not take these: they can be published again at once, by anybody."""
    transaction.execute(RELEASE, {"ids": list(ids), "lease": lease})


def long_queued(transaction: Transaction, *, queued_before: datetime) -> list[tuple[Channel, Lane]]:
    """Lanes with rows that were queued before that moment and are still not claimed."""
    rows = transaction.execute(
        "SELECT DISTINCT channel, lane FROM notifications WHERE status = 'queued' AND queued_at <= %s", (queued_before,)
    )
    return [(Channel(channel), Lane(lane)) for channel, lane in rows]


def requeue_lost(
    transaction: Transaction, *, channel: Channel, lane: Lane, queued_before: datetime, limit: int = 5_000
) -> int:
    """Queued rows of a lane whose queue is empty go back to pending: the broker lost them."""
    parameters = {"channel": channel, "lane": lane, "queued_before": queued_before, "limit": limit}
    return transaction.execute(REQUEUE_LOST, parameters).rowcount


def expire(transaction: Transaction, *, now: datetime, limit: int = 5_000) -> int:
    """What did not make it inside its window is over, and is counted."""
    return transaction.execute(EXPIRE, {"now": now, "limit": limit}).rowcount
