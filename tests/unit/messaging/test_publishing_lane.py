"""One queue's way out: how much of it is on its way, and what becomes of what nobody waits for any more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pika
import pytest

from carenotify.domain.notification import Channel, Lane
from carenotify.messaging.envelope import Envelope
from carenotify.messaging.publishing_lane import Batch, PublishingLane


class PaperChannel:
    """A connection and its one channel, which keeps what is published and confirms when it is told to."""

    def __init__(self) -> None:
        self.is_open = True
        self.published = 0
        self.confirm: Callable[[Any], None]

    def channel(self, *, on_open_callback: Callable[[PaperChannel], None]) -> None:
        on_open_callback(self)

    def add_on_close_callback(self, _: object) -> None: ...

    def add_on_return_callback(self, _: object) -> None: ...

    def confirm_delivery(self, confirm: Callable[[Any], None], *, callback: Callable[[object], None]) -> None:
        self.confirm = confirm
        callback(None)

    def basic_publish(self, *_: object, **__: object) -> None:
        self.published += 1

    def close(self) -> None:
        self.is_open = False

    def acknowledge(self, tag: int, *, multiple: bool = False) -> None:
        self.confirm(SimpleNamespace(method=pika.spec.Basic.Ack(tag, multiple)))


@pytest.fixture
def channel() -> PaperChannel:
    return PaperChannel()


@pytest.fixture
def lane(channel: PaperChannel) -> PublishingLane:
    return PublishingLane(channel, "sms.low", ready=lambda: None)  # type: ignore[arg-type]


def batch_of(number: int) -> Batch:
    made = datetime(2026, 11, 24, 9, tzinfo=UTC)
    return Batch([Envelope(uuid4(), "reminder", Channel.SMS, Lane.LOW, 1, made) for _ in range(number)])


def publish(lane: PublishingLane, number: int) -> Batch:
    batch = batch_of(number)
    lane.publish(batch, batch.envelopes)
    return batch


def test_a_window_is_unconfirmed_and_each_confirm_lets_the_next_go(lane: PublishingLane, channel: PaperChannel) -> None:
    batch = publish(lane, 1000)
    assert channel.published == 256
    channel.acknowledge(1)
    assert channel.published == 257
    channel.acknowledge(256, multiple=True)
    assert channel.published == 512
    for tag in range(512, 1001, 256):
        channel.acknowledge(tag, multiple=True)
    channel.acknowledge(1000, multiple=True)
    assert channel.published == 1000
    assert batch.done.is_set()
    assert len(batch.confirmed) == 1000


def test_what_is_not_sent_when_nobody_waits_any_more_is_not_sent_at_all(
    lane: PublishingLane, channel: PaperChannel
) -> None:
    batch, later = publish(lane, 300), publish(lane, 10)
    channel.acknowledge(1)
    lane.give_up(batch)
    assert lane.silent_since is None, "it is slow, and not silent"
    channel.acknowledge(257, multiple=True)
    assert batch.done.is_set()
    assert len(batch.confirmed) == 257
    assert channel.published == 257 + 10
    channel.acknowledge(267, multiple=True)
    assert len(later.confirmed) == 10


def test_a_lane_that_confirmed_nothing_gets_no_more_until_it_does(lane: PublishingLane, channel: PaperChannel) -> None:
    lane.give_up(publish(lane, 1))
    assert lane.silent_since is not None
    refused = publish(lane, 10)
    assert refused.done.is_set()
    assert refused.confirmed == set()
    assert channel.published == 1
    channel.acknowledge(1)
    assert lane.silent_since is None
    assert publish(lane, 10).open == 10
    assert channel.published == 11


def test_a_lane_that_owes_nothing_is_not_silent(lane: PublishingLane, channel: PaperChannel) -> None:
    batch = publish(lane, 1)
    channel.acknowledge(1)
    lane.give_up(batch)
    lane.give_up(batch_of(1))
    assert lane.silent_since is None


def test_a_successor_begins_anew_and_what_waited_is_settled(lane: PublishingLane, channel: PaperChannel) -> None:
    batch = publish(lane, 300)
    channel.is_open = True
    successor = lane.successor()
    assert batch.done.is_set()
    assert batch.confirmed == set()
    channel.is_open = True
    anew = publish(successor, 2)
    channel.acknowledge(2, multiple=True)
    assert len(anew.confirmed) == 2
