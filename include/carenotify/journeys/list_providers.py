"""How each provider stands, for whoever looks after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from carenotify.domain.breaker import Breaker, BreakerState
from carenotify.domain.notification import Channel
from carenotify.storage import provider_states
from carenotify.storage.database import Database


@dataclass(frozen=True, slots=True)
class Standing:
    """One provider, in the order in which its channel uses them.

    `since` is when it last opened, was tried out or closed again, None when it never opened; `retry_at` is when an open
    one is tried out; `last_code` is the provider's own word for its last failure.
    """

    channel: Channel
    provider: str
    state: BreakerState
    since: datetime | None
    retry_at: datetime | None
    last_code: str | None


def list_providers(database: Database, names: Mapping[Channel, Sequence[str]]) -> list[Standing]:
    """Every provider of these names; one that never failed is closed. Raises StorageError."""
    with database.transaction() as transaction:
        known = provider_states.read(transaction)
    return [standing(channel, name, known.get(name, Breaker())) for channel, of in names.items() for name in of]


def standing(channel: Channel, name: str, breaker: Breaker) -> Standing:
    """How one provider stands."""
    opened_before = not breaker.closed or breaker.successes > 0
    since = breaker.changed_at if opened_before else None
    return Standing(channel, name, breaker.state, since, breaker.retry_at, breaker.last_code)
