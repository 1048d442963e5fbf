from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carenotify import errors
from carenotify.domain import delivery
from carenotify.domain.breaker import verdict_on
from carenotify.domain.delivery import Attempt, Outcome
from carenotify.domain.notification import Status, can_move
from carenotify.errors import (
    AddressRejectedError,
    BusyAddressError,
    DeadAddressError,
    DeliveryError,
    MessageRejectedError,
    MisconfiguredError,
    NotTriedError,
    OptedOutError,
    TemporaryDeliveryError,
    ThrottledError,
    UnconfirmedDeliveryError,
)

NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
TO = "+4915112345678"


def attempt(number: int = 1) -> Attempt:
    return Attempt(UUID(int=7), UUID(int=8), number, "twilio")


def refused(error: DeliveryError, number: int = 1) -> Outcome:
    return delivery.refused(attempt(number), error, to=TO, now=NOW)


def _leaves(error: type[DeliveryError]) -> Iterator[type[DeliveryError]]:
    below = error.__subclasses__()
    yield from (leaf for one in below for leaf in _leaves(one)) if below else iter((error,))


# What was not tried is no answer of a provider.
EVERY_ERROR = [error for error in _leaves(errors.DeliveryError) if error is not NotTriedError]


def test_an_accepted_message_is_sent_with_the_providers_id() -> None:
    outcome = delivery.accepted(attempt(2), "SM1", to=TO)
    assert (outcome.status, outcome.attempts, outcome.provider_message_id) == (Status.SENT, 2, "SM1")
    assert (outcome.reason, outcome.code, outcome.due_at) == (None, None, None)


def test_what_never_got_to_a_provider_spends_no_attempt_and_names_none() -> None:
    outcome = delivery.given_up(attempt(3), Status.SUPPRESSED, "no_usable_address")
    assert (outcome.status, outcome.attempts, outcome.provider) == (Status.SUPPRESSED, 2, None)


@pytest.mark.parametrize(
    ("error", "status", "reason", "suppressed"),
    [
        (AddressRejectedError("21408"), Status.FAILED, "address_rejected", None),
        (DeadAddressError("21211"), Status.FAILED, "address_rejected", TO),
        (MessageRejectedError("21617"), Status.FAILED, "message_rejected", None),
        (OptedOutError("21610"), Status.UNSUBSCRIBED, "opted_out", TO),
        (TemporaryDeliveryError("500"), Status.PENDING, "temporary", None),
        (ThrottledError("429"), Status.PENDING, "throttled", None),
    ],
)
def test_the_type_of_the_error_says_what_follows(
    error: DeliveryError, status: Status, reason: str, suppressed: str | None
) -> None:
    outcome = refused(error)
    assert (outcome.status, outcome.reason, outcome.suppress_address) == (status, reason, suppressed)
    assert (outcome.code, outcome.provider) == (error.code, "twilio")


@pytest.mark.parametrize("error", EVERY_ERROR)
def test_every_type_of_delivery_error_has_a_named_outcome(error: type[DeliveryError]) -> None:
    named = {
        AddressRejectedError: "address_rejected",
        DeadAddressError: "address_rejected",
        MessageRejectedError: "message_rejected",
        OptedOutError: "opted_out",
        BusyAddressError: "temporary",
        ThrottledError: "throttled",
        MisconfiguredError: "misconfigured",
        UnconfirmedDeliveryError: "temporary",
    }
    assert refused(error("x")).reason == named[error]


@pytest.mark.parametrize("error", EVERY_ERROR)
def test_only_a_lost_answer_leaves_doubt(error: type[DeliveryError]) -> None:
    assert refused(error("x")).uncertain == (error is UnconfirmedDeliveryError)


def test_a_temporary_failure_is_due_again_after_2_4_8_16_and_32_seconds_and_then_fails() -> None:
    outcomes = [refused(TemporaryDeliveryError("500"), number) for number in range(1, 7)]
    waits = [outcome.due_at and outcome.due_at - NOW for outcome in outcomes]
    assert waits == [*(timedelta(seconds=seconds) for seconds in (2, 4, 8, 16, 32)), None]
    assert [outcome.attempts for outcome in outcomes] == [1, 2, 3, 4, 5, 6]
    assert (outcomes[-1].status, outcomes[-1].reason) == (Status.FAILED, "retries_spent")


@given(st.integers(1, 5), st.timedeltas(timedelta(0), timedelta(hours=1)))
def test_a_provider_that_asks_for_a_longer_wait_gets_it_and_never_a_shorter_one(number: int, asked: timedelta) -> None:
    outcome = refused(TemporaryDeliveryError("503", retry_after=asked), number)
    assert outcome.due_at == NOW + max(asked, timedelta(seconds=2**number))


@given(st.integers(1, 6), st.none() | st.timedeltas(timedelta(seconds=1), timedelta(hours=1)))
def test_being_throttled_spends_no_attempt_however_often(number: int, asked: timedelta | None) -> None:
    outcome = refused(ThrottledError("429", retry_after=asked), number)
    assert (outcome.status, outcome.attempts) == (Status.PENDING, number - 1)
    assert outcome.due_at == NOW + (asked or delivery.THROTTLED_DELAY)


@given(st.sampled_from(EVERY_ERROR), st.integers(1, 6))
def test_every_outcome_of_a_send_says_which_address_was_tried(error: type[DeliveryError], number: int) -> None:
    assert refused(error("x"), number).sent_to == TO
    assert delivery.accepted(attempt(number), "SM1", to=TO).sent_to == TO
    assert delivery.given_up(attempt(number), Status.SUPPRESSED, "no_usable_address").sent_to is None


@pytest.mark.parametrize(
    ("error", "attempts", "reason"),
    [
        (TemporaryDeliveryError("503"), 2, "provider_down"),
        (UnconfirmedDeliveryError("timeout"), 3, "temporary"),
        (BusyAddressError("450 4.2.1"), 3, "temporary"),
    ],
)
def test_a_free_trial_costs_an_attempt_only_when_the_message_may_have_been_taken(
    error: DeliveryError, attempts: int, reason: str
) -> None:
    trial = Attempt(UUID(int=7), UUID(int=8), 3, "twilio", trial=True)
    outcome = delivery.refused(trial, error, to=TO, now=NOW)
    assert (outcome.status, outcome.attempts, outcome.reason) == (Status.PENDING, attempts, reason)
    assert outcome.trial


def test_a_trial_with_what_this_provider_was_given_last_time_costs_an_attempt() -> None:
    trial = Attempt(UUID(int=7), UUID(int=8), 3, "twilio", trial=True, again=True)
    outcome = delivery.refused(trial, TemporaryDeliveryError("503"), to=TO, now=NOW)
    assert (outcome.attempts, outcome.reason, outcome.again) == (3, "temporary", True)


def test_a_deadline_of_our_own_is_nobodys_fault() -> None:
    missed = refused(NotTriedError("too-slow"), 3)
    assert missed == delivery.put_back(attempt(3), now=NOW)


@pytest.mark.parametrize("error", [None, *EVERY_ERROR])
def test_every_answer_says_something_of_the_provider_and_what_was_not_tried_says_nothing(
    error: type[DeliveryError] | None,
) -> None:
    answered = refused(error("x")) if error else delivery.accepted(attempt(), "SM1", to=TO)
    assert answered.verdict is verdict_on(error("x") if error else None)
    for untried in (
        delivery.no_provider(attempt(3), due_at=NOW),
        delivery.put_back(attempt(3), now=NOW),
        refused(NotTriedError("too-slow"), 3),
        delivery.given_up(attempt(3), Status.SUPPRESSED, "no_usable_address"),
    ):
        assert (untried.verdict, untried.provider, untried.attempts) == (None, None, 2)


@given(st.sampled_from(EVERY_ERROR), st.integers(1, 6))
def test_every_outcome_is_a_legal_move_from_sending_and_keeps_its_claim(
    error: type[DeliveryError], number: int
) -> None:
    outcome = refused(error("x"), number)
    assert can_move(Status.SENDING, outcome.status)
    assert (outcome.notification_id, outcome.claim_token) == (UUID(int=7), UUID(int=8))
    assert (outcome.due_at is not None) == (outcome.status is Status.PENDING)
    assert number - 1 <= outcome.attempts <= number


def test_an_outcome_shows_no_address() -> None:
    assert TO not in repr(refused(DeadAddressError("21211")))


def test_an_error_shows_its_code_and_not_the_address() -> None:
    assert str(AddressRejectedError("21211")) == "21211"
