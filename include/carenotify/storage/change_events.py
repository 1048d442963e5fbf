"""Change events as they came, and the appointment rows that they change."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from carenotify.domain.appointment import Appointment, AppointmentStatus, Venue
from carenotify.domain.event import ChangeEvent, Known
from carenotify.storage.database import Transaction
from carenotify.storage.sealed import Sealer


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """What is known of an event that came before. No outcome: it was cut off, which cannot be seen from outside."""

    body_hash: bytes
    outcome: str
    reason: str | None
    notification_ids: tuple[UUID, ...]


_TAKE_TURNS = """
SELECT pg_advisory_xact_lock(hashtextextended('patient ' || %(patient_id)s, 0)),
       pg_advisory_xact_lock(hashtextextended('appointment ' || %(appointment_id)s, 0))
"""

_ADD = """
INSERT INTO change_events (event_id, type, source, appointment_id, occurred_at, received_at, body_hash, sealed_body)
VALUES (%(event_id)s, %(type)s, %(source)s, %(appointment_id)s, %(occurred_at)s, %(now)s, %(body_hash)s,
        %(sealed_body)s)
ON CONFLICT (event_id) DO NOTHING
RETURNING event_id
"""

_STORED = "SELECT body_hash, outcome, reason, notification_ids FROM change_events WHERE event_id = %s"

_SETTLE = """
UPDATE change_events
SET outcome = %(outcome)s, reason = %(reason)s, notification_ids = %(ids)s
WHERE event_id = %(event_id)s
"""

_KNOWN = """
SELECT patient_id, start_at, end_at, venue, location_id, status, known_at FROM appointments WHERE id = %s FOR UPDATE
"""

# An appointment that only an event told of has no load_hash yet; its first load says nothing new.
_SET = """
INSERT INTO appointments
    (id, patient_id, start_at, end_at, venue, location_id, status, content_hash, fetched_at, known_at)
VALUES
    (%(id)s, %(patient_id)s, %(start)s, %(end)s, %(venue)s, %(location_id)s, %(status)s, %(content_hash)s, %(known_at)s,
     %(known_at)s)
ON CONFLICT (id) DO UPDATE
SET patient_id = excluded.patient_id, start_at = excluded.start_at, end_at = excluded.end_at, venue = excluded.venue,
    location_id = excluded.location_id, status = excluded.status, content_hash = excluded.content_hash,
    known_at = excluded.known_at, updated_at = now()
"""

_LATEST_TOLD = """
SELECT n.id
FROM notifications n
JOIN notification_appointments l ON l.notification_id = n.id
WHERE l.appointment_id = %(appointment_id)s AND l.content_hash = %(content_hash)s AND n.kind = ANY(%(kinds)s)
ORDER BY n.id
"""


def take_turns(transaction: Transaction, appointment: Appointment) -> None:
    """Wait until no other event of this appointment, or of its patient, whose digests tell of several, is taken in.

    Also when there is no row yet that could be locked.
    """
    transaction.execute(_TAKE_TURNS, {"patient_id": appointment.patient_id, "appointment_id": appointment.id})


def add(
    transaction: Transaction, event: ChangeEvent, *, body: Any, body_hash: bytes, now: datetime, sealer: Sealer
) -> bool:
    """Store an event; False when its id is known. Waits for the same event that is just being taken in."""
    parameters = {
        "event_id": event.event_id,
        "type": event.type.value,
        "source": event.source,
        "appointment_id": event.appointment.id,
        "occurred_at": event.occurred_at,
        "now": now,
        "body_hash": body_hash,
        "sealed_body": sealer.seal(body),
    }
    return transaction.execute(_ADD, parameters).fetchone() is not None


def stored(transaction: Transaction, event_id: str) -> StoredEvent | None:
    """What came of an event, by its id."""
    row = transaction.execute(_STORED, (event_id,)).fetchone()
    return None if row is None else StoredEvent(bytes(row[0]), row[1], row[2], tuple(row[3]))


def settle(
    transaction: Transaction, event_id: str, *, outcome: str, reason: str | None, notification_ids: Collection[UUID]
) -> None:
    """Write what came of an event."""
    parameters = {"event_id": event_id, "outcome": outcome, "reason": reason, "ids": list(notification_ids)}
    transaction.execute(_SETTLE, parameters)


def known(transaction: Transaction, appointment_id: str) -> Known | None:
    """An appointment as it stands, locked until the end of the transaction."""
    row = transaction.execute(_KNOWN, (appointment_id,)).fetchone()
    if row is None:
        return None
    patient_id, start, end, venue, location_id, status, known_at = row
    appointment = Appointment(
        appointment_id, patient_id, start, end, Venue(venue, location_id), AppointmentStatus(status)
    )
    return Known(appointment, known_at)


def set_appointment(transaction: Transaction, appointment: Appointment, *, known_at: datetime) -> None:
    """Make this the truth about an appointment, from `known_at` on."""
    transaction.execute(
        _SET,
        {
            "id": appointment.id,
            "patient_id": appointment.patient_id,
            "start": appointment.start,
            "end": appointment.end,
            "venue": appointment.venue.name,
            "location_id": appointment.venue.location_id,
            "status": appointment.status.value,
            "content_hash": appointment.content_hash,
            "known_at": known_at,
        },
    )


def told_by(transaction: Transaction, appointment: Appointment, *, kinds: Collection[str]) -> list[UUID]:
    """Notifications of these kinds that tell the appointment as it stands."""
    parameters = {
        "appointment_id": appointment.id,
        "content_hash": appointment.content_hash,
        "kinds": list(kinds),
    }
    return [row[0] for row in transaction.execute(_LATEST_TOLD, parameters)]
