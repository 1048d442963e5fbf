"""What came of one attempt to deliver, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from carenotify.domain.breaker import PROVIDER_BREAKER, Verdict, verdict_on
from carenotify.domain.notification import Status
from carenotify.domain.retry import DELIVERY_RETRIES, RetryPolicy
from carenotify.errors import (
    AddressRejectedError,
    DeadAddressError,
    DeliveryError,
    MisconfiguredError,
    NotTriedError,
    OptedOutError,
    TemporaryDeliveryError,
    ThrottledError,
    UnconfirmedDeliveryError,
)

THROTTLED_DELAY = timedelta(seconds=5)
MISCONFIGURED_DELAY = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The next state of a claimed notification. `attempts` is how many have been spent once this is recorded.

    `uncertain`: the provider may have taken it although it did not say so. `sent_to` is the address that was tried;
    `suppress_address` is never to be tried again. `verdict` is what the call said of the provider, None without one.
    """

    notification_id: UUID
    claim_token: UUID
    status: Status
    attempts: int
    reason: str | None = None
    due_at: datetime | None = None
    provider: str | None = None
    provider_message_id: str | None = None
    code: str | None = None
    suppress_address: str | None = field(default=None, repr=False)
    uncertain: bool = False
    sent_to: str | None = field(default=None, repr=False)
    verdict: Verdict | None = None
    trial: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of one claimed notification. `number` is 1 for the first.

    A `trial` decides about its provider, which is left alone for so long if it fails; it costs the message no attempt
    if it was surely not taken. `again`: the message was given to this provider last time too, and is charged as ever.
    """

    notification_id: UUID
    claim_token: UUID
    number: int
    provider: str | None = None
    trial: bool = False
    again: bool = False
    left_alone_for: timedelta = PROVIDER_BREAKER.open_for


def accepted(attempt: Attempt, provider_message_id: str, *, to: str) -> Outcome:
    """The provider took it."""
    return Outcome(
        attempt.notification_id,
        attempt.claim_token,
        Status.SENT,
        attempt.number,
        provider=attempt.provider,
        provider_message_id=provider_message_id,
        sent_to=to,
        verdict=verdict_on(None),
        trial=attempt.trial,
    )


def given_up(attempt: Attempt, status: Status, reason: str) -> Outcome:
    """It never got to a provider: no address is left, or it cannot be worded."""
    return Outcome(attempt.notification_id, attempt.claim_token, status, attempt.number - 1, reason=reason)


def put_back(attempt: Attempt, *, now: datetime) -> Outcome:
    """Nothing was tried: its claim was about to run out before it was handed over. Due again at once."""
    return Outcome(
        attempt.notification_id, attempt.claim_token, Status.PENDING, attempt.number - 1, reason="put_back", due_at=now
    )


def no_provider(attempt: Attempt, *, due_at: datetime) -> Outcome:
    """Nothing was tried: every provider of its channel is down. Due when one of them is tried out."""
    return Outcome(
        attempt.notification_id,
        attempt.claim_token,
        Status.PENDING,
        attempt.number - 1,
        reason="provider_down",
        due_at=due_at,
    )


def refused(
    attempt: Attempt, error: DeliveryError, *, to: str, now: datetime, policy: RetryPolicy = DELIVERY_RETRIES
) -> Outcome:
    """The provider did not take it, or was not asked: due again, stopped, or failed, as the type of the error says."""
    if isinstance(error, NotTriedError):
        return put_back(attempt, now=now)
    outcome = _consequence(attempt, error, to=to, now=now, policy=policy)
    return replace(outcome, sent_to=to, verdict=verdict_on(error), trial=attempt.trial, again=attempt.again)


def _consequence(attempt: Attempt, error: DeliveryError, *, to: str, now: datetime, policy: RetryPolicy) -> Outcome:
    if isinstance(error, ThrottledError):
        misconfigured = isinstance(error, MisconfiguredError)
        wait = error.retry_after or (MISCONFIGURED_DELAY if misconfigured else THROTTLED_DELAY)
        reason = "misconfigured" if misconfigured else "throttled"
        return _again(attempt, error, due_at=now + wait, attempts=attempt.number - 1, reason=reason)
    down = verdict_on(error) is Verdict.FAILING and not isinstance(error, UnconfirmedDeliveryError)
    if attempt.trial and not attempt.again and down:
        due_at = now + attempt.left_alone_for
        return _again(attempt, error, due_at=due_at, attempts=attempt.number - 1, reason="provider_down")
    if isinstance(error, TemporaryDeliveryError):
        delay = policy.delay_after(attempt.number)
        if delay is None:
            return _stopped(attempt, error, Status.FAILED, "retries_spent")
        wait = max(delay, error.retry_after or delay)
        return _again(attempt, error, due_at=now + wait, attempts=attempt.number, reason="temporary")
    if isinstance(error, OptedOutError):
        return _stopped(attempt, error, Status.UNSUBSCRIBED, "opted_out", suppress_address=to)
    if isinstance(error, AddressRejectedError):
        dead = to if isinstance(error, DeadAddressError) else None
        return _stopped(attempt, error, Status.FAILED, "address_rejected", suppress_address=dead)
    return _stopped(attempt, error, Status.FAILED, "message_rejected")


def _again(attempt: Attempt, error: DeliveryError, *, due_at: datetime, attempts: int, reason: str) -> Outcome:
    return Outcome(
        attempt.notification_id,
        attempt.claim_token,
        Status.PENDING,
        attempts,
        reason=reason,
        due_at=due_at,
        provider=attempt.provider,
        code=error.code,
        uncertain=isinstance(error, UnconfirmedDeliveryError),
    )


def _stopped(
    attempt: Attempt, error: DeliveryError, status: Status, reason: str, suppress_address: str | None = None
) -> Outcome:
    return Outcome(
        attempt.notification_id,
        attempt.claim_token,
        status,
        attempt.number,
        reason=reason,
        provider=attempt.provider,
        code=error.code,
        suppress_address=suppress_address,
        uncertain=isinstance(error, UnconfirmedDeliveryError),
    )
