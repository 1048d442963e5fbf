"""Which provider a notification goes to now: the first of its channel that is well, slowly again after it was not.

What is known of providers is shared through the database: read once a second, told with each group of results. In
between, `choose` asks nobody. docs/providers.md has the picture.
"""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from carenotify.channels.base import Provider
from carenotify.domain.breaker import (
    ONLY_PROVIDER_BREAKER,
    PROVIDER_BREAKER,
    Breaker,
    BreakerPolicy,
    BreakerState,
    CallResult,
    Verdict,
)
from carenotify.domain.clock import Clock
from carenotify.domain.delivery import Outcome
from carenotify.domain.notification import Channel
from carenotify.errors import StorageError
from carenotify.storage import outbox, provider_states
from carenotify.storage.claims import Claim
from carenotify.storage.database import Database, Transaction

log = logging.getLogger(__name__)

_NEW = Breaker()
# A process that took a trial and was given no message for it lets another one try, and stands back so long itself.
_UNUSED_AFTER = timedelta(seconds=5)
# What was put back is not looked at again sooner than this.
_SOON = timedelta(seconds=1)
# Whoever serves the message in the middle serves most of them.
_MIDDLE = 0.5


@dataclass(frozen=True, slots=True)
class Choice:
    """The provider to use, and whether this is the trial that decides about it.

    A trial costs the message nothing, but not when it was given to this provider last time, and here it is `again`: one
    with a fault of its own would keep the provider from coming back, and never end. If the trial fails, the provider
    is left alone for so long.
    """

    provider: Provider
    trial: bool = False
    again: bool = False
    left_alone_for: timedelta = PROVIDER_BREAKER.open_for


@dataclass(frozen=True, slots=True)
class _Ticket:
    """A trial that this process may make."""

    taken_at: datetime
    lease: datetime


class ProviderChooser:
    """Chooses among the providers of each channel, in their order. Safe to call from many threads.

    `follow` has to be called every second or so; without it no provider that is open is ever tried again.
    """

    def __init__(
        self,
        *,
        database: Database,
        providers: Mapping[Channel, Sequence[Provider]],
        clock: Clock,
    ) -> None:
        self._database = database
        self._providers = providers
        self._clock = clock
        self._guard = threading.Lock()
        self._known: Mapping[str, Breaker] = {}
        self._changes = 0
        self._tickets: dict[str, _Ticket] = {}
        self._stand_back_until: dict[str, datetime] = {}

    # --- asking ------------------------------------------------------------------------------

    def choose(self, claim: Claim) -> Choice | None:
        """The provider for this notification now; None when all of its channel are down. A trial is given out once.

        The one that has just failed this notification is not used when another one is well.
        """
        providers = self._providers[claim.channel]
        well = [provider for provider in providers if self.breaker(provider.name).closed]
        if len(well) < len(providers) and (tried := self._trial_among(providers, others_are_well=bool(well))):
            return self._trial(tried, again=claim.last_provider == tried.name)
        well = [provider for provider in well if provider.name != claim.last_provider] or well
        if not well:
            return None
        # A notification keeps its place, so that it stays with the provider that it has come to as shares grow.
        chosen = self._first_with_a_share(well, place=zlib.crc32(claim.notification_id.bytes) / 2**32)
        return Choice(chosen, again=claim.last_provider == chosen.name)

    def mostly_used(self, channel: Channel) -> str | None:
        """The name of the provider that most messages of a channel go to now; None when all are down."""
        providers = self._providers[channel]
        well = [provider for provider in providers if self.breaker(provider.name).closed]
        tried = [provider for provider in providers if provider.name in self._tickets]
        return self._first_with_a_share(well or tried, place=_MIDDLE).name if well or tried else None

    def has_another(self, than: Provider) -> bool:
        """Whether a message that this provider did not take can go to another one at once."""
        others = self._providers[than.channel]
        return any(other is not than and self.breaker(other.name).closed for other in others)

    def can_send(self, channel: Channel) -> bool:
        """Whether messages of the channel should come in: a provider is well, or this process has a trial for one."""
        names = [provider.name for provider in self._providers[channel]]
        return any(self.breaker(name).closed or name in self._tickets for name in names)

    def next_chance(self, channel: Channel) -> datetime:
        """When a message that found no provider should come again."""
        soon = self._clock() + _SOON
        retries = [self.breaker(provider.name).retry_at for provider in self._providers[channel]]
        return max(soon, min((at for at in retries if at is not None), default=soon))

    def breaker(self, name: str) -> Breaker:
        """How a provider stands, as far as this process knows."""
        return self._known.get(name, _NEW)

    def _trial(self, tried: Provider, *, again: bool) -> Choice:
        failures, policy = self.breaker(tried.name).failures + 1, self._policy(tried.name)
        return Choice(tried, trial=True, again=again, left_alone_for=policy.open_after(failures, Verdict.FAILING))

    def _policy(self, name: str) -> BreakerPolicy:
        """The only provider of a channel is left alone for less long: its messages have nowhere else to go."""
        alone = any([provider.name for provider in of_one] == [name] for of_one in list(self._providers.values()))
        return ONLY_PROVIDER_BREAKER if alone else PROVIDER_BREAKER

    def _first_with_a_share(self, providers: Sequence[Provider], *, place: float) -> Provider:
        """Who serves the messages at this place, 0 to 1: the last one has what those before it do not have yet."""
        *earlier, last = providers
        now = self._clock()
        shares = ((provider, self.breaker(provider.name).share(now)) for provider in earlier)
        return next((provider for provider, share in shares if place < share), last)

    def _trial_among(self, providers: Sequence[Provider], *, others_are_well: bool) -> Provider | None:
        """A provider to try out with this message. While others are well, whoever has a message takes the trial."""
        if others_are_well:
            try:
                self._take_trials(providers)
            except StorageError as error:
                log.warning("%s; no provider is tried out now", error)
        with self._guard:
            return next((provider for provider in providers if self._tickets.pop(provider.name, None)), None)

    # --- learning ----------------------------------------------------------------------------

    def learn(self, transaction: Transaction, outcomes: Iterable[Outcome]) -> dict[str, Breaker]:
        """Count what came of calls, last in the transaction that records them; `adopt` the answer once it committed.

        What waited for a provider that is closed by this is due at once.
        """
        calls: dict[str, list[CallResult]] = {}
        for outcome in outcomes:
            if outcome.provider is not None and outcome.verdict is not None:
                call = CallResult(outcome.verdict, outcome.trial, outcome.code, outcome.again)
                calls.setdefault(outcome.provider, []).append(call)
        if not calls:
            return {}
        now = self._clock()
        found = provider_states.fold(transaction, calls, now=now, policy_of=self._policy)
        self._call_back(transaction, found, now)
        return found

    def adopt(self, found: Mapping[str, Breaker]) -> None:
        """Use what has been found from now on, and say what changed."""
        if not found:
            return
        with self._guard:
            before, self._known = self._known, {**self._known, **found}
            self._changes += 1
        for name, breaker in found.items():
            if breaker.state is not before.get(name, _NEW).state:
                _tell(name, breaker)

    def follow(self) -> None:
        """Read what other workers have found, and take a trial for what is due for one and wanted here."""
        changes, now = self._changes, self._clock()
        with self._database.transaction() as transaction:
            read = provider_states.read(transaction)
            self._call_back(transaction, read, now)
        if changes == self._changes:  # else this is older than what has just been found here
            self.adopt(read)
        self._give_back_unused(now)
        for providers in list(self._providers.values()):
            # When none is well no messages come in: one process takes the trial, and then messages for it.
            if not any(self.breaker(provider.name).closed for provider in providers):
                self._take_trials(providers)

    def _call_back(self, transaction: Transaction, found: Mapping[str, Breaker], now: datetime) -> None:
        """What was put back because nobody could take it is due as soon as somebody can."""
        closed = {name for name, breaker in found.items() if breaker.closed and not self.breaker(name).closed}
        for channel, providers in list(self._providers.items()):
            if closed & {provider.name for provider in providers}:
                outbox.call_back(transaction, channel=channel, reason="provider_down", now=now)

    def _take_trials(self, providers: Sequence[Provider]) -> None:
        now = self._clock()
        for name in (provider.name for provider in providers):
            if self.breaker(name).trial_due(now) and self._may_ask_for(name, now):
                with self._database.transaction() as transaction:
                    trial = provider_states.take_trial(transaction, name, now=now)
                if trial is not None and trial.retry_at is not None:
                    self.adopt({name: trial})
                    with self._guard:
                        self._tickets[name] = _Ticket(now, trial.retry_at)
                        self._stand_back_until.pop(name, None)

    def _may_ask_for(self, name: str, now: datetime) -> bool:
        """One thread asks; when another process has the trial, nobody here asks again for a while."""
        with self._guard:
            if name in self._tickets or now < self._stand_back_until.get(name, now):
                return False
            self._stand_back_until[name] = now + _SOON
            return True

    def _give_back_unused(self, now: datetime) -> None:
        with self._guard:
            unused = {name: ticket for name, ticket in self._tickets.items() if now - ticket.taken_at >= _UNUSED_AFTER}
            for name in unused:
                del self._tickets[name]
                self._stand_back_until[name] = now + _UNUSED_AFTER
        for name, ticket in unused.items():
            with self._database.transaction() as transaction:
                provider_states.give_back_trial(transaction, name, lease=ticket.lease, now=now)


def _tell(name: str, breaker: Breaker) -> None:
    if breaker.state is BreakerState.OPEN:
        log.warning("provider %s is open after %s: nothing is sent through it", name, breaker.last_code)
    elif breaker.state is BreakerState.HALF_OPEN:
        log.info("provider %s is half open: it is tried out", name)
    else:
        log.info("provider %s is closed: it is used again, more and more", name)
