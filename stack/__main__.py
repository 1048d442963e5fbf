"""`python3 -m stack COMMAND`: what the Makefile calls."""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036  # before anything is imported that an older Python cannot read
    sys.exit(f"carenotify needs Python 3.11 or later and this is {sys.version.split()[0]}; try: make PYTHON=python3.12")

import os
import shlex
from collections.abc import Callable

from stack import checks
from stack.alarms import alarms
from stack.checkout import Checkout, here
from stack.demo import demo
from stack.down import clean, down
from stack.errors import StackError
from stack.progress import say
from stack.settings import missing_for_workers
from stack.status import status
from stack.up import up


def _up(checkout: Checkout, _words: list[str]) -> int:
    system = up(checkout)
    if "CARENOTIFY_PATIENT_API_URL" not in system.settings:
        say("No patient API is set: set CARENOTIFY_PATIENT_API_URL to a FHIR R4 address and run make up again.")
    if missing := missing_for_workers(system.settings):
        say(f"No worker was started: set {', '.join(missing)} and run make up again.")
    say()
    status(checkout)
    say(f"  For a shell: . {shlex.quote(str(checkout.run / 'env'))}")
    return 0


def _down(checkout: Checkout, _words: list[str]) -> int:
    down(checkout)
    return 0


def _clean(checkout: Checkout, _words: list[str]) -> int:
    clean(checkout)
    return 0


_COMMANDS: dict[str, Callable[[Checkout, list[str]], int]] = {
    "up": _up,
    "demo": lambda checkout, _words: demo(checkout),
    "alarms": alarms,
    "down": _down,
    "status": lambda checkout, _words: 0 if status(checkout) else 1,
    "clean": _clean,
    "test": checks.run_pytest,
    "lint": lambda checkout, _words: checks.lint(checkout),
    "bench": checks.run_bench,
    "drill": checks.run_drills,
    "lock": lambda checkout, words: checks.lock(checkout, check="--check" in words),
}


def main(words: list[str]) -> int:
    """Run one command and return its exit code; what goes wrong is told in one line."""
    if not words or words[0] not in _COMMANDS:
        say(f"usage: python3 -m stack {{{'|'.join(_COMMANDS)}}}")
        return 2
    try:
        return _COMMANDS[words[0]](here(), words[1:])
    except StackError as error:
        say(f"\n{error}")
        return 1
    except KeyboardInterrupt:
        say("\nInterrupted; make down stops what was started.")
        os._exit(130)  # steps at work in threads would be waited for


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
