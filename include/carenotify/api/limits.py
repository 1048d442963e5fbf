"""How many requests a caller and an address may make a minute, counted in this process."""

from __future__ import annotations

import math
import time
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address, ip_network

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from carenotify.api.problems import ProblemError

_ONE_SUBSCRIBER = 64  # RFC 6177: a site's hosts share its /64, and may take any address of it


class Limits:
    """Counts over a sliding minute; raises ProblemError 429 with Retry-After for what is too much."""

    def __init__(self, *, per_caller: int, per_address: int) -> None:
        self._counters = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._per_caller = RateLimitItemPerMinute(per_caller)
        self._per_address = RateLimitItemPerMinute(per_address)

    def count_address(self, address: str) -> None:
        """A request came from this address."""
        self._count(self._per_address, "address", _network(address))

    def count_forged(self, address: str) -> None:
        """Something came from this address that only those may send who sign it. Counted apart from its requests."""
        self._count(self._per_address, "forged", _network(address))

    def refuse_forger(self, address: str) -> None:
        """Raise when too much came from this address that was not signed; does not count."""
        key = ("forged", _network(address))
        if not self._counters.test(self._per_address, *key):
            raise self._too_many(self._per_address, *key)

    def count_caller(self, actor: str) -> None:
        """A request was made with this key, or by this person."""
        self._count(self._per_caller, "caller", actor)

    def _count(self, limit: RateLimitItem, *whose: str) -> None:
        if not self._counters.hit(limit, *whose):
            raise self._too_many(limit, *whose)

    def _too_many(self, limit: RateLimitItem, *whose: str) -> ProblemError:
        wait = math.ceil(self._counters.get_window_stats(limit, *whose).reset_time - time.time())
        detail = f"More than {limit.amount} requests in a minute; go on after the time in Retry-After."
        return ProblemError(HTTPStatus.TOO_MANY_REQUESTS, detail, headers={"Retry-After": str(max(1, wait))})


def _network(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed, _ONE_SUBSCRIBER), strict=False)) if isinstance(parsed, IPv6Address) else address
