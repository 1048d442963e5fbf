"""What came of claims, written down by who held them, or settled for a worker that is gone.

Every write of a result is fenced by the claim's token, so that whoever lost a claim cannot undo what the next holder
did. Rows are locked in the order of their ids, so that batches never deadlock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from carenotify.domain.delivery import Outcome
from carenotify.storage.database import Transaction
from carenotify.storage.sealed import Sealer

RECORD = """
WITH outcome AS (
    SELECT * FROM unnest(
        %(ids)s::uuid[], %(tokens)s::uuid[], %(statuses)s::text[], %(reasons)s::text[], %(due_ats)s::timestamptz[],
        %(attempts)s::int[], %(providers)s::text[], %(provider_message_ids)s::text[], %(codes)s::text[],
        %(suppressed)s::bytea[], %(uncertain)s::boolean[], %(sent_to)s::bytea[]
    ) AS o (id, token, status, reason, due_at, attempts, provider, provider_message_id, code, suppressed, uncertain,
            sent_to)
),
held AS MATERIALIZED (
    SELECT n.id FROM notifications n JOIN outcome o ON o.id = n.id ORDER BY n.id FOR UPDATE OF n
),
recorded AS (
    UPDATE notifications n
    SET status = o.status, reason = o.reason, due_at = COALESCE(o.due_at, n.due_at), attempts = o.attempts,
        provider = COALESCE(o.provider, n.provider),
        provider_message_id = COALESCE(o.provider_message_id, n.provider_message_id),
        error_code = o.code, possible_duplicate = n.possible_duplicate OR o.uncertain, claim_token = NULL,
        claimed_until = NULL, publish_until = NULL, sent_to = COALESCE(o.sent_to, n.sent_to),
        finished_at = CASE WHEN o.status <> 'pending' THEN %(now)s::timestamptz END
    FROM outcome o, held h
    WHERE n.id = o.id AND h.id = n.id AND n.status = 'sending' AND n.claim_token = o.token
    RETURNING n.id, n.attempts, n.status, n.reason, o.provider, n.error_code, o.suppressed
),
attempted AS (
    INSERT INTO delivery_attempts (notification_id, attempt, provider, outcome, code, finished_at)
    SELECT id, attempts, provider, COALESCE(reason, status), error_code, %(now)s
    FROM recorded
    WHERE provider IS NOT NULL
),
lettered AS (
    INSERT INTO dead_letters (notification_id, reason, code, attempts, created_at)
    SELECT id, COALESCE(reason, 'failed'), error_code, attempts, %(now)s FROM recorded WHERE status = 'failed'
),
suppressing AS (
    INSERT INTO suppressions (address_index, reason, created_at)
    SELECT DISTINCT suppressed, CASE status WHEN 'unsubscribed' THEN 'opted_out' ELSE 'rejected' END,
           %(now)s::timestamptz
    FROM recorded
    WHERE suppressed IS NOT NULL
    ON CONFLICT DO NOTHING
)
SELECT id FROM recorded
"""

_SETTLE = """
WITH abandoned AS (
    SELECT id, attempts + 1 >= %(attempts_allowed)s AS spent FROM notifications
    WHERE status = 'sending' AND claimed_until <= %(claimed_before)s
    ORDER BY id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
),
settled AS (
    UPDATE notifications n
    SET status = CASE WHEN a.spent THEN 'failed' ELSE 'pending' END,
        reason = CASE WHEN a.spent THEN 'worker_lost' END,
        due_at = %(now)s, attempts = n.attempts + 1, claim_token = NULL, claimed_until = NULL, publish_until = NULL,
        possible_duplicate = true,
        finished_at = CASE WHEN a.spent THEN %(now)s::timestamptz END
    FROM abandoned a
    WHERE n.id = a.id
    RETURNING n.id, n.attempts, n.status
),
attempted AS (
    INSERT INTO delivery_attempts (notification_id, attempt, outcome, finished_at)
    SELECT id, attempts, 'worker_lost', %(now)s FROM settled
),
lettered AS (
    INSERT INTO dead_letters (notification_id, reason, attempts, created_at)
    SELECT id, 'worker_lost', attempts, %(now)s FROM settled WHERE status = 'failed'
)
SELECT count(*) FROM settled
"""


def record(transaction: Transaction, outcomes: Sequence[Outcome], *, now: datetime, sealer: Sealer) -> set[UUID]:
    """Write what came of claimed notifications, with their attempts, dead letters and suppressions, in one statement.

    Returns the ids that were still ours; the others had lost their lease and are left as they stand.
    """
    parameters = {
        "now": now,
        "ids": [outcome.notification_id for outcome in outcomes],
        "tokens": [outcome.claim_token for outcome in outcomes],
        "statuses": [outcome.status.value for outcome in outcomes],
        "reasons": [outcome.reason for outcome in outcomes],
        "due_ats": [outcome.due_at for outcome in outcomes],
        "attempts": [outcome.attempts for outcome in outcomes],
        "providers": [outcome.provider for outcome in outcomes],
        "provider_message_ids": [outcome.provider_message_id for outcome in outcomes],
        "codes": [outcome.code for outcome in outcomes],
        "suppressed": [
            None if outcome.suppress_address is None else sealer.index(outcome.suppress_address) for outcome in outcomes
        ],
        "uncertain": [outcome.uncertain for outcome in outcomes],
        "sent_to": [None if outcome.sent_to is None else sealer.index(outcome.sent_to) for outcome in outcomes],
    }
    return {row[0] for row in transaction.execute(RECORD, parameters)}


def settle(
    transaction: Transaction, *, now: datetime, claimed_before: datetime, attempts_allowed: int, limit: int = 5_000
) -> int:
    """Notifications whose worker is gone are due again (or failed, when that was the last attempt).

    They may have reached the provider, so each is marked as a possible duplicate.
    """
    parameters = {"now": now, "claimed_before": claimed_before, "attempts_allowed": attempts_allowed, "limit": limit}
    row = transaction.execute(_SETTLE, parameters).fetchone()
    return int(row[0]) if row else 0
