"""The other notifications of a family: those that tell the same patient the same things, and how they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from carenotify.domain.fallback import Relative, family_key
from carenotify.domain.notification import Channel, Status
from carenotify.storage.database import Transaction
from carenotify.storage.families import key_range, tells_as_much
from carenotify.storage.unreached import FollowUp, tried_at


@dataclass(frozen=True, slots=True)
class Kin:
    """Another notification of a family, with the blind indexes of the addresses that it was tried at."""

    id: UUID
    dedup_key: str
    relative: Relative
    tried: frozenset[bytes]


_KIN = f"""
SELECT f.id, k.id, k.dedup_key, k.channel, k.status, k.reason, k.sent_to, k.tried_addresses
FROM unnest(%(ids)s::uuid[], %(families)s::text[]) AS f (id, family)
JOIN notifications k ON {key_range("f.family", "k")} AND k.id <> f.id
WHERE {tells_as_much("k", "f")}
"""


def kin_of(transaction: Transaction, found: Sequence[FollowUp]) -> dict[UUID, list[Kin]]:
    """The other notifications that tell the same patient the same things, or more, by the id of each that was found."""
    parameters = {"ids": [one.id for one in found], "families": [family_key(one.dedup_key) for one in found]}
    families: dict[UUID, list[Kin]] = {}
    for of, identity, key, channel, status, reason, sent_to, tried in transaction.execute(_KIN, parameters):
        relative = Relative(Channel(channel), Status(status), reason)
        families.setdefault(of, []).append(Kin(identity, key, relative, tried_at(tried, sent_to, reason)))
    return families
