"""Claims of workers: a token and a lease on a notification, with everything that is true of it now.

Rows are locked in the order of their ids, so that batches never deadlock. What comes of claims is in `results`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from carenotify.domain.notification import Channel, Lane
from carenotify.domain.patient import Patient
from carenotify.domain.recipient_limit import HOUR, LATER, RecipientLimit
from carenotify.errors import DecryptionError
from carenotify.storage.database import Transaction
from carenotify.storage.patients import PERSON_JOINS, open_patient, suppressed_addresses
from carenotify.storage.quarantine import IN_QUARANTINE
from carenotify.storage.sealed import Sealer


@dataclass(frozen=True, slots=True)
class Claim:
    """A notification that is ours to send until `claimed_until`, with everything that is true of it now.

    `refused_addresses` are suppressed, or this message has failed at them before. `last_provider`, where there is one,
    did not take it.
    """

    notification_id: UUID
    token: UUID
    claimed_until: datetime
    due_at: datetime
    expires_at: datetime
    kind: str
    channel: Channel
    lane: Lane
    attempt: int
    patient: Patient
    refused_addresses: frozenset[str]
    template_version_id: int
    data: Any
    last_provider: str | None = None


CLAIM = f"""
WITH candidate AS MATERIALIZED (
    SELECT n.id
    FROM notifications n
    WHERE n.id = ANY(%(ids)s)
      -- What was published was due by its publisher's clock; ours may be a little behind.
      AND (n.status = 'queued' OR n.status = 'pending' AND (n.publish_until IS NOT NULL OR n.due_at <= %(now)s))
      AND n.reason IS DISTINCT FROM 'awaiting_contact'
    ORDER BY n.id
    FOR UPDATE
),
judged AS MATERIALIZED (
    SELECT n.id, p.sealed_contact, p.language, p.deceased, p.merged_into,
           ARRAY(
               SELECT s.address_index FROM suppressions s WHERE s.address_index = ANY(p.address_indexes)
           ) || n.tried_addresses AS suppressed,
           CASE
               WHEN EXISTS (SELECT FROM pauses x WHERE x.channel IN (n.channel, '*')) THEN 'paused'
               WHEN n.expires_at <= %(now)s THEN 'window_closed'
               WHEN p.id IS NULL THEN 'patient_unknown'
               WHEN EXISTS (SELECT FROM patients r WHERE r.id = ANY(person.ids) AND r.deceased) THEN 'deceased'
               WHEN EXISTS (
                   SELECT FROM preferences q
                   WHERE q.patient_id = ANY(person.ids)
                     AND (n.channel = ANY(q.opted_out_channels) OR q.opted_out_kinds && ARRAY[n.kind, '*'])
               ) THEN 'opted_out'
               WHEN EXISTS (
                   SELECT FROM notification_appointments l
                   LEFT JOIN appointments a ON a.id = l.appointment_id
                   WHERE l.notification_id = n.id AND a.content_hash IS DISTINCT FROM l.content_hash
                   OFFSET 0  -- each row for itself: else some plans hash every appointment that there is, each time
               ) THEN 'appointment_changed'
               WHEN (
                   SELECT max(a.start_at) <= %(now)s
                   FROM notification_appointments l
                   JOIN appointments a ON a.id = l.appointment_id
                   WHERE l.notification_id = n.id
               ) THEN 'appointment_past'
               -- An event's own message tells what is newer than the row that could not be read.
               WHEN n.kind = 'reminder' AND (
                   SELECT bool_or({IN_QUARANTINE})
                   FROM notification_appointments l
                   JOIN appointments a ON a.id = l.appointment_id
                   WHERE l.notification_id = n.id
               ) THEN 'in_quarantine'
               -- What went to this person within the hour, and what is before this message in the order of the ids:
               -- so that any number of workers, each with some of a burst, let through the same messages of it.
               WHEN %(per_hour)s::int IS NOT NULL AND n.kind <> ALL(%(spared_kinds)s) AND (
                   SELECT count(*) FROM (
                       SELECT FROM notifications s
                       WHERE s.patient_id = ANY(person.ids)
                         -- So far the index is read; what was planned long ahead is counted with its like.
                         AND s.created_at > n.created_at - interval '1 day'
                         AND (
                             s.status = 'sending'
                             OR s.status IN ('sent', 'delivered', 'bounced') AND s.finished_at > %(hour_ago)s
                             OR s.status IN ('pending', 'queued') AND s.id < n.id AND s.due_at <= %(now)s
                                AND s.expires_at > %(now)s AND s.reason IS DISTINCT FROM 'awaiting_contact'
                         )
                       LIMIT %(per_hour)s
                   ) lately
               ) = %(per_hour)s THEN 'rate_limited'
           END AS refusal
    FROM candidate c
    JOIN notifications n ON n.id = c.id
    LEFT JOIN patients named ON named.id = n.patient_id
    {PERSON_JOINS}
)
UPDATE notifications n
SET status = CASE
        WHEN j.refusal IS NULL THEN 'sending'
        WHEN j.refusal IN ('paused', 'rate_limited') THEN 'pending'
        WHEN j.refusal IN ('window_closed', 'appointment_past') THEN 'expired'
        WHEN j.refusal IN ('appointment_changed', 'in_quarantine') THEN 'superseded'
        ELSE 'suppressed'
    END,
    reason = NULLIF(j.refusal, 'paused'),
    due_at = CASE WHEN j.refusal = 'rate_limited' THEN %(later)s::timestamptz ELSE n.due_at END,
    claim_token = CASE WHEN j.refusal IS NULL THEN %(token)s::uuid END,
    claimed_until = CASE WHEN j.refusal IS NULL THEN %(claimed_until)s::timestamptz END,
    finished_at = CASE WHEN j.refusal NOT IN ('paused', 'rate_limited') THEN %(now)s::timestamptz END,
    publish_until = NULL,
    followed_up_at = NULL  -- what was decided while it waited is decided anew when it fails
FROM judged j
WHERE n.id = j.id
RETURNING j.refusal, n.id, n.expires_at, n.kind, n.channel, n.lane, n.attempts, n.template_version_id, n.sealed_data,
          n.provider, n.patient_id, j.sealed_contact, j.language, j.deceased, j.merged_into, j.suppressed, n.due_at
"""


def claim(
    transaction: Transaction,
    ids: Sequence[UUID],
    *,
    token: UUID,
    now: datetime,
    claimed_until: datetime,
    limit: RecipientLimit,
    sealer: Sealer,
) -> tuple[list[Claim], Counter[str], list[tuple[UUID, int]]]:
    """Claim what may be sent of these ids now.

    Returns the claims; by reason, how many were refused for good (or put back, when paused or limited); and the id and
    attempts of what was claimed but cannot be opened. Other ids are somebody else's, done, or not due yet.
    """
    parameters = {
        "ids": list(ids),
        "token": token,
        "now": now,
        "claimed_until": claimed_until,
        "spared_kinds": list(limit.spared_kinds),
        "per_hour": limit.messages,
        "hour_ago": now - HOUR,
        "later": now + LATER,
    }
    rows = transaction.execute(CLAIM, parameters).fetchall()
    refused = Counter(row[0] for row in rows if row[0] is not None)
    claims, unreadable = [], []
    for row in rows:
        if row[0] is None:
            try:
                claims.append(_claim(row, token=token, claimed_until=claimed_until, sealer=sealer))
            except DecryptionError:
                unreadable.append((row[1], row[6]))
    return claims, refused, unreadable


def _claim(row: tuple[Any, ...], *, token: UUID, claimed_until: datetime, sealer: Sealer) -> Claim:
    (_, notification_id, expires_at, kind, channel, lane, attempts, template_version_id, sealed_data, *rest) = row
    last_provider, patient_id, sealed_contact, language, deceased, merged_into, suppressed, due_at = rest
    patient = open_patient(
        patient_id=patient_id,
        sealed_contact=sealed_contact,
        language=language,
        deceased=deceased,
        merged_into=merged_into,
        sealer=sealer,
    )
    return Claim(
        notification_id=notification_id,
        token=token,
        claimed_until=claimed_until,
        due_at=due_at,
        expires_at=expires_at,
        kind=kind,
        channel=Channel(channel),
        lane=Lane(lane),
        attempt=attempts + 1,
        patient=patient,
        refused_addresses=suppressed_addresses(patient, suppressed, sealer),
        template_version_id=template_version_id,
        data=sealer.open(sealed_data),
        last_provider=last_provider,
    )
