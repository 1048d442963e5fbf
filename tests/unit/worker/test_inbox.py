from __future__ import annotations

import threading
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from carenotify.domain.notification import Lane
from carenotify.messaging.consumer import Delivery
from carenotify.worker.inbox import Inbox


def delivery(number: int, lane: Lane = Lane.LOW) -> Delivery:
    return Delivery(UUID(int=number), f"sms.{lane}", number, 1)


def filled(*deliveries: Delivery, room: int) -> Inbox:
    inbox = Inbox()
    inbox.add_room(room)
    for one in deliveries:
        inbox.put(one)
    return inbox


@given(st.lists(st.sampled_from(Lane), min_size=1, max_size=30), st.integers(1, 40))
def test_urgent_lanes_go_first_and_each_lane_in_its_order(lanes: list[Lane], room: int) -> None:
    deliveries = [delivery(number, lane) for number, lane in enumerate(lanes)]
    taken = filled(*deliveries, room=room).take(worthwhile=1)
    assert taken == sorted(deliveries, key=lambda one: list(Lane).index(Lane(one.queue[4:])))[:room]


@given(st.integers(1, 60), st.integers(1, 16))
def test_nobody_takes_more_than_there_is_room_for(messages: int, room: int) -> None:
    inbox = filled(*map(delivery, range(messages)), room=room)
    taken = 0
    while taken < messages:
        batch = inbox.take(worthwhile=room)
        assert 0 < len(batch) <= room
        taken += len(batch)
        inbox.add_room(len(batch))
    assert taken == messages


def _taken_in_background(inbox: Inbox, *, worthwhile: int) -> tuple[threading.Thread, list[list[Delivery]]]:
    found: list[list[Delivery]] = []
    thread = threading.Thread(target=lambda: found.append(inbox.take(worthwhile=worthwhile)), daemon=True)
    thread.start()
    return thread, found


def test_bulk_waits_until_enough_places_are_free_and_an_urgent_message_does_not() -> None:
    inbox = filled(*map(delivery, range(10)), room=1)
    thread, found = _taken_in_background(inbox, worthwhile=4)
    thread.join(0.1)
    assert not found
    inbox.put(delivery(99, Lane.HIGH))
    thread.join(5)
    assert [[one.tag for one in batch] for batch in found] == [[99]]


def test_less_than_is_worthwhile_is_taken_when_it_is_all_there_is() -> None:
    assert len(filled(delivery(1), delivery(2), room=8).take(worthwhile=8)) == 2


def test_whoever_waits_is_let_go_when_it_closes_and_nothing_is_taken_after() -> None:
    inbox = Inbox()
    thread, found = _taken_in_background(inbox, worthwhile=1)
    inbox.close()
    thread.join(5)
    assert found == [[]]
    inbox.add_room(5)
    inbox.put(delivery(1))
    assert inbox.take(worthwhile=1) == []
