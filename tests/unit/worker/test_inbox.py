from __future__ import annotations

import threading
import time
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from carenotify.domain.notification import Lane
from carenotify.messaging.consumer import Delivery
from carenotify.worker.inbox import Inbox, Ready


def delivery(number: int, lane: Lane = Lane.LOW) -> Delivery:
    return Delivery(UUID(int=number), f"sms.{lane}", number, 1)


def filled(*deliveries: Delivery, places: int, bulk_places: int | None = None) -> Inbox:
    inbox = Inbox(places=places, bulk_places=places if bulk_places is None else bulk_places)
    for one in deliveries:
        inbox.put(one)
    return inbox


def take(inbox: Inbox, *, worthwhile: int) -> list[Delivery]:
    """All that is ready, as with a provider that has no rate."""
    ready = inbox.wait(worthwhile=worthwhile)
    return [] if ready is None else inbox.take(urgent=ready.urgent, bulk=ready.bulk)


@given(st.lists(st.sampled_from(Lane), min_size=1, max_size=30), st.integers(1, 40))
def test_urgent_lanes_go_first_and_each_lane_in_its_order(lanes: list[Lane], places: int) -> None:
    deliveries = [delivery(number, lane) for number, lane in enumerate(lanes)]
    taken = take(filled(*deliveries, places=places), worthwhile=1)
    assert taken == sorted(deliveries, key=lambda one: list(Lane).index(Lane(one.queue[4:])))[:places]


@given(st.integers(1, 60), st.integers(1, 16))
def test_nobody_takes_more_than_there_are_places_for(messages: int, places: int) -> None:
    inbox = filled(*map(delivery, range(messages)), places=places)
    taken = 0
    while taken < messages:
        batch = take(inbox, worthwhile=places)
        assert 0 < len(batch) <= places
        taken += len(batch)
        inbox.leave(batch)
    assert taken == messages


def _ready_in_background(inbox: Inbox, *, worthwhile: int) -> tuple[threading.Thread, list[Ready | None]]:
    found: list[Ready | None] = []
    thread = threading.Thread(target=lambda: found.append(inbox.wait(worthwhile=worthwhile)), daemon=True)
    thread.start()
    return thread, found


def test_bulk_waits_until_enough_places_are_free_and_an_urgent_message_does_not() -> None:
    inbox = filled(*map(delivery, range(10)), places=1)
    thread, found = _ready_in_background(inbox, worthwhile=4)
    thread.join(0.1)
    assert not found
    inbox.put(delivery(99, Lane.HIGH))
    thread.join(5)
    assert found == [Ready(urgent=1, bulk=0)]


def test_less_than_is_worthwhile_is_taken_when_it_is_all_there_is() -> None:
    assert len(take(filled(delivery(1), delivery(2), places=8), worthwhile=8)) == 2


def test_bulk_leaves_places_for_what_is_urgent() -> None:
    inbox = filled(*map(delivery, range(10)), places=8, bulk_places=6)
    assert len(take(inbox, worthwhile=6)) == 6
    thread, found = _ready_in_background(inbox, worthwhile=1)
    thread.join(0.1)
    assert not found
    inbox.put(delivery(99, Lane.HIGH))
    thread.join(5)
    assert [one.tag for one in inbox.take(urgent=1, bulk=0)] == [99]


def test_a_place_is_free_again_for_the_sort_that_had_it() -> None:
    inbox = filled(*map(delivery, range(3)), delivery(99, Lane.HIGH), places=3, bulk_places=2)
    urgent, *bulk = take(inbox, worthwhile=2)
    assert urgent.tag == 99
    inbox.leave([urgent])
    thread, found = _ready_in_background(inbox, worthwhile=1)
    thread.join(0.1)
    assert not found
    inbox.leave(bulk[:1])
    thread.join(5)
    assert found == [Ready(urgent=0, bulk=1)]


def test_what_has_no_leave_yet_waits_here_and_is_ready_when_its_time_comes() -> None:
    inbox = filled(delivery(1), places=4)
    began = time.monotonic()
    inbox.hold(urgent_seconds=0, bulk_seconds=0.2)
    inbox.hold(urgent_seconds=0, bulk_seconds=0)
    assert inbox.wait(worthwhile=1) == Ready(urgent=0, bulk=1)
    assert 0.2 <= time.monotonic() - began < 5


def test_bulk_without_leave_holds_up_nothing_urgent() -> None:
    inbox = filled(delivery(1), places=4)
    inbox.hold(urgent_seconds=0, bulk_seconds=60)
    thread, found = _ready_in_background(inbox, worthwhile=1)
    thread.join(0.1)
    assert not found
    inbox.put(delivery(99, Lane.HIGH))
    thread.join(5)
    assert found == [Ready(urgent=1, bulk=0)]


def test_whoever_waits_is_let_go_when_it_closes_and_nothing_is_ready_after() -> None:
    inbox = Inbox(places=5, bulk_places=5)
    thread, found = _ready_in_background(inbox, worthwhile=1)
    inbox.close()
    thread.join(5)
    assert found == [None]
    inbox.put(delivery(1))
    assert inbox.wait(worthwhile=1) is None


def test_a_message_of_a_sort_that_waits_already_wakes_nobody() -> None:
    inbox = Inbox(places=2, bulk_places=1)
    woken: list[int] = []
    inbox._changed.notify = lambda n=1: woken.append(n)  # type: ignore[method-assign]
    for number, lane in enumerate([Lane.LOW, Lane.LOW, Lane.HIGH, Lane.HIGH, Lane.LOW]):
        inbox.put(delivery(number, lane))
    assert len(woken) == 2, "the first of each sort"
