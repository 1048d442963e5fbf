"""How the worker's process ends: deliveries first, and no loop holds it up."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from carenotify.worker import __main__ as process
from carenotify.worker.periodic import Periodic
from tests.integration.ward import wait_for


class Hanging:
    """A round that ends when the test lets it."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.let_go = threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        self.let_go.wait()


class Draining:
    """A worker that notes that it was drained, and which loops had been asked to stop by then."""

    def __init__(self, *loops: Periodic) -> None:
        self.loops = loops
        self.drained: list[list[bool]] = []

    def drain(self) -> None:
        self.drained.append([loop.stopping for loop in self.loops])


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    hanging = Hanging()
    yield hanging
    hanging.let_go.set()


def test_what_is_in_hand_is_finished_before_any_loop_is_waited_for(
    hanging: Hanging, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(process, "_LAST_ROUND_SECONDS", 0.05)
    loops = [Periodic("look-ups", hanging, interval_seconds=0.001), Periodic("relay", int, interval_seconds=0.001)]
    worker = Draining(*loops)
    for loop in loops:
        loop.start()
    wait_for(hanging.begun.is_set)
    process.wind_down([worker], loops)  # type: ignore[list-item]
    assert worker.drained == [[True, True]]
    assert [record.getMessage() for record in caplog.records] == [
        "look-ups is not waited for any longer; other workers do what it leaves"
    ]
