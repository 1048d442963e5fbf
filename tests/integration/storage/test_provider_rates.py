"""The bucket that all workers share, on real PostgreSQL and by its clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carenotify.domain.token_bucket import BULK_COST, Rate
from carenotify.storage import provider_rates
from carenotify.storage.database import Database
from carenotify.storage.provider_rates import Grant
from carenotify.storage.sealed import Sealer
from tests.integration.ward import make_settings

# A rate at which nothing comes in while a test looks.
STILL = Rate(1e-6)
HUNDRED = Rate(100)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    known = make_settings(database_url)
    keys = [key.get_secret_value() for key in known.encryption_keys]
    database = Database(database_url, sealer=Sealer(encryption_keys=keys, index_key=known.index_key.get_secret_value()))
    yield database
    database.close()


def grant(database: Database, rate: Rate, *, urgent: int = 0, bulk: int = 0, returned: float = 0.0) -> Grant:
    with database.transaction() as transaction:
        return provider_rates.grant(transaction, "twilio", rate, urgent=urgent, bulk=bulk, returned=returned)


def fill(database: Database, tokens: float) -> None:
    with database.transaction() as transaction:
        transaction.execute(
            """
            INSERT INTO provider_rates VALUES ('twilio', %(tokens)s, clock_timestamp())
            ON CONFLICT (provider) DO UPDATE SET tokens = %(tokens)s, refilled_at = clock_timestamp()
            """,
            {"tokens": tokens},
        )


def test_a_new_bucket_is_full_and_bulk_leaves_half_of_it(database: Database) -> None:
    granted = grant(database, HUNDRED, bulk=500)
    assert granted.bulk == 40
    assert granted.tokens == pytest.approx(50)


def test_what_is_urgent_finds_tokens_where_bulk_has_taken_its_all(database: Database) -> None:
    grant(database, HUNDRED, bulk=500)
    granted = grant(database, HUNDRED, urgent=30, bulk=500)
    assert (granted.urgent, granted.bulk) == (30, 0)


def test_what_is_urgent_waits_only_for_what_is_urgent(database: Database) -> None:
    granted = grant(database, HUNDRED, urgent=500, bulk=500)
    assert (granted.urgent, granted.bulk) == (100, 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(-20, 150), st.integers(0, 120), st.integers(0, 120), st.floats(-30, 30))
def test_a_grant_is_what_the_rules_say(
    database: Database, tokens: float, urgent: int, bulk: int, returned: float
) -> None:
    fill(database, tokens)
    rate = Rate(100)
    with database.transaction() as transaction:
        # Far in the future, so that nothing comes in.
        transaction.execute("UPDATE provider_rates SET refilled_at = clock_timestamp() + interval '1 hour'")
    granted = grant(database, rate, urgent=urgent, bulk=bulk, returned=returned)
    held = min(100.0, tokens + returned)
    assert granted.urgent == max(0, min(urgent, int(held // 1)))
    above = held - granted.urgent - 50
    assert granted.bulk == max(0, min(bulk, int(above // BULK_COST)))
    assert granted.tokens == pytest.approx(held - granted.urgent - granted.bulk * BULK_COST)
    assert granted.blocked_seconds == pytest.approx(3600, abs=60)


def test_tokens_that_were_not_used_are_there_again_and_those_used_unasked_are_paid(database: Database) -> None:
    fill(database, 0)
    assert grant(database, STILL, urgent=5, returned=2).urgent == 2
    fill(database, 2)
    assert grant(database, STILL, urgent=5, returned=-2).urgent == 0
    assert grant(database, STILL, urgent=5, returned=50).urgent == int(STILL.capacity)


def test_a_blocked_bucket_gives_nothing_until_its_time_is_over(database: Database) -> None:
    fill(database, 100)
    with database.transaction() as transaction:
        provider_rates.block(transaction, "twilio", pause=timedelta(seconds=0.5))
        provider_rates.block(transaction, "another", pause=timedelta(seconds=0.5))
    granted = grant(database, HUNDRED, urgent=10)
    assert granted.urgent == 0
    assert 0 < granted.blocked_seconds <= 0.5
    time.sleep(granted.blocked_seconds + HUNDRED.urgent_wait(granted.tokens, 10))
    assert grant(database, HUNDRED, urgent=10).urgent >= 1


def test_a_shorter_pause_does_not_end_a_longer_one(database: Database) -> None:
    fill(database, 100)
    with database.transaction() as transaction:
        provider_rates.block(transaction, "twilio", pause=timedelta(seconds=60))
        provider_rates.block(transaction, "twilio", pause=timedelta(seconds=1))
    assert grant(database, HUNDRED, urgent=1).blocked_seconds > 30


def test_two_who_ask_at_the_same_moment_never_get_the_same_token(database: Database) -> None:
    """Eight who ask without a pause, from an empty bucket: each token goes to one of them."""
    rate = Rate(200)
    began = time.monotonic()
    fill(database, 0)

    def hammer(_: int) -> tuple[int, int]:
        asked = granted = 0
        while time.monotonic() - began < 1.5:
            granted += grant(database, rate, urgent=1).urgent
            asked += 1
        return asked, granted

    with ThreadPoolExecutor(8) as workers:
        answers = list(workers.map(hammer, range(8)))
    passed = time.monotonic() - began
    granted = sum(one for _, one in answers)
    assert sum(asked for asked, _ in answers) > 1.5 * granted
    assert 0.7 * 200 * 1.5 <= granted <= 200 * passed


@pytest.mark.parametrize("per_second", [7.0, 300.0])
def test_many_workers_at_once_never_get_more_than_the_rate_and_one_filling(
    database: Database, per_second: float
) -> None:
    rate = Rate(per_second)
    seconds = 3.0
    moments: list[float] = []
    guard = threading.Lock()
    began = time.monotonic()

    def work(number: int) -> None:
        """As a worker does: ask, send what was granted, and come back when told; one gives back a part."""
        unused = 0.0
        while time.monotonic() - began < seconds:
            urgent = number == 0
            granted = grant(database, rate, urgent=5 * urgent, bulk=5 * (not urgent), returned=unused)
            sent = granted.urgent + granted.bulk - (number == 1 and granted.bulk > 0)
            unused = (granted.urgent + granted.bulk - sent) * BULK_COST
            with guard:
                moments.extend([time.monotonic()] * sent)
            wait = rate.urgent_wait(granted.tokens, 5) if urgent else rate.bulk_wait(granted.tokens, 5)
            time.sleep(min(wait, max(0.0, began + seconds - time.monotonic())))

    with ThreadPoolExecutor(6) as workers:
        list(workers.map(work, range(6)))
    passed = time.monotonic() - began
    assert len(moments) <= rate.per_second * passed + rate.capacity
    assert len(moments) >= 0.7 * rate.per_second * seconds
    # The same of every stretch in between; asking takes a moment, so that a grant is seen a little late.
    for window in (0.5, 1.0, 2.0):
        most = max(sum(1 for one in moments if start <= one < start + window) for start in moments)
        assert most <= rate.per_second * (window + 0.3) + rate.capacity
