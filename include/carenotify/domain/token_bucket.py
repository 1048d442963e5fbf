"""How fast a provider may be given messages, and what of that is kept for urgent ones.

A token bucket (https://en.wikipedia.org/wiki/Token_bucket): it fills with `per_second` tokens a second up to
`capacity`, and a message costs some. In any stretch of t seconds no more than `per_second` * t + `capacity` messages
can pay. What is in the bucket stands in `storage/provider_rates.py`, for all workers.
"""

from __future__ import annotations

from dataclasses import dataclass

from carenotify.domain.notification import Lane

# Bulk may use so much of a rate. What a provider counts a little differently, or what is urgent, finds the rest free,
# so that no line of bulk forms at the provider, where nobody could pass it.
_BULK_SHARE = 0.8
# Bulk leaves so many seconds' worth in the bucket: what is urgent finds it and goes at once.
_RESERVE_SECONDS = 0.5
_BURST_SECONDS = 1.0
# Whoever finds too little comes back when there is enough for this time's messages: not for each message alone.
_ROUND_SECONDS = 0.05
_SHORTEST_WAIT_SECONDS = 0.01

URGENT_COST = 1.0
BULK_COST = 1 / _BULK_SHARE


def cost(lane: Lane) -> float:
    """Tokens that a message of this lane pays."""
    return URGENT_COST if lane is Lane.HIGH else BULK_COST


@dataclass(frozen=True, slots=True)
class Rate:
    """Messages a second that a provider takes from all of our workers together."""

    per_second: float

    @property
    def reserve(self) -> float:
        """Tokens that only an urgent message may take; never less than one needs."""
        return max(self.per_second * _RESERVE_SECONDS, URGENT_COST)

    @property
    def capacity(self) -> float:
        """Tokens of a full bucket: a second's worth, and with slow providers what one message of each sort costs."""
        return max(self.per_second * _BURST_SECONDS, self.reserve + BULK_COST)

    def urgent_wait(self, tokens: float, wanted: int) -> float:
        """Seconds until it is worth while to ask again for urgent messages, of which `wanted` are left."""
        return self._wait(tokens, URGENT_COST * self._round_of(wanted))

    def bulk_wait(self, tokens: float, wanted: int) -> float:
        """The same for bulk, which finds what is above the reserve."""
        return self._wait(tokens, self.reserve + BULK_COST * self._round_of(wanted))

    def _round_of(self, wanted: int) -> int:
        return max(1, min(wanted, int(self.per_second * _ROUND_SECONDS / BULK_COST)))

    def _wait(self, tokens: float, needed: float) -> float:
        return max((needed - tokens) / self.per_second, _SHORTEST_WAIT_SECONDS)
