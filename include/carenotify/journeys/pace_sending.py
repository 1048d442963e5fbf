"""Ask leave to send: so many messages a second for each provider, shared by all workers, urgent ones first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from carenotify.domain.clock import Clock
from carenotify.domain.delivery import Outcome
from carenotify.domain.notification import Lane
from carenotify.domain.token_bucket import Rate, cost
from carenotify.errors import StorageError
from carenotify.storage import provider_rates
from carenotify.storage.database import Database
from carenotify.storage.provider_rates import Grant

# A provider that asks for a longer pause is asked again after this one; the message that it refused waits as told.
_LONGEST_BLOCK = timedelta(minutes=1)
# A worker holds no more messages than go out in that time: what waits unacknowledged for long looks lost.
_PREFETCH_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Leave:
    """How many messages may be claimed now, to go out through `provider`.

    Those of a sort that were not all given leave need not ask again for so many seconds.
    """

    provider: str | None
    urgent: int
    bulk: int
    urgent_wait_seconds: float = 0.0
    bulk_wait_seconds: float = 0.0


class Pace:
    """The pace of a channel whose providers have no rates: leave for everything, at once."""

    def lease(self, *, urgent: int, bulk: int) -> Leave:
        """Leave for up to so many messages of each sort. Raises StorageError."""
        return Leave(None, urgent, bulk)

    def unused(self, leave: Leave, lanes: Iterable[Lane]) -> None:
        """Messages of these lanes had leave and are not sent."""

    def came_of(self, leave: Leave, lane: Lane, outcome: Outcome) -> None:
        """What came of a message that had leave: it may have gone through another provider, or through none."""

    def obey(self, outcomes: Iterable[Outcome]) -> None:
        """A provider that says "slow down" is given nothing for as long as it asks. Raises StorageError."""

    def prefetch(self, most: int) -> int:
        """How many messages of a queue a worker may hold."""
        return most


UNPACED = Pace()


class SharedPace(Pace):
    """The pace of one channel in one process, told by buckets that all processes share.

    `rates` are of the channel's providers, in their order, None for one without a limit: its leave costs nothing.
    `provider` names the one that would be used now, None when none can be.
    """

    def __init__(
        self, database: Database, rates: Mapping[str, Rate | None], *, provider: Callable[[], str | None], clock: Clock
    ) -> None:
        self._database = database
        self._rates = rates
        self._provider = provider
        self._clock = clock
        self._guard = threading.Lock()
        # Tokens that were taken and not used; below zero, used and not taken. Settled with the next lease.
        self._unsettled: dict[str, float] = {}

    def lease(self, *, urgent: int, bulk: int) -> Leave:
        """As far as the bucket of the provider that would be used now has tokens."""
        provider = self._provider()
        rate = self._rate(provider)
        if provider is None or rate is None:
            return Leave(provider, urgent, bulk)
        grant = self._grant(provider, rate, urgent=urgent, bulk=bulk)
        return _leave(provider, rate, grant, urgent=urgent, bulk=bulk)

    def _rate(self, provider: str | None) -> Rate | None:
        return None if provider is None else self._rates.get(provider)

    def _grant(self, provider: str, rate: Rate, *, urgent: int, bulk: int) -> Grant:
        with self._guard:
            returned = self._unsettled.pop(provider, 0.0)
        try:
            with self._database.transaction() as transaction:
                return provider_rates.grant(transaction, provider, rate, urgent=urgent, bulk=bulk, returned=returned)
        except StorageError:
            self._settle(provider, returned)
            raise

    def unused(self, leave: Leave, lanes: Iterable[Lane]) -> None:
        """Their tokens go back with the next lease."""
        self._settle(leave.provider, sum(map(cost, lanes)))

    def came_of(self, leave: Leave, lane: Lane, outcome: Outcome) -> None:
        """Whoever was really given the message pays for it."""
        if outcome.provider != leave.provider:
            self._settle(leave.provider, cost(lane))
            self._settle(outcome.provider, -cost(lane))

    def _settle(self, provider: str | None, tokens: float) -> None:
        rate = self._rate(provider)
        if provider is None or rate is None or tokens == 0:
            return
        with self._guard:
            # An old debt is paid by the time that has passed.
            self._unsettled[provider] = max(self._unsettled.get(provider, 0.0) + tokens, -rate.capacity)

    def obey(self, outcomes: Iterable[Outcome]) -> None:
        """Its bucket is emptied for so long, for all workers."""
        now = self._clock()
        pauses: dict[str, timedelta] = {}
        for outcome in outcomes:
            if outcome.provider and outcome.due_at and outcome.reason == "throttled" and self._rate(outcome.provider):
                pause = min(outcome.due_at - now, _LONGEST_BLOCK)
                pauses[outcome.provider] = max(pause, pauses.get(outcome.provider, pause))
        if pauses:
            with self._database.transaction() as transaction:
                for provider in sorted(pauses):
                    provider_rates.block(transaction, provider, pause=pauses[provider])

    def prefetch(self, most: int) -> int:
        """No more than the first provider takes in a few seconds: nearly everything goes through it.

        By the fastest, a second one without a limit would let all pile up before the first; by the slowest, a slow one
        in reserve would hold the first back.
        """
        first = next(iter(self._rates.values()), None)
        return most if first is None else int(min(most, max(2, first.per_second * _PREFETCH_SECONDS)))


def _leave(provider: str, rate: Rate, grant: Grant, *, urgent: int, bulk: int) -> Leave:
    urgent_left, bulk_left = urgent - grant.urgent, bulk - grant.bulk
    return Leave(
        provider,
        grant.urgent,
        grant.bulk,
        grant.blocked_seconds + rate.urgent_wait(grant.tokens, urgent_left) if urgent_left else 0.0,
        grant.blocked_seconds + rate.bulk_wait(grant.tokens, bulk_left) if bulk_left else 0.0,
    )
