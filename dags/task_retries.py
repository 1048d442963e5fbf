"""What all tasks share: whose they are, and that they are tried again three times, each time after a longer wait."""

from __future__ import annotations

from datetime import timedelta
from typing import Any


def tried_again(*, after: timedelta, at_most_after: timedelta, cut_off_after: timedelta) -> dict[str, Any]:
    """A DAG's `default_args`: waits that begin at `after` and double, for tasks that may take `cut_off_after`."""
    return {
        "owner": "carenotify",
        "retries": 3,
        "retry_delay": after,
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": at_most_after,
        "execution_timeout": cut_off_after,
    }
