"""What became of one notification, from its cause to its end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from carenotify.storage.database import Transaction
from carenotify.storage.sealed import Sealer


@dataclass(frozen=True, slots=True)
class NotificationState:
    """How a notification stands. It says nothing of what it tells.

    It took the place of `fallback_of`; `fallback_id` took its place.
    """

    id: UUID
    kind: str
    channel: str
    priority: str
    patient_id: str
    appointment_ids: list[str]
    status: str
    reason: str | None
    attempts: int
    created_at: datetime
    due_at: datetime
    expires_at: datetime
    queued_at: datetime | None
    finished_at: datetime | None
    provider: str | None
    provider_message_id: str | None
    error_code: str | None
    possible_duplicate: bool
    fallback_of: UUID | None
    fallback_id: UUID | None


@dataclass(frozen=True, slots=True)
class PastAttempt:
    """One try to send it, and what came of it. `code` is the provider's."""

    attempt: int
    provider: str | None
    outcome: str
    code: str | None
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class PastReceipt:
    """What a provider said of it afterwards, in its own words. `status` is what that means; null when nothing new."""

    provider: str
    provider_message_id: str
    provider_status: str
    status: str | None
    code: str | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class PastChange:
    """What somebody did to it by hand."""

    happened_at: datetime
    actor: str
    action: str


@dataclass(frozen=True, slots=True)
class Story:
    """A notification from its cause to its end. `data` is what its wording tells.

    `sent_to` is the blind index of the address that the last attempt went to, `tried_addresses` those of earlier ones.
    """

    state: NotificationState
    event_id: str | None
    superseded_by: tuple[UUID, ...]
    tries: tuple[PastAttempt, ...]
    receipts: tuple[PastReceipt, ...]
    changes: tuple[PastChange, ...]
    data: Any
    sent_to: bytes | None
    tried_addresses: frozenset[bytes]


STATE = """
SELECT n.id, n.kind, n.channel, n.lane AS priority, n.patient_id,
       ARRAY(
           SELECT l.appointment_id FROM notification_appointments l WHERE l.notification_id = n.id ORDER BY 1
       ) AS appointment_ids,
       n.status, n.reason, n.attempts, n.created_at, n.due_at, n.expires_at, n.queued_at, n.finished_at, n.provider,
       n.provider_message_id, n.error_code, n.possible_duplicate, n.fallback_of,
       (SELECT f.id FROM notifications f WHERE f.fallback_of = n.id) AS fallback_id
FROM notifications n
"""

_KEPT = "SELECT sealed_data, sent_to, tried_addresses FROM notifications WHERE id = %s"

_TRIES = """
SELECT attempt, provider, outcome, code, finished_at FROM delivery_attempts WHERE notification_id = %s ORDER BY id
"""

_RECEIPTS = """
SELECT provider, provider_message_id, provider_status, status, code, received_at
FROM receipts
WHERE notification_id = %s
ORDER BY id
"""

# Of itself and of its dead letters. Who looked at it is no change of it.
_CHANGES = """
SELECT happened_at, actor, action FROM audit_log
WHERE subject = %(id)s::uuid::text AND action LIKE 'notification.%%' AND action <> 'notification.address_read'
   OR subject = ANY(ARRAY(SELECT id::text FROM dead_letters WHERE notification_id = %(id)s))
      AND action IN ('dead_letter.replayed', 'dead_letter.discarded')
ORDER BY id
"""

# An event that says the same as an earlier one answers with the earlier one's notifications.
_CAUSE = """
SELECT e.event_id
FROM change_events e
WHERE e.appointment_id = ANY(%(appointment_ids)s) AND %(id)s = ANY(e.notification_ids)
ORDER BY e.received_at
LIMIT 1
"""

# Those that came next about the same appointments.
_FOLLOWING = """
SELECT id
FROM (
    SELECT m.id, rank() OVER (ORDER BY m.created_at) AS place
    FROM notifications m
    WHERE m.created_at > %(created_at)s
      AND m.id IN (
          SELECT notification_id FROM notification_appointments WHERE appointment_id = ANY(%(appointment_ids)s)
      )
) AS later
WHERE place = 1
ORDER BY id
"""


def state(transaction: Transaction, notification_id: UUID) -> NotificationState | None:
    """How one notification stands; None when there is none."""
    with transaction.cursor(row_factory=class_row(NotificationState)) as cursor:
        return cursor.execute(f"{STATE} WHERE n.id = %s", (notification_id,)).fetchone()


def story(transaction: Transaction, notification_id: UUID, *, sealer: Sealer) -> Story | None:
    """Everything about one notification; None when there is none."""
    found = state(transaction, notification_id)
    kept = transaction.execute(_KEPT, (notification_id,)).fetchone()
    if found is None or kept is None:
        return None
    about = {"id": notification_id, "created_at": found.created_at, "appointment_ids": found.appointment_ids}
    cause = transaction.execute(_CAUSE, about).fetchone()
    following = transaction.execute(_FOLLOWING, about).fetchall() if found.status == "superseded" else []
    with transaction.cursor(row_factory=class_row(PastAttempt)) as cursor:
        tries = tuple(cursor.execute(_TRIES, (notification_id,)))
    with transaction.cursor(row_factory=class_row(PastReceipt)) as cursor:
        receipts = tuple(cursor.execute(_RECEIPTS, (notification_id,)))
    with transaction.cursor(row_factory=class_row(PastChange)) as cursor:
        changes = tuple(cursor.execute(_CHANGES, about))
    return Story(
        state=found,
        event_id=cause[0] if cause else None,
        superseded_by=tuple(row[0] for row in following),
        tries=tries,
        receipts=receipts,
        changes=changes,
        data=sealer.open(kept[0]),
        sent_to=kept[1],
        tried_addresses=frozenset(kept[2]),
    )
