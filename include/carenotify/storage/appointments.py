"""Appointments: what a load may change of them, and what it may not.

An event can know more than the source's API, which lags. So a load changes an appointment only where it says
something else than the load before it did (`load_hash`), and never from an answer that is older than what is known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from carenotify.domain.appointment import Appointment, AppointmentStatus, Venue
from carenotify.domain.event import Difference
from carenotify.storage.database import Transaction


@dataclass(frozen=True, slots=True)
class LoadedAppointment:
    """An appointment as a load brings it: `fetched_at` then, last changed `updated_at` as far as the source says."""

    appointment: Appointment
    source_version: str | None
    fetched_at: datetime
    gone: bool
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredAppointment:
    """What is stored of an appointment."""

    id: str
    patient_id: str
    start_at: datetime
    end_at: datetime | None
    venue: str
    location_id: str | None
    status: str


_INCOMING = """
CREATE TEMP TABLE incoming_appointments (
    id text PRIMARY KEY, patient_id text, start_at timestamptz, end_at timestamptz, venue text, location_id text,
    status text, content_hash bytea, source_version text, fetched_at timestamptz, gone boolean, updated_at timestamptz,
    known_at timestamptz GENERATED ALWAYS AS (coalesce(updated_at, fetched_at)) STORED
) ON COMMIT DROP
"""

_COPY = """
COPY incoming_appointments
    (id, patient_id, start_at, end_at, venue, location_id, status, content_hash, source_version, fetched_at, gone,
     updated_at)
FROM STDIN
"""

# An event names a place, a load its Location id as well: the same name is the same place, and nothing new.
_SAME_BUT_FOR_ID = """
    (known.patient_id, known.start_at, known.venue, known.status)
        = (incoming.patient_id, incoming.start_at, incoming.venue, incoming.status)
    AND (known.location_id IS NULL OR incoming.location_id IS NULL)
"""

# `is_changed`: another thing than the load before. A row that only an event told of yet has no load_hash: what its
# first load says may lag behind the event, so it is noted and changes nothing.
_COMPARED = f"""
SELECT incoming.id, incoming.gone,
    known.id IS NULL AS is_new,
    known.fetched_at > incoming.fetched_at AS is_stale,
    known.load_hash <> incoming.content_hash AND known.content_hash <> incoming.content_hash
        AND known.fetched_at < incoming.fetched_at AND NOT ({_SAME_BUT_FOR_ID})
        AND (known.known_at IS NULL OR known.known_at <= incoming.known_at) AS is_changed,
    greatest(known.start_at, incoming.start_at) > %(now)s AS is_ahead
FROM incoming_appointments AS incoming LEFT JOIN appointments AS known USING (id)
"""

_COUNT = f"""
SELECT count(*) FILTER (WHERE is_new) AS new,
    count(*) FILTER (WHERE is_changed AND is_ahead) AS changed,
    count(*) FILTER (WHERE is_changed AND NOT is_ahead) AS changed_past,
    count(*) FILTER (WHERE is_changed AND gone) AS gone,
    count(*) FILTER (WHERE is_stale) AS stale,
    count(*) FILTER (WHERE NOT is_new AND NOT is_stale AND is_changed IS NOT TRUE) AS unchanged
FROM ({_COMPARED}) AS compared
"""

# `known_at` only where the source says when: the first load of a row may lag behind an event that is on its way.
_INSERT_NEW = """
INSERT INTO appointments
    (id, patient_id, start_at, end_at, venue, location_id, status, content_hash, load_hash, source_version, fetched_at,
     known_at)
SELECT id, patient_id, start_at, end_at, venue, location_id, status, content_hash, content_hash, source_version,
    fetched_at, updated_at
FROM incoming_appointments
ON CONFLICT (id) DO NOTHING
"""

# Also where nothing that patients are told changed: a venue's new name and a new end are taken over.
_UPDATE = f"""
UPDATE appointments AS known
SET patient_id = incoming.patient_id, start_at = incoming.start_at, end_at = incoming.end_at, venue = incoming.venue,
    location_id = incoming.location_id, status = incoming.status, content_hash = incoming.content_hash,
    load_hash = incoming.content_hash, source_version = incoming.source_version, fetched_at = incoming.fetched_at,
    known_at = CASE WHEN known.content_hash = incoming.content_hash THEN known.known_at ELSE incoming.known_at END,
    updated_at = CASE WHEN (known.content_hash, known.end_at, known.venue)
        IS DISTINCT FROM (incoming.content_hash, incoming.end_at, incoming.venue) THEN now() ELSE known.updated_at END
FROM incoming_appointments AS incoming
WHERE known.id = incoming.id AND known.fetched_at < incoming.fetched_at
  AND (known.content_hash = incoming.content_hash
       OR known.load_hash <> incoming.content_hash AND NOT ({_SAME_BUT_FOR_ID})
       AND (known.known_at IS NULL OR known.known_at <= incoming.known_at))
"""

# What is left: an event said otherwise, and this load says what the one before said, or what was so before the event.
_NOTE = """
UPDATE appointments AS known
SET load_hash = incoming.content_hash, fetched_at = incoming.fetched_at
FROM incoming_appointments AS incoming
WHERE known.id = incoming.id AND known.fetched_at < incoming.fetched_at
"""

# Known appointments that a load of a day should bring, unless the load has brought them before (and was reopened).
_EXPECTED_THEN = """
FROM appointments
WHERE start_at >= %(from)s AND start_at < %(until)s AND start_at > %(now)s AND status = ANY (%(statuses)s)
  AND fetched_at < %(asked_since)s
"""

_ABSENT = f"""
SELECT id, patient_id, start_at, end_at, venue, location_id, status {_EXPECTED_THEN}
  AND NOT EXISTS (SELECT FROM staging_appointments WHERE run_id = %(run_id)s AND appointment_id = appointments.id)
ORDER BY start_at, id
"""

_NAME_OF_LOCATION = "SELECT venue FROM appointments WHERE location_id = %s ORDER BY fetched_at DESC LIMIT 1"

_EXPECTED = tuple(
    status.value
    for status in (
        AppointmentStatus.PROPOSED,
        AppointmentStatus.PENDING,
        AppointmentStatus.BOOKED,
        AppointmentStatus.WAITLIST,
    )
)


def bring_appointments(transaction: Transaction, loaded: Iterable[LoadedAppointment]) -> None:
    """Put what a load brings beside what is known, in this transaction only. One row an appointment."""
    transaction.execute(_INCOMING)
    with transaction.cursor() as cursor, cursor.copy(_COPY) as copy:
        for row in loaded:
            told = row.appointment
            copy.write_row(
                (
                    told.id,
                    told.patient_id,
                    told.start,
                    told.end,
                    told.venue.name,
                    told.venue.location_id,
                    told.status.value,
                    told.content_hash,
                    row.source_version,
                    row.fetched_at,
                    row.gone,
                    row.updated_at,
                )
            )
    transaction.execute("ANALYZE incoming_appointments")


def count_changes(transaction: Transaction, now: datetime) -> dict[str, int]:
    """What taking over would do: new, changed (ahead), changed_past, gone, stale, unchanged."""
    cursor = transaction.execute(_COUNT, {"now": now})
    row = cursor.fetchone()
    names = [column.name for column in cursor.description or ()]
    return dict(zip(names, row or (), strict=True))


_CHANGED_AHEAD = f"""
SELECT known.id, known.patient_id, known.start_at, known.end_at, known.venue, known.location_id, known.status,
    incoming.patient_id, incoming.start_at, incoming.end_at, incoming.venue, incoming.location_id, incoming.status,
    incoming.known_at
FROM ({_COMPARED}) AS compared
JOIN incoming_appointments AS incoming USING (id)
JOIN appointments AS known USING (id)
WHERE compared.is_changed AND compared.is_ahead
ORDER BY known.id
"""


# An event that comes in between waits, so that what is announced is what is taken over.
_LOCK_DIFFERENT = """
SELECT known.id FROM appointments AS known JOIN incoming_appointments AS incoming USING (id)
WHERE known.load_hash <> incoming.content_hash
ORDER BY known.id FOR UPDATE OF known
"""


def changed_ahead(transaction: Transaction, now: datetime) -> list[Difference]:
    """Each appointment ahead that taking over will change.

    Nobody else changes them until the transaction ends.
    """
    transaction.execute(_LOCK_DIFFERENT)
    return [
        Difference(appointment_from(*row[:7]), appointment_from(row[0], *row[7:13]), row[13])
        for row in transaction.execute(_CHANGED_AHEAD, {"now": now})
    ]


def appointment_from(
    appointment_id: str,
    patient_id: str,
    start: datetime,
    end: datetime | None,
    venue: str,
    location_id: str | None,
    status: str,
) -> Appointment:
    """The appointment of a row's columns, in the order of the table."""
    return Appointment(appointment_id, patient_id, start, end, Venue(venue, location_id), AppointmentStatus(status))


def take_over_appointments(transaction: Transaction) -> None:
    """Make the brought appointments true, as far as this module's rule lets them."""
    transaction.execute(_INSERT_NEW)
    transaction.execute(_UPDATE)
    transaction.execute(_NOTE)


def stored_appointments(transaction: Transaction, appointment_ids: Collection[str]) -> dict[str, Appointment]:
    """The known ones of these appointments."""
    found = transaction.execute(
        "SELECT id, patient_id, start_at, end_at, venue, location_id, status FROM appointments WHERE id = ANY (%s)",
        (list(appointment_ids),),
    )
    return {row[0]: appointment_from(*row) for row in found}


def name_of_location(transaction: Transaction, location_id: str | None) -> str | None:
    """What the place with this Location id was called last; None when no appointment was ever there."""
    row = transaction.execute(_NAME_OF_LOCATION, (location_id,)).fetchone()
    return None if row is None else str(row[0])


def absent_appointments(
    transaction: Transaction,
    *,
    run_id: str,
    asked_since: datetime,
    days: Sequence[tuple[datetime, datetime]],
    now: datetime,
) -> tuple[list[StoredAppointment], int]:
    """Known appointments still ahead between these instants that the run, begun at `asked_since`, did not bring.

    The soonest first; and how many it should have brought.
    """
    absent: list[StoredAppointment] = []
    expected = 0
    for start, end in days:
        wanted = {
            "from": start,
            "until": end,
            "statuses": list(_EXPECTED),
            "run_id": run_id,
            "asked_since": asked_since,
            "now": now,
        }
        with transaction.cursor(row_factory=class_row(StoredAppointment)) as cursor:
            absent += cursor.execute(_ABSENT, wanted).fetchall()
        (count,) = transaction.execute(f"SELECT count(*) {_EXPECTED_THEN}", wanted).fetchone() or (0,)
        expected += count
    return absent, expected
