"""How many messages a worker holds of a channel whose providers have rates."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from carenotify.domain.clock import system_clock
from carenotify.domain.token_bucket import Rate
from carenotify.journeys.pace_sending import UNPACED, SharedPace


@pytest.mark.parametrize(
    ("rates", "held"),
    [
        ({"twilio": Rate(4)}, 20),
        ({"twilio": Rate(4), "sns": None}, 20),
        ({"twilio": Rate(4), "sns": Rate(0.1)}, 20),
        ({"twilio": None, "sns": Rate(4)}, 160),
        ({"twilio": Rate(1000)}, 160),
        ({"twilio": Rate(0.1)}, 2),
    ],
)
def test_a_worker_holds_what_the_first_provider_takes_in_five_seconds(
    rates: Mapping[str, Rate | None], held: int
) -> None:
    pace = SharedPace(None, rates, provider=lambda: "twilio", clock=system_clock)  # type: ignore[arg-type]
    assert pace.prefetch(160) == held


def test_without_rates_a_worker_holds_as_many_as_it_likes() -> None:
    assert UNPACED.prefetch(160) == 160
