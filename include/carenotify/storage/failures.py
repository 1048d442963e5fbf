"""Failures that staff have not been told of: each is told once, grouped, in the statement that notes that it is."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from carenotify.storage.database import Transaction
from carenotify.storage.families import family_of, key_range, tells_as_much

# Lookers take turns, so that one group of failures is one alert; any constant of our own will do.
_LOOK_LOCK = 0x6C6F6F6B

# What is marked is named by an array: of a join, with statistics of a quieter day, the planner would go through the
# failures once for each row of the table, which takes minutes instead of a second.

# A failure that a fallback may still mend is told with what became of it; but not later than a minute after, when
# nobody has decided by then. A receipt says that a message failed long after it was sent.
_TELL = f"""
WITH failure AS MATERIALIZED (
    SELECT n.id, n.channel, n.status, n.reason, n.error_code, n.patient_id, n.dedup_key, n.finished_at
    FROM notifications n
    WHERE n.status IN ('failed', 'bounced', 'suppressed', 'unsubscribed', 'expired')
      AND n.alerted_for IS DISTINCT FROM n.finished_at
      AND (n.followed_up_at >= n.finished_at
           OR n.finished_at <= %(undecided_since)s
              AND NOT EXISTS (
                  SELECT FROM receipts r WHERE r.notification_id = n.id AND r.applied_at > %(undecided_since)s))
    ORDER BY n.id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
),
judged AS (
    SELECT f.*, CASE
               WHEN f.status IN ('suppressed', 'unsubscribed') THEN 'as_asked'
               WHEN kin.reached THEN 'otherwise'
               WHEN kin.reached IS NOT NULL THEN 'under_way'
               ELSE 'nobody'
           END AS told
    FROM failure f
    CROSS JOIN LATERAL (SELECT {family_of("f")} AS family OFFSET 0) named
    LEFT JOIN LATERAL (
        SELECT bool_or(k.status NOT IN ('pending', 'queued', 'sending')) AS reached
        FROM notifications k
        WHERE {key_range("named.family", "k")}
          AND (k.status IN ('pending', 'queued', 'sending', 'sent', 'delivered')
               OR k.status = 'unsubscribed' AND k.reason = 'complaint')
          AND {tells_as_much("k", "f")}
    ) kin ON f.status NOT IN ('suppressed', 'unsubscribed')
),
marked AS (
    UPDATE notifications SET alerted_for = finished_at WHERE id = ANY(ARRAY(SELECT id FROM failure))
),
grouped AS (
    SELECT channel, status, reason, error_code, told, count(*)::int AS count,
           count(DISTINCT patient_id) AS patients, (array_agg(id ORDER BY id))[1:5] AS samples,
           min(finished_at) AS first, max(finished_at) AS last
    FROM judged
    GROUP BY channel, status, reason, error_code, told
)
INSERT INTO alerts (kind, subject, channel, count, details, raised_at)
SELECT 'delivery_failed', concat_ws(' ', channel, status, reason, error_code), channel, count,
       jsonb_build_object(
           'status', status, 'reason', reason, 'code', error_code, 'told', told, 'patients', patients,
           'samples', to_jsonb(samples), 'first', first, 'last', last),
       %(now)s
FROM grouped
ORDER BY channel, status, reason, error_code, told
RETURNING count
"""

# What is due again by itself is nothing for people, and one whose notification failed is told of with that.
_TELL_BROKER = """
WITH letter AS MATERIALIZED (
    SELECT id FROM dead_letters WHERE alerted_at IS NULL ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
),
marked AS (
    UPDATE dead_letters SET alerted_at = %(now)s WHERE id = ANY(ARRAY(SELECT id FROM letter))
    RETURNING id, source, reason, code, queue, resolution, notification_id, created_at
),
grouped AS (
    SELECT m.reason, m.code, m.queue, count(*)::int AS count, (array_agg(m.id ORDER BY m.id))[1:5] AS samples,
           min(m.created_at) AS first, max(m.created_at) AS last
    FROM marked m
    WHERE m.source = 'broker' AND m.resolution IS DISTINCT FROM 'due_again'
      AND NOT EXISTS (
          SELECT FROM notifications n
          WHERE n.id = m.notification_id
            AND n.status IN ('failed', 'bounced', 'suppressed', 'unsubscribed', 'expired'))
    GROUP BY m.reason, m.code, m.queue
),
told AS (
    INSERT INTO alerts (kind, subject, count, details, raised_at)
    SELECT 'broker_gave_up', concat_ws(' ', queue, reason, code), count,
           jsonb_build_object('reason', reason, 'code', code, 'queue', queue, 'samples', to_jsonb(samples),
                              'first', first, 'last', last),
           %(now)s
    FROM grouped
    ORDER BY queue, reason, code
    RETURNING count
)
SELECT (SELECT count(*) FROM marked), (SELECT COALESCE(sum(count), 0) FROM told)
"""


def take_turn(transaction: Transaction) -> None:
    """Wait until no other looker is at work; the turn ends with the transaction."""
    transaction.execute("SELECT pg_advisory_xact_lock(%s)", (_LOOK_LOCK,))


def tell_failed(transaction: Transaction, *, now: datetime, undecided_since: datetime, limit: int) -> int:
    """Raise the groups of what came to its end without reaching its patient; returns how many notifications.

    Those of which nobody has decided yet what follows are left out unless they ended before `undecided_since`.
    """
    parameters = {"now": now, "undecided_since": undecided_since, "limit": limit}
    return sum(row[0] for row in transaction.execute(_TELL, parameters))


def tell_given_up(transaction: Transaction, *, now: datetime, limit: int) -> Counter[str]:
    """Raise the groups of what the broker gave up; `told` of those `looked_at`, our own delivery's included."""
    row = transaction.execute(_TELL_BROKER, {"now": now, "limit": limit}).fetchone()
    return Counter(looked_at=row[0], told=int(row[1])) if row else Counter()
