"""When something that failed for a passing reason is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Waits between attempts; when they are spent, the message has failed."""

    delays: tuple[timedelta, ...]

    def delay_after(self, attempt: int) -> timedelta | None:
        """How long to wait after the attempt with this number (1 is the first), or None when that was the last."""
        return self.delays[attempt - 1] if attempt <= len(self.delays) else None


DELIVERY_RETRIES = RetryPolicy(tuple(timedelta(seconds=seconds) for seconds in (2, 4, 8, 16, 32)))
