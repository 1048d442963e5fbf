"""Notifications that did not reach their patient, looked at once each, and those that take their place.

Whoever sweeps holds the lock of the plans meanwhile: two sweeps would each see only half of a family that fails as a
whole, and a plan would remind again of what is just being mended.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from carenotify.domain.fallback import (
    ANSWER_WHEN_ASKED,
    GIVE_RECEIPTS,
    NO_RECEIPT,
    PROVIDER_DOWN,
    TOLD_OTHERWISE,
    Relative,
    family_key,
    had_its_turn,
)
from carenotify.domain.notification import Channel, Status
from carenotify.storage.database import Transaction
from carenotify.storage.families import key_range, still_true, tells_as_much
from carenotify.storage.patients import PERSON_JOINS
from carenotify.storage.recipients import RECIPIENT_COLUMNS


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A notification to decide about.

    `waiting`: it may still be sent. `stands`: what it tells is still true, and some of it still to come. `tried`
    are blind indexes of addresses, the last one included when it is known and had its turn; `recipient` is what
    open_recipient reads.
    """

    id: UUID
    dedup_key: str
    kind: str
    channel: Channel
    reason: str
    waiting: bool
    expires_at: datetime
    stands: bool
    known_address: bool
    tried: frozenset[bytes]
    recipient: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Kin:
    """Another notification of a family, with the blind indexes of the addresses that it was tried at."""

    id: UUID
    dedup_key: str
    relative: Relative
    tried: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class NewFallback:
    """A row that takes the place of `original`: it tells the same, to an address that is not among `tried`."""

    id: UUID
    original: UUID
    dedup_key: str
    channel: Channel
    template_version_id: int
    tried: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Patience:
    """Which waiting rows cannot wait any longer until their provider takes them.

    Those whose window is over by `closing_by`, and those of `urgent_kinds` that were made before `waiting_since`,
    unless they were looked at after `looked_at_before`.
    """

    closing_by: datetime
    urgent_kinds: Collection[str]
    waiting_since: datetime
    looked_at_before: datetime


@dataclass(frozen=True, slots=True)
class Silence:
    """Sent in (sent_after, sent_before]; a provider that can be asked was asked by `asked_before`, and knew nothing."""

    sent_after: datetime
    sent_before: datetime
    asked_before: datetime


def _look_for(condition: str) -> str:
    return f"""
        WITH candidate AS MATERIALIZED (
            SELECT n.id FROM notifications n WHERE {condition} LIMIT %(limit)s FOR UPDATE SKIP LOCKED
        )
        SELECT n.id, n.dedup_key, n.kind, n.channel, n.reason, n.expires_at,
               {still_true("n")} AND (
                   EXISTS (
                       SELECT FROM notification_appointments l
                       JOIN appointments a ON a.id = l.appointment_id
                       WHERE l.notification_id = n.id AND a.start_at > %(now)s
                   )
                   OR NOT EXISTS (SELECT FROM notification_appointments l WHERE l.notification_id = n.id)
               ),
               n.sent_to, n.tried_addresses, {RECIPIENT_COLUMNS}
        FROM candidate c
        JOIN notifications n ON n.id = c.id
        LEFT JOIN patients named ON named.id = n.patient_id
        {PERSON_JOINS}
        ORDER BY n.id
    """


_FAILED = _look_for("""
    n.status IN ('failed', 'bounced', 'suppressed', 'unsubscribed', 'expired')
    AND (n.followed_up_at IS NULL OR n.followed_up_at < n.finished_at)  -- not since it came to its end
    ORDER BY n.finished_at
""")
_SILENT = _look_for("""
    n.status = 'sent' AND n.finished_at <= %(sent_before)s AND n.expires_at > %(now)s AND n.followed_up_at IS NULL
    AND n.provider = ANY(%(give_receipts)s)
    -- What is older is not asked for any more. Who was asked just now is still answering.
    AND n.finished_at > %(sent_after)s
    AND (n.provider <> ALL(%(answer_when_asked)s) OR n.looked_up_at BETWEEN n.finished_at AND %(asked_before)s)
    ORDER BY n.finished_at
""")
# The other channel may be well again since it was looked at, or what was relied on have failed.
_CANNOT_WAIT = """
    n.status IN ('pending', 'queued') AND n.expires_at > %(now)s AND n.due_at <= %(closing_by)s
    AND (n.expires_at <= %(closing_by)s OR n.kind = ANY(%(urgent_kinds)s) AND n.created_at <= %(waiting_since)s)
    AND (n.followed_up_at IS NULL OR n.followed_up_at <= %(looked_at_before)s)
    AND NOT EXISTS (SELECT FROM pauses x WHERE x.channel IN (n.channel, '*'))
"""
_WAITING = _look_for(f"""
    {_CANNOT_WAIT} AND n.channel = ANY(%(channels)s) AND n.reason IS DISTINCT FROM 'awaiting_contact'
    ORDER BY n.expires_at
""")
# Made a while ago: else two channels that take nothing would hand it to and fro.
_HELD_BACK = _look_for(f"""
    {_CANNOT_WAIT} AND n.reason IN ('throttled', 'misconfigured') AND n.created_at <= %(waiting_since)s
    ORDER BY n.expires_at
""")

_KIN = f"""
SELECT f.id, k.id, k.dedup_key, k.channel, k.status, k.reason, k.sent_to, k.tried_addresses
FROM unnest(%(ids)s::uuid[], %(families)s::text[]) AS f (id, family)
JOIN notifications k ON {key_range("f.family", "k")} AND k.id <> f.id
WHERE {tells_as_much("k", "f")}
"""

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


def failed(transaction: Transaction, *, now: datetime, limit: int) -> list[FollowUp]:
    """What came to an end without reaching anybody, oldest first. The rows are locked.

    What ran out of time is among them: nothing follows it, but it may have been the last one of a chain.
    """
    return _look(transaction, _FAILED, {"now": now, "limit": limit})


def silent(transaction: Transaction, silence: Silence, *, now: datetime, limit: int) -> list[FollowUp]:
    """What was sent by a provider that gives receipts, and got none. The rows are locked."""
    parameters = asdict(silence) | {
        "give_receipts": list(GIVE_RECEIPTS),
        "answer_when_asked": list(ANSWER_WHEN_ASKED),
        "now": now,
        "limit": limit,
    }
    return _look(transaction, _SILENT, parameters, reason=NO_RECEIPT)


def waiting(
    transaction: Transaction, patience: Patience, *, channels: Collection[Channel], now: datetime, limit: int
) -> list[FollowUp]:
    """What waits for providers of these channels, all down, and cannot wait any longer. The rows are locked."""
    parameters = asdict(patience) | {"channels": list(channels), "now": now, "limit": limit}
    return _look(transaction, _WAITING, parameters, reason=PROVIDER_DOWN)


def held_back(transaction: Transaction, patience: Patience, *, now: datetime, limit: int) -> list[FollowUp]:
    """What a provider put back the last time although it is well, and cannot wait any longer. The rows are locked."""
    return _look(transaction, _HELD_BACK, asdict(patience) | {"now": now, "limit": limit}, reason=PROVIDER_DOWN)


def _look(
    transaction: Transaction, statement: str, parameters: dict[str, Any], *, reason: str | None = None
) -> list[FollowUp]:
    return [
        FollowUp(
            id=row[0],
            dedup_key=row[1],
            kind=row[2],
            channel=Channel(row[3]),
            reason=reason or row[4] or "",
            waiting=reason == PROVIDER_DOWN,
            expires_at=row[5],
            stands=row[6],
            known_address=row[7] is not None,
            tried=_indexes(row[8], row[7], reason or row[4]),
            recipient=row[9:],
        )
        for row in transaction.execute(statement, parameters)
    ]


def _indexes(tried: Sequence[bytes], sent_to: bytes | None, reason: str | None) -> frozenset[bytes]:
    return frozenset((*tried, sent_to) if sent_to is not None and had_its_turn(reason) else tried)


def kin(transaction: Transaction, found: Sequence[FollowUp]) -> dict[UUID, list[Kin]]:
    """The other notifications that tell the same patient the same things, or more, by the id of each that was found."""
    parameters = {"ids": [one.id for one in found], "families": [family_key(one.dedup_key) for one in found]}
    families: dict[UUID, list[Kin]] = {}
    for of, identity, key, channel, status, reason, sent_to, tried in transaction.execute(_KIN, parameters):
        relative = Relative(Channel(channel), Status(status), reason)
        families.setdefault(of, []).append(Kin(identity, key, relative, _indexes(tried, sent_to, reason)))
    return families


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
