from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from carenotify.domain.notification import Lane
from carenotify.errors import BrokerError
from carenotify.journeys.publish_at_once import PromptPublisher


class Lanes:
    """Stands where lanes are published; each lane's turn can be waited for, and can fail."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.turns = {lane: threading.Semaphore(0) for lane in Lane}

    def __call__(self, lane: Lane) -> None:
        self.turns[lane].release()
        if self.error is not None:
            raise self.error

    def came(self, lane: Lane) -> bool:
        return self.turns[lane].acquire(timeout=10)


@pytest.fixture
def lanes() -> Lanes:
    return Lanes()


@pytest.fixture
def publisher(lanes: Lanes) -> Iterator[PromptPublisher]:
    publisher = PromptPublisher(lanes)
    yield publisher
    publisher.close()


def test_each_wake_publishes_changes_and_requests_and_leaves_reminders_alone(
    publisher: PromptPublisher, lanes: Lanes
) -> None:
    for _ in range(3):
        publisher.wake()
        assert lanes.came(Lane.HIGH)
        assert lanes.came(Lane.MEDIUM)
    assert not lanes.turns[Lane.LOW].acquire(blocking=False)


@pytest.mark.parametrize("error", [BrokerError("away"), ValueError("Anna")], ids=lambda error: type(error).__name__)
def test_no_failure_ends_the_thread_or_tells_what_was_in_it(
    publisher: PromptPublisher, lanes: Lanes, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    lanes.error = error
    publisher.wake()
    assert lanes.came(Lane.HIGH)
    lanes.error = None
    publisher.wake()
    assert lanes.came(Lane.HIGH)
    assert lanes.came(Lane.MEDIUM)
    assert "Anna" not in caplog.text


def test_closing_ends_the_thread_and_is_no_matter_where_none_was_started(lanes: Lanes) -> None:
    PromptPublisher(lanes).close()
    before = set(threading.enumerate())
    publisher = PromptPublisher(lanes)
    publisher.wake()
    assert lanes.came(Lane.MEDIUM)
    publisher.close()
    assert "publish-at-once" not in {thread.name for thread in set(threading.enumerate()) - before}
