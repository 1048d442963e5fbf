"""Dead letters as people look at them, replay and discard them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from carenotify.domain.dead_letter import REPLAYABLE
from carenotify.domain.notification import LIVING
from carenotify.storage.database import Transaction
from carenotify.storage.families import family_of, key_range, still_true, tells_as_much
from carenotify.storage.sealed import Sealer


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What is known of a dead letter; nothing of it tells who was to be told what.

    `code` is the provider's, or the broker's word for why it gave up; `attempts` counts tries, or how often a broken
    message came. `refusal` says why it cannot be replayed now. `family` is the same for all that tell one
    patient the same things, and `appointments` are those that this one tells of.
    """

    id: int
    source: str
    reason: str
    code: str | None
    attempts: int
    created_at: datetime
    queue: str | None
    notification_id: UUID | None
    kind: str | None
    channel: str | None
    status: str | None
    expires_at: datetime | None
    possible_duplicate: bool
    resolved_at: datetime | None
    resolution: str | None
    resolved_by: str | None
    family: str | None
    appointments: list[str]
    refusal: str | None


@dataclass(frozen=True, slots=True)
class OpenOfReason:
    """How many dead letters of a reason are open, and since when the oldest of them is."""

    reason: str
    open: int
    oldest_at: datetime


# Another of the family that tells as much has reached the patient, or may still do so: a fallback, a message on the
# other channel, a reminder that was planned anew.
_JUDGED = f"""
SELECT d.id, d.source, d.reason, d.code, d.attempts, d.created_at, d.queue, d.notification_id, n.kind, n.channel,
       n.status, n.expires_at, COALESCE(n.possible_duplicate, false) AS possible_duplicate, d.resolved_at,
       d.resolution, d.resolved_by, kin.family,
       ARRAY(
           SELECT l.appointment_id FROM notification_appointments l WHERE l.notification_id = n.id
       ) AS appointments,
       CASE
           WHEN d.resolved_at IS NOT NULL THEN 'resolved'
           WHEN n.id IS NULL THEN 'no_notification'
           WHEN n.status <> ALL(%(replayable)s) THEN 'not_failed'
           WHEN EXISTS (
               SELECT FROM notifications other
               WHERE {key_range("kin.family", "other")} AND other.id <> n.id AND other.status = ANY(%(living)s)
                 AND {tells_as_much("other", "n")}
           ) THEN 'another_took_over'
           WHEN NOT {still_true("n")} THEN 'appointment_changed'
           WHEN n.expires_at <= %(now)s THEN 'window_over'
       END AS refusal
FROM dead_letters d
LEFT JOIN notifications n ON n.id = d.notification_id
LEFT JOIN LATERAL (SELECT {family_of("n")} AS family OFFSET 0) kin ON n.id IS NOT NULL
"""

_CONDITIONS = {
    "is_open": "(d.resolved_at IS NULL) = %(is_open)s",
    "resolution": "d.resolution = %(resolution)s",
    "source": "d.source = %(source)s",
    "reasons": "d.reason = ANY(%(reasons)s)",
    "channel": "n.channel = %(channel)s",
    "before": "d.id < %(before)s",
}
_OPEN_BY_REASON = """
SELECT reason, count(*), min(created_at) FROM dead_letters
WHERE resolved_at IS NULL
GROUP BY reason
ORDER BY count(*) DESC, reason
"""
# What is due again by itself is nothing for people; it is kept to be counted.
_FOR_PEOPLE = "d.resolution IS DISTINCT FROM 'due_again'"

_OPEN_IDS = """
SELECT d.id
FROM dead_letters d
JOIN notifications n ON n.id = d.notification_id
WHERE d.resolved_at IS NULL AND d.id > %(after)s
  AND (%(reasons)s::text[] IS NULL OR d.reason = ANY(%(reasons)s))
  AND (%(channel)s::text IS NULL OR n.channel = %(channel)s)
ORDER BY d.id
LIMIT %(limit)s
"""

# The whole family is locked, so that two replays, or a replay and a fallback, see what the other did.
_LOCK_NOTIFICATIONS = f"""
WITH family AS (
    SELECT DISTINCT {family_of("n")} AS key
    FROM notifications n
    WHERE n.id IN (SELECT notification_id FROM dead_letters WHERE id = ANY(%(ids)s))
),
member AS MATERIALIZED (
    SELECT k.id FROM family f JOIN notifications k ON {key_range("f.key", "k")}
)
SELECT id FROM notifications WHERE id IN (SELECT id FROM member) ORDER BY id FOR UPDATE
"""

_LOCK_LETTERS = """
SELECT id FROM dead_letters
WHERE id = ANY(%(ids)s)
   OR notification_id IN (SELECT notification_id FROM dead_letters WHERE id = ANY(%(ids)s))
ORDER BY id
FOR UPDATE
"""

# All of its letters are answered with it. One whose patient nobody knew is asked for again.
_REPLAY = """
WITH replayed AS (
    UPDATE notifications
    SET status = 'pending', reason = CASE WHEN reason = 'contact_unknown' THEN 'awaiting_contact' END,
        due_at = %(now)s, attempts = 0, error_code = NULL, claim_token = NULL, claimed_until = NULL,
        publish_until = NULL, queued_at = NULL, finished_at = NULL, followed_up_at = NULL
    WHERE id = ANY(%(notification_ids)s) AND status = ANY(%(replayable)s)
    RETURNING id
)
UPDATE dead_letters d
SET resolved_at = %(now)s, resolution = 'replayed', resolved_by = %(by)s
FROM replayed r
WHERE d.notification_id = r.id AND d.resolved_at IS NULL
RETURNING d.id
"""

_DISCARD = """
WITH held AS MATERIALIZED (
    SELECT id FROM dead_letters WHERE id = ANY(%(ids)s) AND resolved_at IS NULL ORDER BY id FOR UPDATE
)
UPDATE dead_letters d
SET resolved_at = %(now)s, resolution = 'discarded', resolved_by = %(by)s
FROM held
WHERE d.id = held.id
RETURNING d.id
"""

_STATUSES = {"replayable": list(REPLAYABLE), "living": list(LIVING)}


def newest(transaction: Transaction, wanted: Mapping[str, object], *, now: datetime, limit: int) -> list[DeadLetter]:
    """Dead letters that meet every condition of `wanted` (names of _CONDITIONS), newest first.

    `before` is the id that a page goes on after.
    """
    conditions = " AND ".join([_FOR_PEOPLE, *(_CONDITIONS[name] for name in wanted)])
    query = f"{_JUDGED} WHERE {conditions} ORDER BY d.id DESC LIMIT %(limit)s"
    with transaction.cursor(row_factory=class_row(DeadLetter)) as cursor:
        return cursor.execute(query, {**wanted, **_STATUSES, "now": now, "limit": limit}).fetchall()


def judge(transaction: Transaction, ids: Collection[int], *, now: datetime) -> list[DeadLetter]:
    """These dead letters, oldest first; what is not there is left out."""
    query = f"{_JUDGED} WHERE d.id = ANY(%(ids)s) ORDER BY d.id"
    with transaction.cursor(row_factory=class_row(DeadLetter)) as cursor:
        return cursor.execute(query, {**_STATUSES, "ids": list(ids), "now": now}).fetchall()


def open_by_reason(transaction: Transaction) -> list[OpenOfReason]:
    """How many are open of each reason, the most frequent first."""
    return [OpenOfReason(*row) for row in transaction.execute(_OPEN_BY_REASON)]


def message_of(transaction: Transaction, letter_id: int, *, sealer: Sealer) -> Any:
    """What the broker gave up: `size` in bytes, and `beginning` in Base64; None when it is no such letter."""
    row = transaction.execute("SELECT sealed_message FROM dead_letters WHERE id = %s", (letter_id,)).fetchone()
    return None if row is None or row[0] is None else sealer.open(bytes(row[0]))


def open_ids(
    transaction: Transaction, *, reasons: Sequence[str] | None, channel: str | None, after: int, limit: int
) -> list[int]:
    """Open dead letters that have a notification, of these reasons and that channel (None: of any), oldest first."""
    parameters = {
        "reasons": None if reasons is None else list(reasons),
        "channel": channel,
        "after": after,
        "limit": limit,
    }
    return [row[0] for row in transaction.execute(_OPEN_IDS, parameters)]


def lock(transaction: Transaction, ids: Collection[int]) -> None:
    """Hold these letters, their notifications and all that took their places until the end of the transaction."""
    transaction.execute(_LOCK_NOTIFICATIONS, {"ids": list(ids)})
    transaction.execute(_LOCK_LETTERS, {"ids": list(ids)})


def replay(transaction: Transaction, notification_ids: Collection[UUID], *, by: str, now: datetime) -> set[int]:
    """Failed notifications are due now, with all their attempts ahead of them; gives the letters that this answers."""
    parameters = {**_STATUSES, "notification_ids": list(notification_ids), "by": by, "now": now}
    return {row[0] for row in transaction.execute(_REPLAY, parameters)}


def discard(transaction: Transaction, ids: Collection[int], *, by: str, now: datetime) -> set[int]:
    """Nobody has to look at these any more; gives those that were open."""
    return {row[0] for row in transaction.execute(_DISCARD, {"ids": list(ids), "by": by, "now": now})}
