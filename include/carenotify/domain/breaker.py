"""When a provider is left alone, and how it is taken back: a circuit breaker as a value.

Closed, everything goes through. After five failures in a row, or at once when our account is refused, it is open for a
minute: nothing goes through. Then it is half open: trials go through, one at a time; two that go well close it, one
that fails opens it again (M. Nygard, Release It!). A provider that has come back is given its share slowly.

Nobody stands in for the only provider of a channel, and one that fails now and then still takes most messages: it is
tried again after five seconds, and after twice as long with each trial that fails, up to the minute.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from carenotify.errors import BusyAddressError, DeliveryError, MisconfiguredError, TemporaryDeliveryError


class BreakerState(StrEnum):
    """How a provider is dealt with."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Verdict(StrEnum):
    """What one call says of the provider, whatever became of the message."""

    WELL = "well"
    FAILING = "failing"
    REFUSES_US = "refuses_us"


class CallResult(NamedTuple):
    """One call that a provider has answered, or has not.

    `trial` when it was let through to try a provider out; `again` when the same message was given to it last time too.
    """

    verdict: Verdict
    trial: bool = False
    code: str | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """The numbers of a breaker.

    It is open for `first_open_for`, then twice as long after each trial that fails, and never longer than `open_for`:
    that is how long it is open when our account is refused. `trial_for` is how long whoever takes a trial has for it;
    after that another may. It is longer than any call.
    """

    failures_to_open: int = 5
    first_open_for: timedelta = timedelta(seconds=60)
    open_for: timedelta = timedelta(seconds=60)
    successes_to_close: int = 2
    trial_for: timedelta = timedelta(seconds=30)
    first_share: float = 0.1
    ramp: timedelta = timedelta(seconds=60)

    def open_after(self, failures: int, verdict: Verdict) -> timedelta:
        """How long it is open when it opens with so many failures in a row, the last of them this one."""
        if verdict is Verdict.REFUSES_US:
            return self.open_for
        failed_trials = min(max(0, failures - self.failures_to_open), _MOST_DOUBLINGS)
        return min(self.open_for, self.first_open_for * (1 << failed_trials))


# Far beyond any `open_for`, and what a timedelta can still hold.
_MOST_DOUBLINGS = 16
PROVIDER_BREAKER = BreakerPolicy()
ONLY_PROVIDER_BREAKER = BreakerPolicy(first_open_for=timedelta(seconds=5))


@dataclass(frozen=True, slots=True)
class Breaker:
    """How one provider stands.

    `failures` are counted in a row, those of trials too and those of one message alone once; `successes` in a row since
    it was half open; a closed breaker that has some has been open before. `retry_at` is when the next trial may be
    taken; None while closed. `changed_at` is when the state was entered, None when it never changed.
    """

    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    successes: int = 0
    retry_at: datetime | None = None
    changed_at: datetime | None = None
    last_code: str | None = None

    @property
    def closed(self) -> bool:
        """Whether anything may go through."""
        return self.state is BreakerState.CLOSED

    def after(self, call: CallResult, *, now: datetime, policy: BreakerPolicy = PROVIDER_BREAKER) -> Breaker:
        """How it stands after one more call.

        While it is not closed, only trials count: other answers are late ones, of calls that had begun before.
        """
        if self.closed:
            return self._after_any(call, now, policy)
        if self.state is BreakerState.HALF_OPEN and call.trial:
            return self._after_trial(call, now, policy)
        return self

    def _after_any(self, call: CallResult, now: datetime, policy: BreakerPolicy) -> Breaker:
        if call.verdict is Verdict.WELL:
            return replace(self, failures=0) if self.failures else self
        if call.again and self.failures == 1 and call.verdict is Verdict.FAILING:
            return self  # the one that is counted may be this message's own, and the fault too
        failures = self.failures + 1
        if call.verdict is Verdict.REFUSES_US or failures >= policy.failures_to_open:
            return _opened(failures, call, now, policy)
        return replace(self, failures=failures, last_code=call.code)

    def _after_trial(self, call: CallResult, now: datetime, policy: BreakerPolicy) -> Breaker:
        if call.verdict is not Verdict.WELL:
            return _opened(self.failures + 1, call, now, policy)
        successes = self.successes + 1
        if successes < policy.successes_to_close:
            return replace(self, successes=successes, retry_at=now)
        return Breaker(successes=successes, changed_at=now, last_code=self.last_code)

    def trial(self, *, now: datetime, policy: BreakerPolicy = PROVIDER_BREAKER) -> Breaker | None:
        """How it stands once a trial has been taken; None when none may be taken now."""
        if not self.trial_due(now):
            return None
        until = now + policy.trial_for
        if self.state is BreakerState.HALF_OPEN:
            return replace(self, retry_at=until)
        return replace(self, state=BreakerState.HALF_OPEN, successes=0, retry_at=until, changed_at=now)

    def trial_due(self, now: datetime) -> bool:
        """Whether a trial may be taken now: it was open for long enough, and nobody else is at one."""
        return not self.closed and (self.retry_at is None or self.retry_at <= now)

    def share(self, now: datetime, *, policy: BreakerPolicy = PROVIDER_BREAKER) -> float:
        """What share of its traffic a closed one should get, 0 to 1, when another provider can have the rest.

        One that has come back begins with a tenth, and has all of it when the ramp is over.
        """
        if not self.successes or self.changed_at is None:
            return 1.0
        passed = (now - self.changed_at) / policy.ramp
        return min(1.0, policy.first_share + (1 - policy.first_share) * max(0.0, passed))


def _opened(failures: int, call: CallResult, now: datetime, policy: BreakerPolicy) -> Breaker:
    retry_at = now + policy.open_after(failures, call.verdict)
    return Breaker(BreakerState.OPEN, failures, retry_at=retry_at, changed_at=now, last_code=call.code)


def verdict_on(error: DeliveryError | None) -> Verdict:
    """What an answer says of the provider. One that throttles us, or refuses one address or message, is well."""
    if isinstance(error, MisconfiguredError):
        return Verdict.REFUSES_US
    of_the_address = isinstance(error, BusyAddressError)
    return Verdict.FAILING if isinstance(error, TemporaryDeliveryError) and not of_the_address else Verdict.WELL
