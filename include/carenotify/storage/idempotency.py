"""Requests that may be repeated: who sent what under which key, and what came of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from carenotify.storage.database import Transaction


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A caller's key, with the keyed hash of the body that came under it."""

    caller: str
    key: str
    body_hash: bytes


@dataclass(frozen=True, slots=True)
class EarlierAnswer:
    """What came of the request that had the key first."""

    body_hash: bytes
    notification_ids: tuple[UUID, ...]
    reason: str | None


_TAKE = """
INSERT INTO idempotency_keys (caller, key, body_hash, created_at) VALUES (%s, %s, %s, %s)
ON CONFLICT (caller, key) DO NOTHING
"""

_EARLIER = "SELECT body_hash, notification_ids, reason FROM idempotency_keys WHERE caller = %s AND key = %s"

_SETTLE = "UPDATE idempotency_keys SET notification_ids = %s, reason = %s WHERE caller = %s AND key = %s"


def take(transaction: Transaction, request: KeyedRequest, *, now: datetime) -> EarlierAnswer | None:
    """Take the key, or give the answer of whoever has it; waits for a request with it that is being taken in."""
    if transaction.execute(_TAKE, (request.caller, request.key, request.body_hash, now)).rowcount:
        return None
    row = transaction.execute(_EARLIER, (request.caller, request.key)).fetchone()
    return None if row is None else EarlierAnswer(bytes(row[0]), tuple(row[1]), row[2])


def settle(
    transaction: Transaction, request: KeyedRequest, *, notification_ids: Collection[UUID], reason: str | None
) -> None:
    """Write what came of the request, for when it comes again."""
    transaction.execute(_SETTLE, (list(notification_ids), reason, request.caller, request.key))
