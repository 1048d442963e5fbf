"""How many threads a process of the API has: enough that those who read leave some for events."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import pytest
from click.testing import CliRunner

from carenotify.api import __main__ as program
from carenotify.api.server import Place
from carenotify.app import build_app
from carenotify.config import load_settings
from carenotify.errors import TooBusyError
from carenotify.journeys.take_turns import Turns
from tests.unit.test_app import SETTINGS


def started_with(monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[str, list[Place]]:
    """What the program says, and what it serves."""
    places: list[Place] = []
    monkeypatch.setattr(program, "serve", places.append)
    monkeypatch.setattr(program, "configure_logging", lambda: None)
    return CliRunner().invoke(program.main, list(options)).output, places


@pytest.mark.parametrize("threads", ["1", "4", "7"])
def test_so_few_threads_that_readers_could_take_all_of_them_are_refused(
    monkeypatch: pytest.MonkeyPatch, threads: str
) -> None:
    said, places = started_with(monkeypatch, "--threads", threads)
    assert places == []
    assert f"Invalid value for '--threads': {threads} is not in the range x>=8" in said


@pytest.mark.parametrize("options", [[], ["--threads", "12"]])
def test_two_threads_are_left_when_as_many_as_may_read_reports_and_lists(
    monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    _, (place,) = started_with(monkeypatch, *options)
    app = build_app(load_settings(SETTINGS))
    assert readers_at_once(app.slow_reads) + readers_at_once(app.list_reads) <= place.threads - 2


def readers_at_once(turns: Turns) -> int:
    number = 0
    with ExitStack() as taken, suppress(TooBusyError):
        while True:
            taken.enter_context(turns.one(patience_seconds=0))
            number += 1
    return number
