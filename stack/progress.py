"""What the person at the terminal sees: one line when a step begins, one when it ends, with its time."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_WRITING = threading.Lock()


def say(text: str = "") -> None:
    """Write one line, whole, whichever thread it comes from."""
    with _WRITING:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


@contextmanager
def step(name: str) -> Iterator[None]:
    """Show that a step runs, and how long it took or that it failed."""
    began = time.monotonic()
    say(f"  …  {name}")
    try:
        yield
    except BaseException:
        say(f" FAIL {name}  (after {time.monotonic() - began:.1f} s)")
        raise
    say(f"  ok {name}  {time.monotonic() - began:.1f} s")
