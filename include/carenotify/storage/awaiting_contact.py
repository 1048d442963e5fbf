"""Notifications that an event asked for before anybody had copied their patient."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from carenotify.storage.database import Transaction
from carenotify.storage.notifications import NewNotification
from carenotify.storage.sealed import Sealer


@dataclass(frozen=True, slots=True)
class Awaiting:
    """One of them, ours to complete until its lease is over. `tries` counts this one."""

    id: UUID
    kind: str
    patient_id: str
    tries: int
    expires_at: datetime
    digest: str
    sealed_data: bytes
    appointment_id: str


# The wait doubles from two seconds to five minutes; the lease is the wait, so a worker that dies delays nothing.
_LEASE = """
WITH waiting AS (
    SELECT id FROM notifications
    WHERE status = 'pending' AND reason = 'awaiting_contact' AND expires_at > %(now)s
      AND (publish_until IS NULL OR publish_until <= %(now)s)
    ORDER BY publish_until NULLS FIRST
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE notifications n
SET attempts = n.attempts + 1,
    publish_until = %(now)s + least(%(longest_wait)s, interval '1 second' * 2 ^ least(n.attempts + 1, 16))
FROM waiting w, notification_appointments l
WHERE n.id = w.id AND l.notification_id = n.id
RETURNING n.id, n.kind, n.patient_id, n.attempts, n.expires_at, n.dedup_key, n.sealed_data, l.appointment_id
"""

_COMPLETE = """
UPDATE notifications
SET patient_id = %(patient_id)s, channel = %(channel)s, template_version_id = %(template_version_id)s,
    sealed_data = %(sealed_data)s, due_at = %(due_at)s, attempts = 0, reason = NULL, publish_until = NULL
WHERE id = %(id)s AND status = 'pending' AND reason = 'awaiting_contact'
"""

_SUPPRESS = """
UPDATE notifications
SET status = 'suppressed', reason = %(reason)s, finished_at = %(now)s, publish_until = NULL
WHERE id = %(id)s AND status = 'pending' AND reason = 'awaiting_contact'
"""

_GIVE_UP = """
WITH given_up AS (
    UPDATE notifications
    SET status = 'failed', reason = 'contact_unknown', finished_at = %(now)s, publish_until = NULL
    WHERE id = %(id)s AND status = 'pending' AND reason = 'awaiting_contact'
    RETURNING id, attempts
)
INSERT INTO dead_letters (notification_id, reason, attempts, created_at)
SELECT id, 'contact_unknown', attempts, %(now)s FROM given_up
"""

_LONGEST_WAIT = timedelta(minutes=5)


def lease(transaction: Transaction, *, now: datetime, limit: int) -> list[Awaiting]:
    """Take up to `limit` of them, those that were not tried yet first."""
    rows = transaction.execute(_LEASE, {"now": now, "limit": limit, "longest_wait": _LONGEST_WAIT}).fetchall()
    return [
        Awaiting(
            id=row[0],
            kind=row[1],
            patient_id=row[2],
            tries=row[3],
            expires_at=row[4],
            digest=row[5].split(":")[1],
            sealed_data=row[6],
            appointment_id=row[7],
        )
        for row in rows
    ]


def complete(transaction: Transaction, awaiting: Awaiting, told: NewNotification, *, sealer: Sealer) -> bool:
    """The patient is known: it is due, and says what `told` does. False when it was superseded or expired meanwhile."""
    parameters = {
        "id": awaiting.id,
        "patient_id": told.patient_id,
        "channel": told.channel,
        "template_version_id": told.template_version_id,
        "sealed_data": sealer.seal(told.data),
        "due_at": told.due_at,
    }
    return transaction.execute(_COMPLETE, parameters).rowcount == 1


def suppress(transaction: Transaction, awaiting: Awaiting, *, reason: str, now: datetime) -> None:
    """The patient is known, and is not to be told."""
    transaction.execute(_SUPPRESS, {"id": awaiting.id, "reason": reason, "now": now})


def give_up(transaction: Transaction, awaiting: Awaiting, *, now: datetime) -> None:
    """The source knows no such patient: a dead letter."""
    transaction.execute(_GIVE_UP, {"id": awaiting.id, "now": now})
