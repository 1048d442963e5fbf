"""What the broker gave up, kept: as a dead letter for people, or as a row that is due again.

A message that points at a notification which still waits has cost nothing but time: the row becomes due again, and a
trace of it stays among the resolved dead letters, which is how returns are counted.
"""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from carenotify.domain.dead_letter import BrokerReason, Resolution, ReturnedMessage, Source
from carenotify.storage.database import Transaction
from carenotify.storage.sealed import Sealer

# Waiting for its message: queued, or pending with a publisher's lease, whose mark would come too late. (A row that
# awaits its patient's contact uses the same column for another wait, and has no message.)
# Hashes are inserted in their order, so that two workers that drain the same garbage do not wait for each other.
_KEEP = """
WITH message AS MATERIALIZED (
    SELECT * FROM unnest(
        %(hashes)s::bytea[], %(times)s::int[], %(notification_ids)s::uuid[], %(queues)s::text[], %(causes)s::text[],
        %(sealed)s::bytea[]
    ) AS m (hash, times, notification_id, queue, cause, sealed)
),
held AS MATERIALIZED (
    SELECT id, status, reason, publish_until
    FROM notifications
    WHERE id IN (SELECT notification_id FROM message)
    ORDER BY id
    FOR UPDATE
),
-- One that was kept before, and came again because its acknowledgement was lost, says nothing new.
fresh AS (
    SELECT DISTINCT ON (m.notification_id) m.*
    FROM message m
    WHERE NOT EXISTS (SELECT FROM dead_letters d WHERE d.message_hash = m.hash)
    ORDER BY m.notification_id, m.hash
),
waiting AS (
    SELECT h.id, %(allowed)s <= 1 + (
               SELECT count(*) FROM dead_letters d
               WHERE d.notification_id = h.id AND d.resolution = %(due_again)s
                 AND d.id > COALESCE((
                     SELECT max(r.id) FROM dead_letters r
                     WHERE r.notification_id = h.id AND r.resolution = %(replayed)s
                 ), 0)
           ) AS too_often
    FROM held h
    JOIN fresh f ON f.notification_id = h.id
    WHERE h.status = 'queued'
       OR h.status = 'pending' AND h.publish_until IS NOT NULL AND h.reason IS DISTINCT FROM 'awaiting_contact'
),
moved AS (
    UPDATE notifications n
    SET status = CASE WHEN w.too_often THEN 'failed' ELSE 'pending' END,
        reason = CASE WHEN w.too_often THEN %(returned)s ELSE n.reason END,
        finished_at = CASE WHEN w.too_often THEN %(now)s::timestamptz END,
        queued_at = NULL, publish_until = NULL
    FROM waiting w
    WHERE n.id = w.id
    RETURNING n.id, n.attempts, w.too_often
),
letter AS (
    SELECT f.hash, v.id AS notification_id, %(returned)s::text AS reason, f.queue, f.cause, v.attempts,
           NULL::bytea AS sealed, CASE WHEN NOT v.too_often THEN %(due_again)s::text END AS resolution
    FROM moved v
    JOIN fresh f ON f.notification_id = v.id
    UNION ALL
    SELECT m.hash, m.notification_id,
           CASE WHEN m.notification_id IS NULL THEN %(not_an_envelope)s ELSE %(unknown)s END,
           m.queue, m.cause, m.times, m.sealed, NULL
    FROM message m
    WHERE NOT EXISTS (SELECT FROM held h WHERE h.id = m.notification_id)
)
INSERT INTO dead_letters AS d
    (source, reason, code, attempts, created_at, notification_id, queue, message_hash, sealed_message,
     resolved_at, resolution)
SELECT %(broker)s, reason, cause, attempts, %(now)s, notification_id, queue, hash, sealed,
       CASE WHEN resolution IS NOT NULL THEN %(now)s::timestamptz END, resolution
FROM letter
ORDER BY hash
ON CONFLICT (message_hash) DO UPDATE
-- Of what is no notification, `attempts` counts how often it came. What was discarded and comes again is open again.
SET attempts = d.attempts + excluded.attempts, resolved_at = NULL, resolution = NULL, resolved_by = NULL,
    alerted_at = CASE WHEN d.resolved_at IS NULL THEN d.alerted_at END  -- it is told anew
WHERE d.sealed_message IS NOT NULL
RETURNING COALESCE(resolution, reason)
"""

# A worker met it on a lane, and has nothing but its id.
_KEEP_UNKNOWN = """
INSERT INTO dead_letters AS d (source, reason, attempts, created_at, notification_id, message_hash)
SELECT 'broker', %(unknown)s, 1, %(now)s, u.id, u.hash
FROM unnest(%(ids)s::uuid[], %(hashes)s::bytea[]) AS u (id, hash)
WHERE NOT EXISTS (SELECT FROM notifications n WHERE n.id = u.id)
ORDER BY u.hash
ON CONFLICT (message_hash) DO UPDATE
SET attempts = d.attempts + 1, resolved_at = NULL, resolution = NULL, resolved_by = NULL,
    alerted_at = CASE WHEN d.resolved_at IS NULL THEN d.alerted_at END
"""


def keep_returned(
    transaction: Transaction, messages: Sequence[ReturnedMessage], *, now: datetime, sealer: Sealer, allowed: int
) -> Counter[str]:
    """Keep messages that the broker gave up, in one statement; the same again changes nothing but a count.

    Counts by what became of them: `due_again`, or the reason for which a person has to look. A notification whose
    messages came back `allowed` times has failed. What is in no count had served its purpose: its notification is being
    sent, or over.
    """
    times = Counter(message.fingerprint for message in messages)
    messages = list({message.fingerprint: message for message in messages}.values())
    parameters = {
        "now": now,
        "allowed": allowed,
        "hashes": [sealer.fingerprint(message.fingerprint.hex()) for message in messages],
        "times": [times[message.fingerprint] for message in messages],
        "notification_ids": [message.notification_id for message in messages],
        "queues": [message.queue for message in messages],
        "causes": [message.cause for message in messages],
        "sealed": [_seal(message, sealer) for message in messages],
        "returned": BrokerReason.RETURNED_BY_BROKER,
        "not_an_envelope": BrokerReason.NOT_AN_ENVELOPE,
        "unknown": BrokerReason.UNKNOWN_NOTIFICATION,
        "due_again": Resolution.DUE_AGAIN,
        "replayed": Resolution.REPLAYED,
        "broker": Source.BROKER,
    }
    return Counter(row[0] for row in transaction.execute(_KEEP, parameters))


def keep_unknown(transaction: Transaction, ids: Sequence[UUID], *, now: datetime, sealer: Sealer) -> int:
    """Keep those of these ids that no notification has, each as one dead letter; gives how many there are."""
    parameters = {
        "unknown": BrokerReason.UNKNOWN_NOTIFICATION,
        "now": now,
        "ids": list(ids),
        "hashes": [sealer.fingerprint(str(identity)) for identity in ids],
    }
    return transaction.execute(_KEEP_UNKNOWN, parameters).rowcount


def _seal(message: ReturnedMessage, sealer: Sealer) -> bytes:
    return sealer.seal({"size": message.size, "beginning": b64encode(message.beginning).decode()})
