"""Notifications as rows: how they come to be, and how something newer takes their place."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from carenotify.domain.appointment import Appointment
from carenotify.domain.notification import Channel
from carenotify.storage.database import Transaction
from carenotify.storage.sealed import Sealer
from carenotify.tracing import traceparent


@dataclass(frozen=True, slots=True)
class NewNotification:
    """A row to insert. `digest_key` gets its generation when it is stored: one more than there are of it.

    `reason` says what a pending row waits for, when it does not only wait for its time.
    """

    id: UUID
    digest_key: str
    kind: str
    lane: str
    channel: Channel
    patient_id: str
    due_at: datetime
    expires_at: datetime
    template_version_id: int
    data: object
    created_at: datetime
    appointments: tuple[Appointment, ...]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Superseded:
    """A notification that was stopped, and which appointments it would have told of."""

    id: UUID
    kind: str
    channel: Channel
    patient_id: str
    due_at: datetime
    expires_at: datetime
    template_version_id: int
    appointment_ids: tuple[str, ...]


_INSERT = """
WITH incoming AS (
    SELECT * FROM unnest(
        %(ids)s::uuid[], %(digest_keys)s::text[], %(kinds)s::text[], %(lanes)s::text[], %(channels)s::text[],
        %(patient_ids)s::text[], %(due_ats)s::timestamptz[], %(expires_ats)s::timestamptz[],
        %(template_version_ids)s::bigint[], %(sealed_data)s::bytea[], %(created_ats)s::timestamptz[],
        %(reasons)s::text[]
    ) AS i (id, digest_key, kind, lane, channel, patient_id, due_at, expires_at, template_version_id, sealed_data,
            created_at, reason)
),
fresh AS (
    INSERT INTO notifications (id, dedup_key, kind, lane, channel, patient_id, due_at, expires_at, template_version_id,
                               sealed_data, created_at, reason, traceparent)
    SELECT i.id,
           i.digest_key || ':' || (
               SELECT count(*) FROM notifications n
               WHERE n.dedup_key > i.digest_key COLLATE "C" || ':' AND n.dedup_key < i.digest_key COLLATE "C" || ';'
           ) + row_number() OVER (PARTITION BY i.digest_key ORDER BY i.id),
           i.kind, i.lane, i.channel, i.patient_id, i.due_at, i.expires_at, i.template_version_id, i.sealed_data,
           i.created_at, i.reason, %(traceparent)s
    FROM incoming i
    ORDER BY i.id
    ON CONFLICT (dedup_key) DO NOTHING
    RETURNING id
),
linked AS (
    INSERT INTO notification_appointments (notification_id, appointment_id, content_hash)
    SELECT l.notification_id, l.appointment_id, l.content_hash
    FROM unnest(%(link_ids)s::uuid[], %(link_appointments)s::text[], %(link_hashes)s::bytea[])
        AS l (notification_id, appointment_id, content_hash)
    JOIN fresh ON fresh.id = l.notification_id
)
SELECT id FROM fresh
"""

_SUPERSEDE = """
WITH held AS MATERIALIZED (
    SELECT n.id
    FROM notifications n
    WHERE n.status IN ('pending', 'queued')
      AND n.id IN (
          SELECT notification_id FROM notification_appointments WHERE appointment_id = ANY (%(appointment_ids)s)
      )
    ORDER BY n.id
    FOR UPDATE
)
UPDATE notifications n
SET status = 'superseded', reason = 'appointment_changed', finished_at = %(now)s, publish_until = NULL
FROM held
WHERE n.id = held.id
RETURNING n.id, n.kind, n.channel, n.patient_id, n.due_at, n.expires_at, n.template_version_id,
          ARRAY(SELECT appointment_id FROM notification_appointments l WHERE l.notification_id = n.id)
"""

_CANCEL = """
UPDATE notifications
SET status = 'cancelled', reason = 'cancelled_by_request', finished_at = %(now)s, publish_until = NULL
WHERE id = %(id)s AND status IN ('pending', 'queued')
"""


def insert(transaction: Transaction, rows: Sequence[NewNotification], *, sealer: Sealer) -> set[UUID]:
    """Store new notifications and what they tell of, in one statement; returns the ids that were not there before."""
    links = [(row.id, appointment) for row in rows for appointment in row.appointments]
    parameters = {
        "ids": [row.id for row in rows],
        "digest_keys": [row.digest_key for row in rows],
        "kinds": [row.kind for row in rows],
        "lanes": [row.lane for row in rows],
        "channels": [row.channel.value for row in rows],
        "patient_ids": [row.patient_id for row in rows],
        "due_ats": [row.due_at for row in rows],
        "expires_ats": [row.expires_at for row in rows],
        "template_version_ids": [row.template_version_id for row in rows],
        "sealed_data": [sealer.seal(row.data) for row in rows],
        "created_ats": [row.created_at for row in rows],
        "reasons": [row.reason for row in rows],
        "traceparent": traceparent(),  # whatever is under way asks for all of them
        "link_ids": [notification_id for notification_id, _ in links],
        "link_appointments": [appointment.id for _, appointment in links],
        "link_hashes": [appointment.content_hash for _, appointment in links],
    }
    return {row[0] for row in transaction.execute(_INSERT, parameters)}


def supersede(transaction: Transaction, appointment_ids: Collection[str], *, now: datetime) -> list[Superseded]:
    """Stop everything about these appointments that has not been claimed yet: nobody is told what is no longer true."""
    rows = transaction.execute(_SUPERSEDE, {"appointment_ids": list(appointment_ids), "now": now}).fetchall()
    return [
        Superseded(
            id=row[0],
            kind=row[1],
            channel=Channel(row[2]),
            patient_id=row[3],
            due_at=row[4],
            expires_at=row[5],
            template_version_id=row[6],
            appointment_ids=tuple(row[7]),
        )
        for row in rows
    ]


def cancel(transaction: Transaction, notification_id: UUID, *, now: datetime) -> bool:
    """Stop a notification that nobody has begun to send. False when there is none, or it is too late."""
    return transaction.execute(_CANCEL, {"id": notification_id, "now": now}).rowcount == 1


def status_of(transaction: Transaction, notification_id: UUID) -> str | None:
    """How a notification stands; None when there is none."""
    row = transaction.execute("SELECT status FROM notifications WHERE id = %s", (notification_id,)).fetchone()
    return None if row is None else str(row[0])
