"""Notifications that did not reach their patient, or do not get on, each found once and locked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from carenotify.domain.fallback import ANSWER_WHEN_ASKED, GIVE_RECEIPTS, NO_RECEIPT, PROVIDER_DOWN, had_its_turn
from carenotify.domain.notification import Channel
from carenotify.storage.database import Transaction
from carenotify.storage.families import still_true
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
            tried=tried_at(row[8], row[7], reason or row[4]),
            recipient=row[9:],
        )
        for row in transaction.execute(statement, parameters)
    ]


def tried_at(tried: Sequence[bytes], sent_to: bytes | None, reason: str | None) -> frozenset[bytes]:
    """The blind indexes of the addresses that are done with, of a row that stands so."""
    return frozenset((*tried, sent_to) if sent_to is not None and had_its_turn(reason) else tried)
