"""The figures of one day's reminders, as our own tables know them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime
from uuid import UUID

from carenotify.domain.schedule import REASONS_OF_APPOINTMENTS
from carenotify.storage.database import Transaction
from carenotify.storage.patients import PERSON_JOINS

# The receiver took it, and no receipt says that it did not arrive. Whoever complains of a message has it as well.
_REACHED = "(n.status IN ('sent', 'delivered') OR n.status = 'unsubscribed' AND COALESCE(n.reason, '') = 'complaint')"

# Untold is found from the appointments, not from what was planned, so that one that the plan overlooked shows: booked
# before the window closed, with no notification that tells it as it stands, and no reason for that.
_DUE = f"""
WITH reminders AS MATERIALIZED (
    SELECT n.id, n.patient_id, n.status, n.created_at, {_REACHED} AS reached
    FROM notifications n
    WHERE n.kind = 'reminder' AND n.created_at >= %(since)s AND n.created_at < %(until)s
),
told AS (
    SELECT l.appointment_id, n.patient_id, (a.start_at AT TIME ZONE %(timezone)s)::date AS appointment_day, n.reached
    FROM reminders n
    JOIN notification_appointments l ON l.notification_id = n.id
    JOIN appointments a ON a.id = l.appointment_id
    WHERE n.status <> 'superseded'
),
-- Few on any day, and found first: what follows looks at these alone.
without_message AS MATERIALIZED (
    SELECT a.id, a.patient_id, (a.start_at AT TIME ZONE %(timezone)s)::date AS appointment_day
    FROM appointments a
    WHERE a.status = 'booked' AND a.start_at < %(horizon)s AND a.updated_at < %(closes)s
      AND a.start_at >= COALESCE((SELECT min(created_at) FROM reminders), %(opens)s)
      AND NOT EXISTS (
        SELECT FROM notification_appointments l
        JOIN notifications n ON n.id = l.notification_id
        WHERE l.appointment_id = a.id AND l.content_hash = a.content_hash
          AND (n.kind = 'reminder' OR n.created_at >= a.start_at - make_interval(days => %(days_before)s + 1))
          AND n.created_at < %(until)s AND n.status NOT IN ('superseded', 'cancelled'))
      AND NOT EXISTS (
        SELECT FROM change_events e
        WHERE e.appointment_id = a.id AND e.outcome = 'not_told' AND e.received_at >= %(since)s)
),
-- A reason is mostly noted under the record that the appointment names, which a hash finds at once; only for the others
-- is it asked whose records are one person's.
without_reason AS MATERIALIZED (
    SELECT * FROM without_message w
    WHERE NOT EXISTS (
        SELECT FROM reminder_skips s
        WHERE s.day = %(day)s AND s.patient_id = w.patient_id
          AND s.appointment_day = w.appointment_day AND s.reason <> ALL(%(reasons_of_appointments)s))
),
untold AS (
    SELECT w.id, COALESCE(p.id, w.patient_id), w.appointment_day
    FROM without_reason w
    LEFT JOIN patients named ON named.id = w.patient_id
    {PERSON_JOINS}
    WHERE NOT EXISTS (
        SELECT FROM reminder_skips s
        WHERE s.day = %(day)s AND s.patient_id = ANY(person.ids)
          AND s.appointment_day = w.appointment_day AND s.reason <> ALL(%(reasons_of_appointments)s))
),
due (appointment_id, patient_id, appointment_day, reached, untold) AS (
    SELECT *, false FROM told UNION ALL SELECT *, false, true FROM untold
),
patient_days AS (
    SELECT bool_or(reached) AS reached, bool_or(untold) AS untold FROM due GROUP BY patient_id, appointment_day
)
SELECT (SELECT count(DISTINCT appointment_id) FROM due),
       count(*),
       count(*) FILTER (WHERE reached),
       (SELECT count(DISTINCT appointment_id) FROM due WHERE untold),
       count(*) FILTER (WHERE untold)
FROM patient_days
"""

_NOTIFICATIONS = f"""
SELECT n.id, n.channel, n.status, n.reason, {_REACHED}, n.fallback_of, n.possible_duplicate, n.patient_id,
       (SELECT COALESCE(min(a.start_at AT TIME ZONE %(timezone)s)::date::text, '')
        FROM notification_appointments l
        JOIN appointments a ON a.id = l.appointment_id
        WHERE l.notification_id = n.id)
FROM notifications n
WHERE n.kind = 'reminder' AND n.created_at >= %(since)s AND n.created_at < %(until)s
ORDER BY n.id
"""

_SKIPPED = (
    "SELECT reason, sum(appointments)::int FROM reminder_skips WHERE day = %(day)s GROUP BY reason ORDER BY reason"
)

_SUPPRESSIONS = """
SELECT reason, count(*) FROM suppressions
WHERE created_at >= %(since)s AND created_at < %(until)s
GROUP BY reason
ORDER BY reason
"""

_RECEIPTS = """
SELECT COALESCE(status, 'progress'), count(*) FROM receipts
WHERE received_at >= %(since)s AND received_at < %(until)s
GROUP BY 1
ORDER BY 1
"""

# What is due again by itself needs nobody.
_DEAD_LETTERS = """
SELECT COALESCE(resolution, 'open'), count(*) FROM dead_letters
WHERE created_at >= %(since)s AND created_at < %(until)s AND resolution IS DISTINCT FROM 'due_again'
GROUP BY 1
ORDER BY 1
"""

_QUARANTINED = """
SELECT count(*) FILTER (WHERE rejected), count(*) FILTER (WHERE NOT rejected)
FROM quarantine
WHERE quarantined_at >= %(since)s AND quarantined_at < %(until)s AND resolved_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class ReportedDay:
    """A local day [since, until), its window, and the end of what its plan looks at: appointments before `horizon`."""

    day: date
    timezone: str
    since: datetime
    until: datetime
    opens: datetime
    closes: datetime
    horizon: datetime
    days_before: int


@dataclass(frozen=True, slots=True)
class Due:
    """Appointments and patient-days that were to be told, those that were reached, and those that were forgotten.

    A patient-day is untold when any appointment of it is.
    """

    appointments: int
    patient_days: int
    patient_days_reached: int
    appointments_untold: int
    patient_days_untold: int


@dataclass(frozen=True, slots=True)
class ReminderRow:
    """One reminder of the day; `appointment_day` (ISO 8601) is the day that it tells about.

    `fallback_of` is the one whose place it took.
    """

    id: UUID
    channel: str
    status: str
    reason: str | None
    reached: bool
    fallback_of: UUID | None
    possible_duplicate: bool
    patient_id: str
    appointment_day: str


def due(transaction: Transaction, reported: ReportedDay) -> Due:
    """Due is told by a reminder made that day, or untold: neither told by anything nor skipped for a reason."""
    parameters = asdict(reported) | {"reasons_of_appointments": list(REASONS_OF_APPOINTMENTS)}
    row = transaction.execute(_DUE, parameters).fetchone()
    return Due(*(row or (0, 0, 0, 0, 0)))


def notifications(transaction: Transaction, reported: ReportedDay) -> list[ReminderRow]:
    """Every reminder that was made that day."""
    return [ReminderRow(*row) for row in transaction.execute(_NOTIFICATIONS, asdict(reported))]


def skipped(transaction: Transaction, day: date) -> dict[str, int]:
    """Appointments that the day's latest plan left out, by reason."""
    return dict(transaction.execute(_SKIPPED, {"day": day}).fetchall())


def quarantined(transaction: Transaction, *, since: datetime, until: datetime) -> tuple[int, int]:
    """Open quarantine rows of that time: rows that were rejected, and rows that only lost an address."""
    row = transaction.execute(_QUARANTINED, {"since": since, "until": until}).fetchone()
    return (0, 0) if row is None else (row[0], row[1])


def suppressions(transaction: Transaction, *, since: datetime, until: datetime) -> dict[str, int]:
    """Addresses that were put on the suppression list in that time, by reason."""
    return dict(transaction.execute(_SUPPRESSIONS, {"since": since, "until": until}).fetchall())


def receipts(transaction: Transaction, *, since: datetime, until: datetime) -> dict[str, int]:
    """Receipts that came in that time, by what they say."""
    return dict(transaction.execute(_RECEIPTS, {"since": since, "until": until}).fetchall())


def dead_letters(transaction: Transaction, *, since: datetime, until: datetime) -> dict[str, int]:
    """Dead letters of that time, by what became of them; `open` ones wait for a person."""
    return dict(transaction.execute(_DEAD_LETTERS, {"since": since, "until": until}).fetchall())
