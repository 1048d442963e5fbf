"""What the planning of reminders reads and writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime

from carenotify.domain.schedule import Candidate, Skip
from carenotify.storage.appointments import appointment_from
from carenotify.storage.database import Transaction
from carenotify.storage.outbox import IdRange
from carenotify.storage.patients import PERSON_JOINS
from carenotify.storage.quarantine import IN_QUARANTINE
from carenotify.storage.recipients import RECIPIENT_COLUMNS, candidate_for, open_recipient
from carenotify.storage.sealed import Sealer

# Plans take turns, so that each sees what the one before it wrote; any constant of our own will do.
_PLAN_LOCK = 0x706C616E

# An appointment counts as told while a reminder of it lives and says what is true now; one that was superseded, or ran
# out of time and surely reached nobody, does not. A change that was announced so late that it did a reminder's work
# counts as one. Statuses are named here as in domain.notification.Status.
_TOLD = """
    SELECT FROM notification_appointments l
    JOIN notifications n ON n.id = l.notification_id
    WHERE l.appointment_id = a.id AND l.content_hash = a.content_hash
      AND (n.kind = %(kind)s OR n.created_at >= a.start_at - make_interval(days => %(days_before)s + 1))
      AND n.status NOT IN ('superseded', 'cancelled', 'suppressed')
      AND (n.status <> 'expired' OR n.possible_duplicate)
      -- What surely reached nobody gets its chance on the next day, by whatever address is left: those that are dead
      -- or have bounced are on the suppression list by then. What was replaced is as good as what replaced it.
      AND NOT (
          n.status IN ('failed', 'bounced', 'unsubscribed') AND NOT n.possible_duplicate
          AND (n.status = 'bounced' OR COALESCE(n.reason, '') = ANY(%(passing)s)
               OR EXISTS (SELECT FROM notifications f WHERE f.fallback_of = n.id))
      )
"""
# Reasons for which an attempt on another day may go better.
_PASSING = (
    "retries_spent",
    "provider_down",
    "returned_by_broker",
    "wording",
    "unreadable",
    "carrier",
    "address_rejected",
)

SUPERSEDE = f"""
WITH untold AS (
    SELECT COALESCE(p.id, a.patient_id) AS patient_id, (a.start_at AT TIME ZONE %(timezone)s)::date AS day
    FROM appointments a
    LEFT JOIN patients named ON named.id = a.patient_id
    {PERSON_JOINS}
    WHERE a.start_at >= %(since)s AND a.start_at < %(until)s AND a.status = 'booked' AND NOT EXISTS ({_TOLD})
      AND NOT {IN_QUARANTINE}
),
overtaken AS (
    SELECT DISTINCT n.id
    FROM notifications n
    JOIN notification_appointments l ON l.notification_id = n.id
    LEFT JOIN appointments a ON a.id = l.appointment_id
    WHERE n.kind = %(kind)s AND n.status IN ('pending', 'queued')
      AND (a.content_hash IS DISTINCT FROM l.content_hash OR {IN_QUARANTINE}
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
SELECT a.id, a.patient_id, a.start_at, a.end_at, a.venue, a.location_id, a.status, {IN_QUARANTINE}, {RECIPIENT_COLUMNS}
FROM appointments a
LEFT JOIN patients named ON named.id = a.patient_id
{PERSON_JOINS}
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


@dataclass(frozen=True, slots=True)
class Horizon:
    """Appointments that start in [since, until), reminded `days_before` their day."""

    since: datetime
    until: datetime
    days_before: int


def refresh_statistics(transaction: Transaction) -> None:
    """Let PostgreSQL see how large its tables have become: planned for tables that were empty, a plan takes minutes.

    Autovacuum does the same, but only within a minute or so of a first load.
    """
    transaction.execute("ANALYZE patients, appointments, notifications, notification_appointments")


def take_turns(transaction: Transaction) -> None:
    """Wait until no other plan is being made; until the end of this transaction, none will be."""
    transaction.execute("SELECT pg_advisory_xact_lock(%s)", (_PLAN_LOCK,))


def take_turn_now(transaction: Transaction) -> bool:
    """Whether no plan is being made, and until the end of this transaction none will be; it does not wait."""
    row = transaction.execute("SELECT pg_try_advisory_xact_lock(%s)", (_PLAN_LOCK,)).fetchone()
    return row is not None and bool(row[0])


def supersede_overtaken(transaction: Transaction, horizon: Horizon, *, kind: str, timezone: str, now: datetime) -> int:
    """Stop waiting reminders that say what is no longer true, or that a fuller digest of the same day replaces."""
    parameters = asdict(horizon) | {"kind": kind, "passing": list(_PASSING), "timezone": timezone, "now": now}
    return transaction.execute(SUPERSEDE, parameters).rowcount


def candidates(transaction: Transaction, horizon: Horizon, *, kind: str, sealer: Sealer) -> Iterator[Candidate]:
    """Appointments inside the horizon that no living notification tells as they stand."""
    for row in transaction.execute(CANDIDATES, asdict(horizon) | {"kind": kind, "passing": list(_PASSING)}):
        yield candidate_for(appointment_from(*row[:7]), open_recipient(row[8:], sealer), in_quarantine=row[7])


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
