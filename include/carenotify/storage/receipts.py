"""What providers said of notifications: kept once each, and applied to the rows that they are about.

Receipts are locked before notifications, and notifications in the order of their ids.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from carenotify.domain.notification import Status
from carenotify.domain.receipt import Receipt, Standing
from carenotify.storage.database import Transaction
from carenotify.storage.sealed import Sealer


@dataclass(frozen=True, slots=True)
class StoredReceipt:
    """A receipt as it was kept. Its meaning is in its provider's table, and where it went in its notification."""

    id: int
    notification_id: UUID
    provider: str
    provider_message_id: str
    provider_status: str
    code: str | None


_STORE = """
INSERT INTO receipts (notification_id, provider, provider_message_id, provider_status, status, code, received_at)
SELECT i.*, %(now)s
FROM unnest(
    %(notification_ids)s::uuid[], %(providers)s::text[], %(provider_message_ids)s::text[], %(words)s::text[],
    %(statuses)s::text[], %(codes)s::text[]
) AS i (notification_id, provider, provider_message_id, provider_status, status, code)
ORDER BY 1, 2, 3, 4
ON CONFLICT (notification_id, provider, provider_message_id, provider_status) DO NOTHING
RETURNING id, notification_id, provider, provider_message_id, provider_status, code
"""

# What has come before our own commit, or for a notification that was not there yet.
_WAITING = """
SELECT r.id, r.notification_id, r.provider, r.provider_message_id, r.provider_status, r.code
FROM receipts r
WHERE r.applied_at IS NULL AND r.received_at > COALESCE(%(since)s::timestamptz, '-infinity')
  AND EXISTS (SELECT FROM notifications n WHERE n.id = r.notification_id AND n.status <> 'sending')
ORDER BY r.received_at
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED
"""

_STANDINGS = """
SELECT id, status, attempts > 0 OR possible_duplicate, provider_message_id
FROM notifications
WHERE id = ANY(%(ids)s)
ORDER BY id
FOR UPDATE
"""

# When a message was handed over, or given up, stays as it was: a receipt says what became of it since then.
_MOVE = """
WITH said AS (
    SELECT * FROM unnest(
        %(ids)s::uuid[], %(statuses)s::text[], %(reasons)s::text[], %(codes)s::text[], %(providers)s::text[],
        %(provider_message_ids)s::text[], %(sent_to)s::bytea[]
    ) AS s (id, status, reason, code, provider, provider_message_id, sent_to)
),
moved AS (
    UPDATE notifications n
    SET status = s.status, reason = s.reason, error_code = s.code, provider = s.provider,
        provider_message_id = s.provider_message_id,
        -- Of the attempt that was spoken of; our own record of it, where there is one, is in the patient's spelling.
        sent_to = CASE
            WHEN n.provider_message_id = s.provider_message_id THEN COALESCE(n.sent_to, s.sent_to)
            ELSE COALESCE(s.sent_to, n.sent_to)
        END,
        finished_at = COALESCE(n.finished_at, %(now)s), publish_until = NULL,
        followed_up_at = NULL  -- what was decided before this was known
    FROM said s
    WHERE n.id = s.id
    RETURNING n.id, n.status, n.reason, n.error_code, n.attempts
),
lettered AS (
    INSERT INTO dead_letters (notification_id, reason, code, attempts, created_at)
    SELECT id, COALESCE(reason, 'failed'), error_code, attempts, %(now)s FROM moved WHERE status = 'failed'
)
UPDATE dead_letters d
SET resolved_at = %(now)s, resolution = m.status, resolved_by = 'receipt'
FROM moved m
WHERE d.notification_id = m.id AND d.resolved_at IS NULL AND m.status <> 'failed'
"""

_LOOKED_AT = "UPDATE receipts SET applied_at = %(now)s WHERE id = ANY(%(ids)s)"

_FORGET_UNKNOWN = """
DELETE FROM receipts r
WHERE r.applied_at IS NULL AND r.received_at <= %(before)s
  AND NOT EXISTS (SELECT FROM notifications n WHERE n.id = r.notification_id)
"""

_FORGET_OLD = "DELETE FROM receipts WHERE received_at < %(before)s"


def store(transaction: Transaction, receipts: Sequence[Receipt], *, now: datetime) -> list[StoredReceipt]:
    """Keep receipts; gives those that are new. One that came before is kept once, and not given."""
    parameters = {
        "now": now,
        "notification_ids": [receipt.notification_id for receipt in receipts],
        "providers": [receipt.provider for receipt in receipts],
        "provider_message_ids": [receipt.provider_message_id for receipt in receipts],
        "words": [receipt.provider_status for receipt in receipts],
        "statuses": [receipt.meaning.status for receipt in receipts],
        "codes": [receipt.code for receipt in receipts],
    }
    return [StoredReceipt(*row) for row in transaction.execute(_STORE, parameters).fetchall()]


def waiting(transaction: Transaction, *, since: datetime | None = None, limit: int) -> list[StoredReceipt]:
    """Receipts that can be applied by now, oldest first; each sweep takes what no other one has.

    With `since`, only those that came after it: a look at those of notifications that nobody knows costs time.
    """
    found = transaction.execute(_WAITING, {"since": since, "limit": limit})
    return [StoredReceipt(*row) for row in found.fetchall()]


def lock_standings(transaction: Transaction, notification_ids: Collection[UUID]) -> dict[UUID, Standing]:
    """How these notifications stand; nobody else moves them until the transaction ends. Unknown ones are left out."""
    rows = transaction.execute(_STANDINGS, {"ids": sorted(set(notification_ids))}).fetchall()
    return {row[0]: Standing(Status(row[1]), tried=row[2], provider_message_id=row[3]) for row in rows}


def move(transaction: Transaction, by_receipt: Collection[Receipt], *, sealer: Sealer, now: datetime) -> None:
    """Move each receipt's notification to where it says, with a dead letter for what failed.

    The dead letters of what was thought to have failed, and came through, are closed.
    """
    parameters = {
        "now": now,
        "ids": [receipt.notification_id for receipt in by_receipt],
        "statuses": [receipt.meaning.status for receipt in by_receipt],
        "reasons": [receipt.meaning.reason for receipt in by_receipt],
        "codes": [receipt.code for receipt in by_receipt],
        "providers": [receipt.provider for receipt in by_receipt],
        "provider_message_ids": [receipt.provider_message_id for receipt in by_receipt],
        "sent_to": [None if receipt.address is None else sealer.index(receipt.address) for receipt in by_receipt],
    }
    transaction.execute(_MOVE, parameters)


def mark_looked_at(transaction: Transaction, receipt_ids: Collection[int], *, now: datetime) -> None:
    """These were held against how their notification stands, and are done with."""
    transaction.execute(_LOOKED_AT, {"ids": sorted(receipt_ids), "now": now})


def forget_unknown(transaction: Transaction, *, before: datetime) -> int:
    """Let go of receipts that came before that moment for notifications that never were there."""
    return transaction.execute(_FORGET_UNKNOWN, {"before": before}).rowcount


def forget_old(transaction: Transaction, *, before: datetime) -> int:
    """Let go of all receipts that came before that moment."""
    return transaction.execute(_FORGET_OLD, {"before": before}).rowcount
