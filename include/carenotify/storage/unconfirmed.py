"""Messages that a provider took, and said nothing of since."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from carenotify.domain.notification import Channel
from carenotify.storage.database import Transaction


@dataclass(frozen=True, slots=True)
class Silent:
    """A message without a receipt."""

    notification_id: UUID
    provider: str
    provider_message_id: str


_TAKE = """
WITH silent AS (
    SELECT id FROM notifications
    WHERE status = 'sent' AND channel = %(channel)s AND provider = ANY(%(providers)s)
      AND finished_at <= %(silent_since)s AND finished_at > %(sent_after)s
      AND provider_message_id IS NOT NULL
      AND (looked_up_at IS NULL OR looked_up_at <= %(silent_since)s)
    ORDER BY looked_up_at NULLS FIRST, finished_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE notifications n
SET looked_up_at = %(now)s
FROM silent
WHERE n.id = silent.id
RETURNING n.id, n.provider, n.provider_message_id
"""

_PUT_BACK = """
WITH unasked AS (
    SELECT id FROM notifications WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE
)
UPDATE notifications n SET looked_up_at = NULL FROM unasked WHERE n.id = unasked.id
"""

_CLOSE = """
WITH silent AS (
    SELECT id FROM notifications
    WHERE status = 'sent' AND provider = ANY(%(providers)s) AND finished_at <= %(sent_before)s AND reason IS NULL
    ORDER BY id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE notifications n SET reason = 'no_receipt' FROM silent WHERE n.id = silent.id
"""


def take(
    transaction: Transaction,
    *,
    channel: Channel,
    providers: Collection[str],
    silent_since: datetime,
    sent_after: datetime,
    now: datetime,
    limit: int,
) -> list[Silent]:
    """Messages to ask for now: `sent` before `silent_since`, and not asked for since then. Others do not take them."""
    parameters = {
        "channel": channel,
        "providers": list(providers),
        "silent_since": silent_since,
        "sent_after": sent_after,
        "now": now,
        "limit": limit,
    }
    return [Silent(*row) for row in transaction.execute(_TAKE, parameters).fetchall()]


def put_back(transaction: Transaction, unasked: Sequence[Silent]) -> None:
    """These were not asked for after all."""
    transaction.execute(_PUT_BACK, {"ids": [one.notification_id for one in unasked]})


def close(transaction: Transaction, *, providers: Collection[str], sent_before: datetime, limit: int = 5_000) -> int:
    """Mark what was sent before that moment and is still only `sent` as without a receipt; returns how many."""
    parameters = {"providers": list(providers), "sent_before": sent_before, "limit": limit}
    return transaction.execute(_CLOSE, parameters).rowcount
