from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from carenotify.domain.notification import Lane
from carenotify.domain.token_bucket import BULK_COST, URGENT_COST, Rate, cost

rates = st.floats(0.01, 5_000).map(Rate)
wanted = st.integers(1, 500)


@given(rates)
def test_a_full_bucket_is_a_seconds_worth_and_lets_one_of_each_sort_through(rate: Rate) -> None:
    assert rate.capacity == max(rate.per_second, rate.reserve + BULK_COST)
    assert rate.capacity >= rate.reserve + BULK_COST
    assert rate.reserve >= URGENT_COST
    assert Rate(100).capacity == 100


def test_bulk_pays_so_much_that_it_has_four_fifths_of_a_rate() -> None:
    assert cost(Lane.HIGH) == 1
    assert cost(Lane.MEDIUM) == cost(Lane.LOW) == 1.25


@given(rates, st.floats(-100, 5_000), wanted)
def test_after_the_wait_there_is_enough_and_not_long_before(rate: Rate, tokens: float, wanted: int) -> None:
    for wait, floor, price in (
        (rate.urgent_wait(tokens, wanted), 0.0, URGENT_COST),
        (rate.bulk_wait(tokens, wanted), rate.reserve, BULK_COST),
    ):
        messages = (tokens + wait * rate.per_second - floor) / price
        assert messages >= 1 - 1e-6
        # Nobody sleeps past what this round could have: a twentieth of a second's worth, or one message.
        assert wait <= 0.01 or messages <= min(wanted, max(1, rate.per_second / 20)) + 1e-6
        assert wait >= 0.01


@given(rates, wanted)
def test_what_is_waited_for_fits_into_the_bucket(rate: Rate, wanted: int) -> None:
    """Else whoever waits for it waits for ever."""
    empty = rate.bulk_wait(0, wanted) * rate.per_second
    assert empty <= rate.capacity + 1e-6 or rate.bulk_wait(0, wanted) == 0.01


@given(st.floats(0.5, 500), st.lists(st.tuples(st.floats(0.0, 2.0), st.booleans(), wanted), max_size=40))
def test_whoever_asks_again_when_told_is_served_within_the_rate(
    per_second: float, asks: list[tuple[float, bool, int]]
) -> None:
    """A bucket on paper, asked at random moments: what it gives in all never exceeds its rate and one filling."""
    rate = Rate(per_second)
    tokens, passed, given_out = rate.capacity, 0.0, 0
    for pause, urgent, messages in asks:
        passed += pause
        tokens = min(rate.capacity, tokens + pause * per_second)
        price, floor = (URGENT_COST, 0.0) if urgent else (BULK_COST, rate.reserve)
        granted = max(0, min(messages, int((tokens - floor) / price)))
        tokens -= granted * price
        given_out += granted
        wait = rate.urgent_wait(tokens, messages) if urgent else rate.bulk_wait(tokens, messages)
        assert int((min(rate.capacity, tokens + wait * per_second) - floor) / price + 1e-9) >= 1
    assert given_out <= passed * per_second + rate.capacity + 1e-6
