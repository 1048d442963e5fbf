"""The shared state of providers, with several workers at it at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from carenotify.app import App
from carenotify.domain.breaker import PROVIDER_BREAKER, Breaker, BreakerState, CallResult, Verdict
from carenotify.storage import provider_states
from tests.integration.ward import NOON, Hospital, wait_for

WELL = CallResult(Verdict.WELL)
FAILED = CallResult(Verdict.FAILING, code="500")
GOOD_TRIAL = CallResult(Verdict.WELL, trial=True)
MINUTE = timedelta(seconds=60)


def fold(app: App, *calls: CallResult, seconds: float = 0, provider: str = "twilio") -> dict[str, Breaker]:
    with app.database.transaction() as transaction:
        return provider_states.fold(transaction, {provider: calls}, now=NOON + timedelta(seconds=seconds))


def read(app: App, provider: str = "twilio") -> Breaker | None:
    with app.database.transaction() as transaction:
        return provider_states.read(transaction).get(provider)


def take(app: App, *, seconds: float) -> Breaker | None:
    with app.database.transaction() as transaction:
        return provider_states.take_trial(transaction, "twilio", now=NOON + timedelta(seconds=seconds))


def state(app: App) -> BreakerState:
    found = read(app)
    assert found is not None
    return found.state


def test_what_goes_well_is_no_news(app: App) -> None:
    assert fold(app, WELL, WELL) == {}
    assert read(app) is None


@pytest.mark.parametrize("groups", [[5], [1, 1, 1, 1, 1], [2, 3], [4, 1]])
def test_failures_are_counted_across_groups(app: App, groups: Sequence[int]) -> None:
    for number in groups[:-1]:
        fold(app, *[FAILED] * number)
        assert state(app) is BreakerState.CLOSED
    found = fold(app, *[FAILED] * groups[-1])
    assert found == {"twilio": read(app)}
    assert state(app) is BreakerState.OPEN


def test_anybodys_success_starts_the_count_again(app: App) -> None:
    fold(app, *[FAILED] * 4)
    fold(app, WELL)
    fold(app, *[FAILED] * 3)
    assert state(app) is BreakerState.CLOSED
    fold(app, FAILED, WELL, FAILED)
    fold(app, *[FAILED] * 3)
    assert state(app) is BreakerState.CLOSED
    fold(app, FAILED)
    assert state(app) is BreakerState.OPEN


def test_providers_do_not_mind_each_other(app: App) -> None:
    with app.database.transaction() as transaction:
        provider_states.fold(transaction, {"sns": [WELL], "twilio": [FAILED] * 5, "smtp": [FAILED]}, now=NOON)
    with app.database.transaction() as transaction:
        found = provider_states.read(transaction)
    assert {name: breaker.state.value for name, breaker in found.items()} == {"twilio": "open", "smtp": "closed"}


def test_workers_that_fail_at_the_same_time_lose_no_failure(app: App) -> None:
    together = threading.Barrier(5)

    def fail(_: int) -> None:
        together.wait(20)
        fold(app, FAILED)

    with ThreadPoolExecutor(5) as workers:
        list(workers.map(fail, range(5)))
    assert state(app) is BreakerState.OPEN


def test_a_worker_whose_results_wait_for_anothers_sees_what_that_one_found(app: App, hospital: Hospital) -> None:
    fold(app, *[FAILED] * 4)
    with ThreadPoolExecutor(1) as other, app.database.transaction() as transaction:
        opened = provider_states.fold(transaction, {"twilio": [FAILED]}, now=NOON)
        late = other.submit(fold, app, WELL)
        blocked = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        wait_for(lambda: hospital.query(blocked) == [(1,)])
        assert not late.done()
        transaction.commit()
        assert late.result(20) == opened
    assert state(app) is BreakerState.OPEN


def test_results_that_change_nothing_wait_for_nobody(app: App) -> None:
    fold(app, FAILED, WELL)
    with app.database.transaction() as transaction:
        provider_states.fold(transaction, {"twilio": [FAILED, WELL]}, now=NOON)
        with ThreadPoolExecutor(1) as other:
            assert other.submit(fold, app, WELL).result(20) == {}


def test_of_many_who_want_the_trial_one_gets_it(app: App) -> None:
    fold(app, *[FAILED] * 5)
    assert take(app, seconds=59) is None
    with ThreadPoolExecutor(8) as workers:
        trials = list(workers.map(lambda _: take(app, seconds=60), range(8)))
    [trial] = [trial for trial in trials if trial is not None]
    assert trial == read(app)
    assert trial.retry_at == NOON + MINUTE + PROVIDER_BREAKER.trial_for


def test_a_trial_whose_holder_died_is_somebody_elses_later(app: App) -> None:
    fold(app, *[FAILED] * 5)
    assert take(app, seconds=60) is not None
    assert take(app, seconds=89) is None
    assert take(app, seconds=90) is not None


def test_a_trial_that_was_given_back_can_be_taken_at_once_and_only_by_its_holder(app: App) -> None:
    fold(app, *[FAILED] * 5)
    first = take(app, seconds=60)
    assert first is not None
    assert first.retry_at is not None
    for lease, free in ((first.retry_at - MINUTE, False), (first.retry_at, True)):
        with app.database.transaction() as transaction:
            now = NOON + timedelta(seconds=62)
            provider_states.give_back_trial(transaction, "twilio", lease=lease, now=now)
        assert (take(app, seconds=62) is not None) == free


def test_two_good_trials_bring_it_back(app: App) -> None:
    fold(app, *[FAILED] * 5)
    for seconds, after in ((60, BreakerState.HALF_OPEN), (61, BreakerState.CLOSED)):
        assert take(app, seconds=seconds) is not None
        fold(app, GOOD_TRIAL, seconds=seconds)
        assert state(app) is after
    found = read(app)
    assert found is not None
    assert found.share(NOON + timedelta(seconds=61)) == pytest.approx(0.1)
