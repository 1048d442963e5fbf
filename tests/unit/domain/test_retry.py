from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from carenotify.domain.retry import DELIVERY_RETRIES, RetryPolicy


def test_deliveries_are_retried_after_2_4_8_16_and_32_seconds_and_then_given_up() -> None:
    waits = [DELIVERY_RETRIES.delay_after(attempt) for attempt in range(1, 8)]
    assert waits == [*(timedelta(seconds=seconds) for seconds in (2, 4, 8, 16, 32)), None, None]


@given(st.lists(st.timedeltas(min_value=timedelta(0)), max_size=8), st.integers(1, 20))
def test_a_policy_allows_one_attempt_more_than_it_has_waits(delays: list[timedelta], attempt: int) -> None:
    delay = RetryPolicy(tuple(delays)).delay_after(attempt)
    assert (delay is None) == (attempt > len(delays))
    assert delay is None or delay == delays[attempt - 1]
