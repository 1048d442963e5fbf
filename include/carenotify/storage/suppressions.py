"""Addresses that nothing is sent to any more, by blind index: one entry stands for all who share the address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from carenotify.domain.receipt import Receipt, SuppressionReason
from carenotify.storage.database import Transaction
from carenotify.storage.sealed import Sealer

_ADD = """
INSERT INTO suppressions (address_index, reason, created_at)
SELECT DISTINCT i.*, %(now)s::timestamptz
FROM unnest(%(address_indexes)s::bytea[], %(reasons)s::text[]) AS i (address_index, reason)
ORDER BY 1, 2
ON CONFLICT DO NOTHING
"""

# The address that a notification's last attempt went to, when that attempt is the one that was spoken of.
_ADD_SENT_TO = """
INSERT INTO suppressions (address_index, reason, created_at)
SELECT DISTINCT n.sent_to, i.reason, %(now)s::timestamptz
FROM unnest(%(ids)s::uuid[], %(provider_message_ids)s::text[], %(reasons)s::text[])
    AS i (id, provider_message_id, reason)
JOIN notifications n ON n.id = i.id
WHERE n.sent_to IS NOT NULL AND COALESCE(n.provider_message_id = i.provider_message_id, true)
ORDER BY 1, 2
ON CONFLICT DO NOTHING
"""

_LIFT = "DELETE FROM suppressions WHERE address_index = %(address_index)s AND reason = %(reason)s"

_AGAINST = """
SELECT address_index, reason, created_at FROM suppressions
WHERE address_index = ANY(%(address_indexes)s)
ORDER BY created_at, reason
"""

_LIFT_EACH = """
DELETE FROM suppressions WHERE address_index = ANY(%(address_indexes)s) AND reason = ANY(%(reasons)s)
RETURNING reason
"""


def add(
    transaction: Transaction, entries: Sequence[tuple[str, SuppressionReason]], *, sealer: Sealer, now: datetime
) -> None:
    """Send nothing more to these addresses, whoever has them. An entry that is there stays as it is."""
    if entries:
        parameters = {
            "now": now,
            "address_indexes": [sealer.index(address) for address, _ in entries],
            "reasons": [reason for _, reason in entries],
        }
        transaction.execute(_ADD, parameters)


def add_sent_to(transaction: Transaction, receipts: Sequence[Receipt], *, now: datetime) -> None:
    """Suppress the address that each receipt's message went to, as our own row has it, where it is bad for good."""
    telling = [receipt for receipt in receipts if receipt.meaning.suppression is not None]
    if telling:
        parameters = {
            "now": now,
            "ids": [receipt.notification_id for receipt in telling],
            "provider_message_ids": [receipt.provider_message_id for receipt in telling],
            "reasons": [receipt.meaning.suppression for receipt in telling],
        }
        transaction.execute(_ADD_SENT_TO, parameters)


@dataclass(frozen=True, slots=True)
class Suppression:
    """One reason against one address, and since when; `repr` does not show the address."""

    address: str = field(repr=False)
    reason: SuppressionReason
    since: datetime


def against(transaction: Transaction, addresses: Collection[str], *, sealer: Sealer) -> list[Suppression]:
    """What stands against these addresses, oldest first."""
    known = {sealer.index(address): address for address in addresses}
    rows = transaction.execute(_AGAINST, {"address_indexes": list(known)})
    return [Suppression(known[bytes(index)], SuppressionReason(reason), since) for index, reason, since in rows]


def lift_each(
    transaction: Transaction, addresses: Collection[str], reasons: Collection[SuppressionReason], *, sealer: Sealer
) -> Counter[SuppressionReason]:
    """Take these reasons against these addresses away; others stay. Says how many of each were lifted."""
    parameters = {"address_indexes": [sealer.index(address) for address in addresses], "reasons": list(reasons)}
    return Counter(SuppressionReason(row[0]) for row in transaction.execute(_LIFT_EACH, parameters))


def lift(transaction: Transaction, address: str, reason: SuppressionReason, *, sealer: Sealer) -> None:
    """Take one reason against an address away; others stay."""
    transaction.execute(_LIFT, {"address_index": sealer.index(address), "reason": reason})
