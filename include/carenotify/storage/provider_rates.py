"""The bucket of each provider that has a rate, shared by all workers, and filled by the database's clock.

The clock is PostgreSQL's and not the injected one: a worker whose own clock is ahead would otherwise find tokens that
nobody else has. A grant is one short transaction of its own, so that whoever is slow to claim holds up no other
worker.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from carenotify.domain.token_bucket import BULK_COST, URGENT_COST, Rate
from carenotify.errors import StorageError
from carenotify.storage.database import Transaction


@dataclass(frozen=True, slots=True)
class Grant:
    """How many messages may go now, what is left in the bucket, and for how long nothing comes into it."""

    urgent: int
    bulk: int
    tokens: float
    blocked_seconds: float


# Urgent messages come first and may take all; bulk takes what is above the reserve. Tokens that are given back are in
# the bucket before anybody takes: they never make it hold more than its capacity, so they are no burst on top.
GRANT = """
WITH held AS MATERIALIZED (
    SELECT provider, tokens, refilled_at, clock_timestamp() AS now
    FROM provider_rates
    WHERE provider = %(provider)s
    FOR UPDATE
),
filled AS MATERIALIZED (
    SELECT provider, GREATEST(refilled_at, now) AS refilled_at,
           GREATEST(0, EXTRACT(epoch FROM refilled_at - now)::float8) AS blocked_seconds,
           LEAST(
               %(capacity)s::float8,
               tokens + %(returned)s + %(per_second)s * GREATEST(0, EXTRACT(epoch FROM now - refilled_at)::float8)
           ) AS tokens
    FROM held
),
urgent AS MATERIALIZED (
    SELECT *, GREATEST(0, LEAST(%(urgent)s, floor(tokens / %(urgent_cost)s))) AS urgent FROM filled
),
granted AS MATERIALIZED (
    SELECT *, tokens - urgent * %(urgent_cost)s AS left_for_bulk,
           GREATEST(0, LEAST(
               %(bulk)s, floor((tokens - urgent * %(urgent_cost)s - %(reserve)s) / %(bulk_cost)s)
           )) AS bulk
    FROM urgent
)
UPDATE provider_rates r
SET tokens = g.left_for_bulk - g.bulk * %(bulk_cost)s, refilled_at = g.refilled_at
FROM granted g
WHERE r.provider = g.provider
RETURNING g.urgent::int, g.bulk::int, r.tokens, g.blocked_seconds
"""

# A new bucket is full.
_OPEN = """
INSERT INTO provider_rates (provider, tokens, refilled_at)
VALUES (%(provider)s, %(capacity)s, clock_timestamp())
ON CONFLICT DO NOTHING
"""

_BLOCK = """
UPDATE provider_rates
SET tokens = LEAST(tokens, 0), refilled_at = GREATEST(refilled_at, clock_timestamp() + %(pause)s)
WHERE provider = %(provider)s
"""


def grant(
    transaction: Transaction, provider: str, rate: Rate, *, urgent: int, bulk: int, returned: float = 0.0
) -> Grant:
    """Take tokens for so many messages of each sort, as far as there are any.

    `returned` tokens were taken before and not used; below zero, they were used and not taken.
    """
    # What a crash of the database forgets is a moment's tokens; it is not worth a wait for the disk.
    transaction.execute("SET LOCAL synchronous_commit TO off")
    parameters = {
        "provider": provider,
        "per_second": rate.per_second,
        "capacity": rate.capacity,
        "reserve": rate.reserve,
        "urgent_cost": URGENT_COST,
        "bulk_cost": BULK_COST,
        "urgent": urgent,
        "bulk": bulk,
        "returned": returned,
    }
    row = transaction.execute(GRANT, parameters).fetchone()
    if row is None:
        transaction.execute(_OPEN, parameters)
        row = transaction.execute(GRANT, parameters).fetchone()
    if row is None:
        raise StorageError(f"the bucket of {provider} was taken away while it was used")
    return Grant(*row)


def block(transaction: Transaction, provider: str, *, pause: timedelta) -> None:
    """Empty a bucket, and let nothing into it for a while. A provider without a bucket is left alone."""
    transaction.execute(_BLOCK, {"provider": provider, "pause": pause})
