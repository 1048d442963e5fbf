"""Change events as they came, and the appointment rows that they change."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from carenotify.domain.appointment import Appointment
from carenotify.domain.event import ChangeEvent, Known
from carenotify.storage.appointments import appointment_from
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
SELECT event_id, type, source, appointment_id, occurred_at, %(now)s, %(body_hash)s, %(sealed_body)s
FROM unnest(%(event_ids)s::text[], %(types)s::text[], %(sources)s::text[], %(appointment_ids)s::text[],
            %(occurred_ats)s::timestamptz[]) AS event (event_id, type, source, appointment_id, occurred_at)
ON CONFLICT (event_id) DO NOTHING
"""

_STORED = "SELECT body_hash, outcome, reason, notification_ids FROM change_events WHERE event_id = %s"

# The notifications' ids come as one text for each event: arrays of arrays would all have to be of one length.
_SETTLE = """
UPDATE change_events known
SET outcome = event.outcome, reason = event.reason, notification_ids = event.ids::uuid[]
FROM unnest(%(event_ids)s::text[], %(outcomes)s::text[], %(reasons)s::text[], %(ids)s::text[])
    AS event (event_id, outcome, reason, ids)
WHERE known.event_id = event.event_id
"""

_KNOWN = """
SELECT id, patient_id, start_at, end_at, venue, location_id, status, known_at FROM appointments
WHERE id = ANY (%s)
ORDER BY id FOR UPDATE
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
    transaction: Transaction,
    events: Sequence[ChangeEvent],
    *,
    body: Any,
    body_hash: bytes,
    now: datetime,
    sealer: Sealer,
) -> int:
    """Store events of one body; gives how many of their ids were new. Waits for the same that is just taken in."""
    parameters = {
        "event_ids": [event.event_id for event in events],
        "types": [event.type.value for event in events],
        "sources": [event.source for event in events],
        "appointment_ids": [event.appointment.id for event in events],
        "occurred_ats": [event.occurred_at for event in events],
        "now": now,
        "body_hash": body_hash,
        "sealed_body": sealer.seal(body),
    }
    return transaction.execute(_ADD, parameters).rowcount


def stored(transaction: Transaction, event_id: str) -> StoredEvent | None:
    """What came of an event, by its id."""
    row = transaction.execute(_STORED, (event_id,)).fetchone()
    return None if row is None else StoredEvent(bytes(row[0]), row[1], row[2], tuple(row[3]))


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of an event."""

    event_id: str
    outcome: str
    reason: str | None
    notification_ids: Sequence[UUID]


def settle(transaction: Transaction, settled: Sequence[Settled]) -> None:
    """Write what came of events."""
    parameters = {
        "event_ids": [one.event_id for one in settled],
        "outcomes": [one.outcome for one in settled],
        "reasons": [one.reason for one in settled],
        "ids": ["{" + ",".join(map(str, one.notification_ids)) + "}" for one in settled],
    }
    transaction.execute(_SETTLE, parameters)


def known(transaction: Transaction, appointment_id: str) -> Known | None:
    """An appointment as it stands, locked until the end of the transaction."""
    return all_known(transaction, [appointment_id]).get(appointment_id)


def all_known(transaction: Transaction, appointment_ids: Collection[str]) -> dict[str, Known]:
    """The known ones of these appointments as they stand, locked until the end of the transaction."""
    rows = transaction.execute(_KNOWN, (list(appointment_ids),))
    return {row[0]: Known(appointment_from(*row[:7]), row[7]) for row in rows}


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
