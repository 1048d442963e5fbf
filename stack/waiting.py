"""Wait for a condition, and say what was waited for when it does not come."""

from __future__ import annotations

import time
from collections.abc import Callable

from stack.errors import StackError


def wait_until(
    ready: Callable[[], bool], *, what: str, seconds: float, alive: Callable[[], bool] | None = None
) -> None:
    """Return when `ready()` is true. Raises StackError after `seconds`, or at once when `alive()` is false."""
    deadline = time.monotonic() + seconds
    while not ready():
        if alive is not None and not alive():
            raise StackError(f"{what} stopped while starting.")
        if time.monotonic() > deadline:
            raise StackError(f"{what} was not ready after {seconds:.0f} s.")
        time.sleep(0.1)
