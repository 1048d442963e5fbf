"""What became of a believable day's reminders: most arrived, some wait, and a few failed in each way that there is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, repeat

from carenotify.domain.dead_letter import REASONS
from carenotify.storage.database import Transaction


@dataclass(frozen=True, slots=True)
class Fate:
    """How a notification ended, after so many attempts."""

    status: str
    reason: str | None = None
    code: str | None = None
    attempts: int = 1


HOSTILE_CODE = "<b onmouseover='alert(1)'>30007</b>"  # a provider may answer anything

_FATES = {
    "sms": (
        *repeat(Fate("failed", "retries_spent", "503", 6), 9),
        *repeat(Fate("failed", "carrier", "30003"), 4),
        *repeat(Fate("failed", "address_rejected", "21211"), 3),
        Fate("failed", "worker_lost", None, 6),
        Fate("failed", "message_rejected", HOSTILE_CODE),
        Fate("failed", "wording", attempts=0),
        Fate("failed", "unreadable", attempts=0),
        Fate("failed", "contact_unknown", attempts=0),
        Fate("failed", "returned_by_broker", "delivery_limit", 0),
        Fate("unsubscribed", "opted_out", "21610"),
        Fate("suppressed", "no_usable_address", attempts=0),
        Fate("expired", "window_closed", attempts=2),
        Fate("expired", "appointment_past", attempts=0),
        Fate("cancelled", "cancelled_by_request", attempts=0),
        *repeat(Fate("sending", attempts=0), 2),
        *repeat(Fate("queued", attempts=0), 7),
        *repeat(Fate("pending", attempts=0), 11),
        *repeat(Fate("pending", "temporary", "503", 2), 3),
        *repeat(Fate("sent"), 12),
    ),
    "email": (
        *repeat(Fate("bounced", "bounced", "550"), 2),
        Fate("failed", "retries_spent", "421", 6),
        *repeat(Fate("pending", "provider_down", attempts=0), 9),
    ),
}
_REST = {"sms": Fate("delivered"), "email": Fate("sent")}
_PROVIDERS = {"sms": "twilio", "email": "smtp"}

# Those who have one channel only come first, so that what fails is made good by nothing.
_DEALT_TO = """
SELECT id, channel FROM notifications
WHERE kind = 'reminder' AND created_at = %(opens)s
ORDER BY count(*) OVER (PARTITION BY patient_id), patient_id, channel
"""

_DEAL = """
WITH dealt AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(statuses)s::text[], %(reasons)s::text[], %(codes)s::text[],
                         %(attempts)s::int[], %(providers)s::text[], %(ends)s::timestamptz[])
        AS d (id, status, reason, code, attempts, provider, ended)
)
UPDATE notifications n
SET status = d.status, reason = d.reason, error_code = d.code, attempts = d.attempts, queued_at = n.created_at,
    provider = CASE WHEN d.attempts > 0 THEN d.provider END,
    provider_message_id = CASE WHEN d.status IN ('sent', 'delivered', 'bounced') THEN 'SM' || left(n.id::text, 8) END,
    possible_duplicate = d.reason IS NOT DISTINCT FROM 'worker_lost',
    claimed_until = CASE WHEN d.status = 'sending' THEN %(now)s + interval '30 s' END,
    finished_at = CASE WHEN d.status NOT IN ('pending', 'queued', 'sending') THEN d.ended END,
    followed_up_at = CASE WHEN d.status NOT IN ('pending', 'queued', 'sending') THEN %(now)s::timestamptz END
FROM dealt d
WHERE n.id = d.id
"""

_ATTEMPTS = """
INSERT INTO delivery_attempts (notification_id, attempt, provider, outcome, code, finished_at)
SELECT n.id, a.number, n.provider,
       CASE WHEN n.status IN ('sent', 'delivered', 'bounced') THEN 'sent'
            WHEN a.number < n.attempts THEN 'temporary' ELSE COALESCE(n.reason, n.status) END,
       CASE WHEN n.status = 'bounced' THEN NULL ELSE n.error_code END,
       COALESCE(n.finished_at, %(now)s) - (n.attempts - a.number) * interval '8 s'
FROM notifications n, LATERAL generate_series(1, n.attempts) AS a (number)
WHERE n.kind = 'reminder' AND n.created_at = %(opens)s
ORDER BY n.id, a.number
"""

_RECEIPTS = """
INSERT INTO receipts
    (notification_id, provider, provider_message_id, provider_status, status, code, received_at, applied_at)
SELECT id, provider, provider_message_id, status, status, error_code, finished_at, finished_at
FROM notifications
WHERE created_at = %(opens)s AND provider_message_id IS NOT NULL AND status IN ('delivered', 'bounced')
"""

_LETTERS = """
INSERT INTO dead_letters (notification_id, source, queue, reason, code, attempts, created_at)
SELECT id, CASE reason WHEN 'returned_by_broker' THEN 'broker' ELSE 'delivery' END,
       CASE reason WHEN 'returned_by_broker' THEN channel || '.' || lane END, reason, error_code, attempts, finished_at
FROM notifications
WHERE created_at = %(opens)s AND reason = ANY(%(reasons)s) AND finished_at IS NOT NULL
ORDER BY finished_at, id
"""


def play_fates(transaction: Transaction, *, opens: datetime, now: datetime) -> None:
    """Deal out what became of the reminders that were planned when the window opened."""
    moment = {"opens": opens, "now": now}
    dealt = list(_dealt(transaction, moment))
    step = (now - opens) / (len(dealt) + 1)
    columns = {
        "ids": [id_ for id_, _, _ in dealt],
        "statuses": [fate.status for _, _, fate in dealt],
        "reasons": [fate.reason for _, _, fate in dealt],
        "codes": [fate.code for _, _, fate in dealt],
        "attempts": [fate.attempts for _, _, fate in dealt],
        "providers": [_PROVIDERS[channel] for _, channel, _ in dealt],
        "ends": [opens + step * (place + 1) for place in range(len(dealt))],
    }
    transaction.execute(_DEAL, columns | moment)
    transaction.execute(_ATTEMPTS, moment)
    transaction.execute(_RECEIPTS, moment)
    transaction.execute(_LETTERS, moment | {"reasons": list(REASONS)})


def _dealt(transaction: Transaction, moment: dict[str, datetime]) -> Iterator[tuple[object, str, Fate]]:
    hands: defaultdict[str, Iterator[Fate]] = defaultdict(lambda: iter(()))
    hands |= {channel: chain(fates, repeat(_REST[channel])) for channel, fates in _FATES.items()}
    for id_, channel in transaction.execute(_DEALT_TO, moment):
        yield id_, channel, next(hands[channel])
