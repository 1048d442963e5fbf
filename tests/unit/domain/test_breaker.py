"""The breaker: what opens it, what is let through, what closes it, and how a provider gets its share back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from carenotify.domain.breaker import (
    ONLY_PROVIDER_BREAKER,
    PROVIDER_BREAKER,
    Breaker,
    BreakerState,
    CallResult,
    Verdict,
    verdict_on,
)
from carenotify.errors import (
    AddressRejectedError,
    BusyAddressError,
    DeliveryError,
    MessageRejectedError,
    MisconfiguredError,
    OptedOutError,
    TemporaryDeliveryError,
    ThrottledError,
    UnconfirmedDeliveryError,
)

NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
MINUTE = timedelta(seconds=60)
WELL = CallResult(Verdict.WELL)
FAILED = CallResult(Verdict.FAILING, code="500")
FAILED_AGAIN = CallResult(Verdict.FAILING, code="500", again=True)
REFUSED = CallResult(Verdict.REFUSES_US, code="20003")
GOOD_TRIAL = CallResult(Verdict.WELL, trial=True)
BAD_TRIAL = CallResult(Verdict.FAILING, trial=True, code="503")


def after(*calls: CallResult, breaker: Breaker | None = None, now: datetime = NOW) -> Breaker:
    breaker = breaker or Breaker()
    for call in calls:
        breaker = breaker.after(call, now=now)
    return breaker


def on_trial(now: datetime = NOW + MINUTE) -> Breaker:
    trial = after(*[FAILED] * 5).trial(now=now)
    assert trial is not None
    return trial


def test_five_failures_in_a_row_open_it_for_a_minute() -> None:
    assert after(*[FAILED] * 4).closed
    opened = after(*[FAILED] * 5)
    assert (opened.state, opened.retry_at, opened.changed_at) == (BreakerState.OPEN, NOW + MINUTE, NOW)
    assert opened.last_code == "500"


def test_one_message_that_fails_again_and_again_opens_nothing_alone() -> None:
    assert after(FAILED, *[FAILED_AGAIN] * 20).closed
    assert after(FAILED, WELL, *[FAILED_AGAIN] * 20).closed


def test_messages_that_fail_again_speak_against_it_once_another_has_failed_too() -> None:
    assert after(FAILED, FAILED, *[FAILED_AGAIN] * 2).closed
    assert after(FAILED, FAILED, *[FAILED_AGAIN] * 3).state is BreakerState.OPEN


def test_an_account_that_is_refused_again_opens_it_all_the_same() -> None:
    assert after(FAILED, REFUSED._replace(again=True)).state is BreakerState.OPEN


def test_one_success_between_them_starts_the_count_again() -> None:
    assert after(*[FAILED] * 4, WELL, *[FAILED] * 4).closed


def test_an_account_that_is_refused_opens_it_at_once() -> None:
    assert after(WELL, REFUSED).state is BreakerState.OPEN


def left_alone(*trials: CallResult, first: CallResult = FAILED) -> list[float]:
    """For how many seconds the only provider of a channel is left alone each time, when its trials end like this."""
    now, breaker, seconds = NOW, Breaker(), []
    for call in (*[first] * 4, first, *trials):
        if not breaker.closed:
            assert breaker.retry_at is not None
            seconds.append((breaker.retry_at - now).total_seconds())
            now = breaker.retry_at
            breaker = breaker.trial(now=now) or breaker
        breaker = breaker.after(call, now=now, policy=ONLY_PROVIDER_BREAKER)
    return seconds


def test_the_only_provider_of_a_channel_is_tried_soon_and_less_often_with_each_trial_that_fails() -> None:
    assert left_alone(*[BAD_TRIAL] * 2_000)[:8] == [5, 10, 20, 40, 60, 60, 60, 60]


def test_the_only_provider_begins_with_five_seconds_again_once_it_was_back() -> None:
    back = [BAD_TRIAL, GOOD_TRIAL, GOOD_TRIAL, *[FAILED] * 5, BAD_TRIAL]
    assert left_alone(*back)[-1] == 5


def test_the_only_provider_is_left_alone_for_a_minute_when_it_refuses_our_account() -> None:
    refused = after(REFUSED).after(REFUSED, now=NOW, policy=ONLY_PROVIDER_BREAKER)
    assert refused.retry_at == NOW + MINUTE
    trial = after(*[FAILED] * 5).trial(now=NOW + MINUTE)
    assert trial is not None
    again = trial.after(REFUSED._replace(trial=True), now=NOW + MINUTE, policy=ONLY_PROVIDER_BREAKER)
    assert again.retry_at == NOW + 2 * MINUTE


def test_no_trial_is_taken_before_the_minute_is_over_nor_while_somebody_else_is_at_one() -> None:
    opened = after(*[FAILED] * 5)
    assert opened.trial(now=NOW + MINUTE - timedelta(microseconds=1)) is None
    trial = on_trial()
    lease = NOW + MINUTE + PROVIDER_BREAKER.trial_for
    assert (trial.state, trial.retry_at) == (BreakerState.HALF_OPEN, lease)
    assert trial.trial(now=lease - timedelta(microseconds=1)) is None
    assert trial.trial(now=lease) is not None
    assert Breaker().trial(now=NOW) is None


def test_two_good_trials_close_it_and_one_bad_one_opens_it_again() -> None:
    later = NOW + MINUTE
    once = after(GOOD_TRIAL, breaker=on_trial(), now=later)
    assert (once.state, once.retry_at) == (BreakerState.HALF_OPEN, later)
    second = once.trial(now=later)
    assert second is not None
    closed = after(GOOD_TRIAL, breaker=second, now=later)
    assert (closed.state, closed.failures, closed.retry_at, closed.changed_at) == (BreakerState.CLOSED, 0, None, later)
    again = after(BAD_TRIAL, breaker=second, now=later)
    assert (again.state, again.retry_at, again.last_code) == (BreakerState.OPEN, later + MINUTE, "503")


@pytest.mark.parametrize("call", [WELL, FAILED, REFUSED])
def test_answers_of_calls_that_had_begun_before_decide_nothing(call: CallResult) -> None:
    for breaker in (after(*[FAILED] * 5), on_trial()):
        assert after(call, breaker=breaker) == breaker


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (None, Verdict.WELL),
        (ThrottledError("429"), Verdict.WELL),
        (AddressRejectedError("21211"), Verdict.WELL),
        (MessageRejectedError("21617"), Verdict.WELL),
        (OptedOutError("21610"), Verdict.WELL),
        (BusyAddressError("450 4.2.1"), Verdict.WELL),
        (TemporaryDeliveryError("500"), Verdict.FAILING),
        (UnconfirmedDeliveryError("timeout"), Verdict.FAILING),
        (MisconfiguredError("20003"), Verdict.REFUSES_US),
    ],
)
def test_only_what_would_hurt_other_messages_too_speaks_against_a_provider(
    error: DeliveryError | None, verdict: Verdict
) -> None:
    assert verdict_on(error) is verdict


def test_one_that_never_was_open_has_all_its_share() -> None:
    assert Breaker().share(NOW) == 1
    assert after(*[FAILED] * 4, WELL).share(NOW) == 1


@given(st.timedeltas(timedelta(0), timedelta(hours=1)), st.timedeltas(timedelta(0), timedelta(hours=1)))
def test_one_that_came_back_begins_with_a_tenth_and_has_all_of_it_after_a_minute(
    passed: timedelta, more: timedelta
) -> None:
    closed = after(GOOD_TRIAL, GOOD_TRIAL, breaker=on_trial())
    assert closed.share(NOW) == pytest.approx(0.1)
    assert 0.1 <= closed.share(NOW + passed) <= closed.share(NOW + passed + more) <= 1
    assert (closed.share(NOW + passed) == 1) == (passed >= MINUTE)


def test_a_clock_that_is_behind_gives_no_less_than_the_first_share() -> None:
    closed = after(GOOD_TRIAL, GOOD_TRIAL, breaker=on_trial())
    assert closed.share(NOW - MINUTE) == pytest.approx(0.1)


class Watched(RuleBasedStateMachine):
    """A breaker beside a plain account of what it was told."""

    @initialize()
    def begin(self) -> None:
        self.now = NOW
        self.breaker = Breaker()
        self.row = 0
        self.good_trials = 0
        self.opened_at: datetime | None = None
        self.trial_until: datetime | None = None

    @rule(seconds=st.integers(0, 90))
    def pass_time(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(call=st.sampled_from([WELL, FAILED, FAILED, REFUSED]))
    def answer(self, call: CallResult) -> None:
        if self.breaker.closed:
            self.row = 0 if call.verdict is Verdict.WELL else self.row + 1
            if self.row == 5 or call is REFUSED:
                self._open()
        self.breaker = self.breaker.after(call, now=self.now)

    @rule()
    def ask_for_a_trial(self) -> None:
        trial = self.breaker.trial(now=self.now)
        free = self.trial_until is None or self.now >= self.trial_until
        assert (trial is not None) == (self.opened_at is not None and self.now >= self.opened_at + MINUTE and free)
        if trial is not None:
            self.breaker = trial
            self.trial_until = self.now + PROVIDER_BREAKER.trial_for

    @precondition(lambda self: self.breaker.state is BreakerState.HALF_OPEN)
    @rule(call=st.sampled_from([GOOD_TRIAL, GOOD_TRIAL, BAD_TRIAL]))
    def end_a_trial(self, call: CallResult) -> None:
        self.breaker = self.breaker.after(call, now=self.now)
        self.good_trials += call is GOOD_TRIAL
        self.trial_until = None
        if call is BAD_TRIAL:
            self._open()
        elif self.good_trials == 2:
            self.opened_at, self.row = None, 0

    def _open(self) -> None:
        self.opened_at, self.good_trials, self.trial_until = self.now, 0, None

    @invariant()
    def it_lets_everything_through_exactly_while_it_is_closed(self) -> None:
        assert self.breaker.closed == (self.opened_at is None)

    @invariant()
    def it_always_says_when_it_may_be_tried_again(self) -> None:
        assert (self.breaker.retry_at is None) == self.breaker.closed


TestBreaker = Watched.TestCase
