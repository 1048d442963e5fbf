"""What takes the place of notifications that did not reach their patient, and the end of looking at those.

Whoever sweeps holds the lock of the plans meanwhile: two sweeps would each see only half of a family that fails as a
whole, and a plan would remind again of what is just being mended.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from carenotify.domain.fallback import PROVIDER_DOWN, TOLD_OTHERWISE
from carenotify.domain.notification import Channel
from carenotify.storage.database import Transaction


@dataclass(frozen=True, slots=True)
class NewFallback:
    """A row that takes the place of `original`: it tells the same, to an address that is not among `tried`."""

    id: UUID
    original: UUID
    dedup_key: str
    channel: Channel
    template_version_id: int
    tried: frozenset[bytes]


_INSERT = """
WITH step AS (
    SELECT * FROM unnest(
        %(ids)s::uuid[], %(originals)s::uuid[], %(keys)s::text[], %(channels)s::text[], %(templates)s::bigint[]
    ) AS s (id, original, dedup_key, channel, template_version_id)
),
tried AS (
    SELECT id, array_agg(address) AS addresses
    FROM unnest(%(tried_ids)s::uuid[], %(tried)s::bytea[]) AS t (id, address)
    GROUP BY id
),
inserted AS (
    INSERT INTO notifications (id, dedup_key, kind, lane, channel, patient_id, due_at, expires_at, template_version_id,
                               sealed_data, created_at, fallback_of, tried_addresses, traceparent)
    SELECT s.id, s.dedup_key, n.kind, n.lane, s.channel, n.patient_id, %(now)s, n.expires_at, s.template_version_id,
           n.sealed_data, %(now)s, n.id, COALESCE(t.addresses, '{}'), n.traceparent
    FROM step s
    JOIN notifications n ON n.id = s.original
    LEFT JOIN tried t ON t.id = s.id
    ORDER BY s.id
    ON CONFLICT (dedup_key) DO NOTHING
    RETURNING id, fallback_of
),
linked AS (
    INSERT INTO notification_appointments (notification_id, appointment_id, content_hash)
    SELECT i.id, l.appointment_id, l.content_hash
    FROM inserted i
    JOIN notification_appointments l ON l.notification_id = i.fallback_of
),
mended AS (
    UPDATE dead_letters d SET resolved_at = %(now)s, resolution = 'fallback'
    FROM inserted i
    WHERE d.notification_id = i.fallback_of AND d.resolved_at IS NULL
)
SELECT fallback_of FROM inserted
"""

_SETTLE = f"""
UPDATE notifications n
SET followed_up_at = GREATEST(%(now)s, n.finished_at),  -- the clock of whoever finished it may be ahead of ours
    status = CASE WHEN waits THEN 'failed' ELSE n.status END,
    reason = CASE WHEN waits THEN '{PROVIDER_DOWN}' ELSE n.reason END,
    finished_at = CASE WHEN waits THEN %(now)s ELSE n.finished_at END,
    publish_until = CASE WHEN waits THEN NULL ELSE n.publish_until END
FROM (
    SELECT o.id, o.status IN ('pending', 'queued') AND o.id = ANY(%(replaced)s) AS waits
    FROM notifications o
    WHERE o.id = ANY(%(ids)s)
) looked_at
WHERE n.id = looked_at.id
"""

_ANSWER = """
UPDATE dead_letters SET resolved_at = %(now)s, resolution = %(resolution)s
WHERE notification_id = ANY(%(ids)s) AND resolved_at IS NULL
"""

_LEAVE = """
INSERT INTO dead_letters (notification_id, reason, code, attempts, created_at)
SELECT n.id, COALESCE(n.reason, n.status), n.error_code, n.attempts, %(now)s
FROM notifications n
WHERE n.id = ANY(%(ids)s) AND NOT EXISTS (
    SELECT FROM unnest(%(of)s::uuid[], %(family)s::uuid[]) AS f (id, member)
    JOIN dead_letters d ON d.notification_id = f.member
    WHERE f.id = n.id AND d.resolved_at IS NULL
)
ORDER BY n.id
"""


def insert(transaction: Transaction, fallbacks: Sequence[NewFallback], *, now: datetime) -> set[UUID]:
    """Store what takes another's place, due now; returns the ids of those others.

    Each tells what its original told, until the same moment, and closes the original's dead letter. One that is there
    already is left as it is.
    """
    if not fallbacks:
        return set()
    tried = [(one.id, address) for one in fallbacks for address in one.tried]
    parameters = {
        "ids": [one.id for one in fallbacks],
        "originals": [one.original for one in fallbacks],
        "keys": [one.dedup_key for one in fallbacks],
        "channels": [one.channel.value for one in fallbacks],
        "templates": [one.template_version_id for one in fallbacks],
        "tried_ids": [identity for identity, _ in tried],
        "tried": [address for _, address in tried],
        "now": now,
    }
    return {row[0] for row in transaction.execute(_INSERT, parameters)}


def settle(transaction: Transaction, ids: Collection[UUID], *, replaced: Collection[UUID], now: datetime) -> None:
    """All of these have been looked at; of those that still waited, the replaced ones have failed.

    What goes on waiting is looked at again.
    """
    transaction.execute(_SETTLE, {"ids": list(ids), "replaced": list(replaced), "now": now})


def answer_dead_letters(transaction: Transaction, ids: Collection[UUID], *, now: datetime) -> None:
    """Their patients are told by another message of the same: nobody has to look at these dead letters."""
    transaction.execute(_ANSWER, {"ids": list(ids), "resolution": TOLD_OTHERWISE, "now": now})


def leave_for_people(transaction: Transaction, families: Mapping[UUID, Collection[UUID]], *, now: datetime) -> None:
    """A dead letter for each of these notifications, unless one of its family (itself included) has an open one."""
    pairs = [(identity, member) for identity, members in families.items() for member in (identity, *members)]
    parameters = {
        "ids": list(families),
        "of": [identity for identity, _ in pairs],
        "family": [member for _, member in pairs],
        "now": now,
    }
    transaction.execute(_LEAVE, parameters)
