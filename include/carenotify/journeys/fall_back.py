"""The sweep that follows up what did not reach its patient, by their next address or another channel."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from carenotify.config import Settings
from carenotify.domain.breaker import BreakerState
from carenotify.domain.clock import Clock
from carenotify.domain.fallback import NO_RECEIPT, TOLD_OTHERWISE
from carenotify.domain.kinds import KINDS
from carenotify.domain.notification import LIVING, Channel, Status
from carenotify.journeys.choose_fallback import FallbackChooser
from carenotify.storage import fallbacks, provider_states, reminders, unreached
from carenotify.storage.database import Database, Transaction
from carenotify.storage.fallbacks import NewFallback
from carenotify.storage.kin import Kin, kin_of
from carenotify.storage.patients import refuse_wrong_keys
from carenotify.storage.unreached import FollowUp, Patience, Silence

log = logging.getLogger(__name__)

_AT_ONCE = 500
# How long a change may wait for a provider that does not take it: its patient may be on the way already.
_URGENT_WAIT = timedelta(minutes=5)
# In which a provider that was asked for a receipt has answered, and the answer is recorded.
_ANSWER_WITHIN = timedelta(minutes=1)
# After which what goes on waiting is looked at again.
_LOOK_AGAIN = timedelta(seconds=30)

# Nobody has to look at what ended so: told by another message, or nobody is there to be told. Who complained was told.
_ANSWERED = frozenset({TOLD_OTHERWISE, "followed_before", "appointment_changed", "deceased", "complaint"})
_REFUSED = frozenset({Status.FAILED, Status.BOUNCED})

_Find = Callable[[Transaction], list[FollowUp]]


@dataclass(frozen=True, slots=True)
class FollowedUp:
    """What one sweep came to: how many took another's place, by channel, and why nothing followed, by reason."""

    followed: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: FollowedUp) -> FollowedUp:
        return FollowedUp(self.followed + other.followed, self.left + other.left)

    @property
    def looked_at(self) -> int:
        """How many were decided about."""
        return self.followed.total() + self.left.total()


@dataclass(slots=True)
class FallbackSweeper:
    """Any number of workers may sweep; one does at a time, and what has come to its end is decided about once."""

    database: Database
    settings: Settings
    provider_names: Mapping[Channel, Sequence[str]]
    clock: Clock
    _began: datetime = field(init=False)

    def sweep(self) -> FollowedUp:
        """Follow up what failed or bounced, by setting what got no receipt, and what waits for providers that are down.

        Raises DatabaseUnavailableError; DecryptionError with keys that open nobody's record, and nothing is
        decided about them.
        """
        self._began = self.clock()
        done = sum((self._follow_up(find) for find in self._finders()), start=FollowedUp())
        if done.looked_at:
            log.info("fallbacks by channel: %s; nothing follows: %s", dict(done.followed), dict(done.left))
        return done

    # --- what there is to look at ------------------------------------------------------------

    def _finders(self) -> Iterator[_Find]:
        yield self._failed
        if self.settings.fallback_without_receipt_minutes:
            yield self._silent
        yield self._waiting
        yield self._held_back

    def _failed(self, transaction: Transaction) -> list[FollowUp]:
        return unreached.failed(transaction, now=self.clock(), limit=_AT_ONCE)

    def _silent(self, transaction: Transaction) -> list[FollowUp]:
        now = self.clock()
        silence = Silence(
            sent_after=now - timedelta(days=self.settings.receipt_days),
            sent_before=now - timedelta(minutes=self.settings.fallback_without_receipt_minutes),
            asked_before=now - _ANSWER_WITHIN,
        )
        return unreached.silent(transaction, silence, now=now, limit=_AT_ONCE)

    def _waiting(self, transaction: Transaction) -> list[FollowUp]:
        down, now = self._down(transaction), self.clock()
        if not down:
            return []
        return unreached.waiting(transaction, self._patience(now), channels=down, now=now, limit=_AT_ONCE)

    def _held_back(self, transaction: Transaction) -> list[FollowUp]:
        now = self.clock()
        return unreached.held_back(transaction, self._patience(now), now=now, limit=_AT_ONCE)

    def _patience(self, now: datetime) -> Patience:
        return Patience(
            closing_by=now + timedelta(minutes=self.settings.fallback_before_close_minutes),
            urgent_kinds=[kind.name for kind in KINDS.values() if kind.urgent],
            waiting_since=now - _URGENT_WAIT,
            looked_at_before=self._began - _LOOK_AGAIN,
        )

    def _down(self, transaction: Transaction) -> frozenset[Channel]:
        """Channels of which every provider is open."""
        breakers = provider_states.read(transaction)
        opened = {name for name, breaker in breakers.items() if breaker.state is BreakerState.OPEN}
        return frozenset(channel for channel, names in self.provider_names.items() if opened >= set(names))

    # --- deciding ----------------------------------------------------------------------------

    def _follow_up(self, find: _Find) -> FollowedUp:
        """Batch after batch, each in a transaction of its own, until one is not full."""
        total = FollowedUp()
        while True:
            with self.database.transaction() as transaction:
                if not reminders.take_turn_now(transaction):
                    return total
                batch = self._decide_about(transaction, find(transaction))
            total += batch
            if batch.looked_at < _AT_ONCE:
                return total

    def _decide_about(self, transaction: Transaction, found: Sequence[FollowUp]) -> FollowedUp:
        if not found:
            return FollowedUp()
        now = self.clock()
        chooser = FallbackChooser(
            transaction, self.database.sealer, self.settings, now=now, down=self._down(transaction)
        )
        kin = kin_of(transaction, found)
        choices = [chooser.choose(one, kin.get(one.id, ())) for one in found]
        if "unreadable" in choices and not chooser.opened:
            refuse_wrong_keys(transaction, self.database.sealer)
        rows = [choice for choice in choices if isinstance(choice, NewFallback)]
        inserted = fallbacks.insert(transaction, rows, now=now)
        fallbacks.settle(transaction, [one.id for one in found], replaced=inserted, now=now)
        told = [one.id for one, choice in zip(found, choices, strict=True) if choice == TOLD_OTHERWISE]
        fallbacks.answer_dead_letters(transaction, told, now=now)
        over = [
            one
            for one, choice in zip(found, choices, strict=True)
            if isinstance(choice, str) and choice not in _ANSWERED
        ]
        fallbacks.leave_for_people(transaction, _ended_chains(over, kin, followed=inserted), now=now)
        followed = Counter(row.channel.value for row in rows if row.original in inserted)
        left = Counter(choice for choice in choices if isinstance(choice, str))
        left["followed_before"] += len(rows) - len(inserted)
        return FollowedUp(followed, +left)


def _ended_chains(
    over: Sequence[FollowUp], kin: Mapping[UUID, Sequence[Kin]], *, followed: Collection[UUID]
) -> dict[UUID, list[UUID]]:
    """Of what nothing follows, the last ones of families of which one failed and none lives, each with its family.

    Their dead letters were closed when something followed, which has not reached anybody either.
    """
    chains: dict[UUID, list[UUID]] = {}
    for one in over:
        relatives = kin.get(one.id, ())
        members = [other.id for other in relatives]
        statuses = {other.relative.status for other in relatives}
        open_ended = one.waiting or one.reason == NO_RECEIPT or one.reason in _ANSWERED
        if open_ended or not statuses & _REFUSED or statuses & LIVING:
            continue
        if not {*members} & {*chains, *followed}:
            chains[one.id] = members
    return chains
