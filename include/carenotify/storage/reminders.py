"""What the planning of reminders reads and writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime

from carenotify.domain.appointment import Appointment, AppointmentStatus, Venue
from carenotify.domain.notification import Channel
from carenotify.domain.patient import Preferences
from carenotify.domain.schedule import Candidate, Skip
from carenotify.storage.claims import suppressed_addresses
from carenotify.storage.database import Transaction
from carenotify.storage.outbox import IdRange
from carenotify.storage.patients import open_patient
from carenotify.storage.sealed import Sealer

# Plans take turns, so that each sees what the one before it wrote; any constant of our own will do.
_PLAN_LOCK = 0x706C616E

# A reminder counts as told while it lives and says what is true now; one that was superseded, or ran out of time,
# does not. Statuses are named here as in domain.notification.Status.
_TOLD = """
    SELECT FROM notification_appointments l
    JOIN notifications n ON n.id = l.notification_id
    WHERE l.appointment_id = a.id AND l.content_hash = a.content_hash AND n.kind = %(kind)s
      AND n.status NOT IN ('superseded', 'expired', 'cancelled', 'suppressed')
"""

SUPERSEDE = f"""
WITH untold AS (
    SELECT COALESCE(p.merged_into, a.patient_id) AS patient_id, (a.start_at AT TIME ZONE %(timezone)s)::date AS day
    FROM appointments a
    LEFT JOIN patients p ON p.id = a.patient_id
    WHERE a.start_at >= %(since)s AND a.start_at < %(until)s AND a.status = 'booked' AND NOT EXISTS ({_TOLD})
),
overtaken AS (
    SELECT DISTINCT n.id
    FROM notifications n
    JOIN notification_appointments l ON l.notification_id = n.id
    LEFT JOIN appointments a ON a.id = l.appointment_id
    WHERE n.kind = %(kind)s AND n.status IN ('pending', 'queued')
      AND (a.content_hash IS DISTINCT FROM l.content_hash
           OR (n.patient_id, (a.start_at AT TIME ZONE %(timezone)s)::date) IN (SELECT patient_id, day FROM untold))
),
held AS MATERIALIZED (
    SELECT id FROM notifications WHERE id IN (SELECT id FROM overtaken) ORDER BY id FOR UPDATE
)
UPDATE notifications n
SET status = 'superseded', reason = 'replanned', finished_at = %(now)s, publish_until = NULL
FROM held
WHERE n.id = held.id AND n.status IN ('pending', 'queued')
"""

CANDIDATES = f"""
SELECT a.id, a.patient_id, a.start_at, a.end_at, a.venue, a.location_id, a.status,
       p.id, p.sealed_contact, p.language, p.deceased, p.merged_into,
       COALESCE(q.channels, '{{}}'), q.language,
       COALESCE(q.opted_out_channels, '{{}}'), COALESCE(q.opted_out_kinds, '{{}}'),
       ARRAY(SELECT s.address_index FROM suppressions s WHERE s.address_index = ANY(p.address_indexes))
FROM appointments a
LEFT JOIN patients named ON named.id = a.patient_id
LEFT JOIN patients p ON p.id = COALESCE(named.merged_into, named.id)
LEFT JOIN preferences q ON q.patient_id = p.id
WHERE a.start_at >= %(since)s AND a.start_at < %(until)s AND NOT EXISTS ({_TOLD})
ORDER BY a.start_at, a.id
"""

BATCHES = """
SELECT min(id::text)::uuid, max(id::text)::uuid, count(*)
FROM (
    SELECT id, (row_number() OVER (ORDER BY id) - 1) / %(size)s AS batch
    FROM notifications
    WHERE kind = %(kind)s AND status = 'pending' AND due_at <= %(due_by)s AND expires_at > %(now)s
) numbered
GROUP BY batch
ORDER BY batch
"""


def take_turns(transaction: Transaction) -> None:
    """Wait until no other plan is being made; until the end of this transaction, none will be."""
    transaction.execute("SELECT pg_advisory_xact_lock(%s)", (_PLAN_LOCK,))


def supersede_overtaken(
    transaction: Transaction, *, kind: str, since: datetime, until: datetime, timezone: str, now: datetime
) -> int:
    """Stop waiting reminders that say what is no longer true, or that a fuller digest of the same day replaces."""
    parameters = {"kind": kind, "since": since, "until": until, "timezone": timezone, "now": now}
    return transaction.execute(SUPERSEDE, parameters).rowcount


def candidates(
    transaction: Transaction, *, kind: str, since: datetime, until: datetime, sealer: Sealer
) -> Iterator[Candidate]:
    """Appointments that start in [since, until) and that no living notification of the kind tells as they stand."""
    for row in transaction.execute(CANDIDATES, {"kind": kind, "since": since, "until": until}):
        (appointment_id, patient_id, start, end, venue, location_id, status, found_id, sealed, language, *rest) = row
        deceased, merged_into, channels, wanted_language, no_channels, no_kinds, suppressed = rest
        patient = None
        if found_id is not None:
            patient = open_patient(
                patient_id=found_id,
                sealed_contact=sealed,
                language=language,
                deceased=deceased,
                merged_into=merged_into,
                sealer=sealer,
            )
        yield Candidate(
            Appointment(appointment_id, patient_id, start, end, Venue(venue, location_id), AppointmentStatus(status)),
            patient,
            Preferences(
                tuple(Channel(channel) for channel in channels),
                wanted_language,
                frozenset(Channel(channel) for channel in no_channels),
                frozenset(no_kinds),
            ),
            frozenset() if patient is None else suppressed_addresses(patient, suppressed, sealer),
        )


def replace_skips(transaction: Transaction, day: date, skips: Sequence[Skip]) -> None:
    """The skips of a day's latest plan take the place of those of the plan before it."""
    transaction.execute("DELETE FROM reminder_skips WHERE day = %s", (day,))
    with (
        transaction.cursor() as cursor,
        cursor.copy("COPY reminder_skips (day, patient_id, appointment_day, reason, appointments) FROM STDIN") as copy,
    ):
        for skip in skips:
            copy.write_row((day, skip.patient_id, skip.appointment_day, skip.reason, skip.appointments))


def pending_batches(
    transaction: Transaction, *, kind: str, size: int, due_by: datetime, now: datetime
) -> list[tuple[IdRange, int]]:
    """Everything of the kind that waits to be published by `due_by`, in batches of at most `size`."""
    rows = transaction.execute(BATCHES, {"kind": kind, "size": size, "due_by": due_by, "now": now})
    return [(IdRange(first, last), count) for first, last, count in rows]
