"""Publishing to a real RabbitMQ: only what its disks have counts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pika
import pytest

from carenotify.domain.notification import Channel, Lane
from carenotify.errors import BrokerError, EnvelopeError
from carenotify.messaging import topology
from carenotify.messaging.address import blocking_channel
from carenotify.messaging.envelope import Envelope, decode_notification_id
from carenotify.messaging.publisher import Publisher


def envelope(notification_id: UUID | None = None) -> Envelope:
    made = datetime(2026, 11, 24, 9, tzinfo=UTC)
    return Envelope(notification_id or uuid4(), "reminder", Channel.SMS, Lane.LOW, 1, made)


@pytest.fixture
def publisher(broker_url: str) -> Iterator[Publisher]:
    publisher = Publisher(broker_url, confirm_timeout_seconds=5)
    yield publisher
    publisher.close()


def test_a_batch_is_confirmed_and_waits_in_its_queue(publisher: Publisher, broker_url: str) -> None:
    envelopes = [envelope() for _ in range(500)]
    assert publisher.publish(envelopes) == {one.notification_id for one in envelopes}
    assert topology.ready_counts(broker_url)["sms.low"] == 500


def test_a_message_holds_ids_and_nothing_personal(publisher: Publisher, broker_url: str) -> None:
    sent = envelope()
    publisher.publish([sent])
    with blocking_channel(broker_url) as channel:
        _, properties, body = channel.basic_get("sms.low", auto_ack=True)
    assert isinstance(properties, pika.BasicProperties)
    assert decode_notification_id(body) == sent.notification_id
    assert (properties.message_id, properties.type, properties.delivery_mode) == (
        str(sent.notification_id),
        "reminder",
        2,
    )
    assert set(__import__("json").loads(body)) == {"schema", "notification_id", "channel", "attempt", "created_at"}


def test_what_the_broker_cannot_route_is_not_confirmed(publisher: Publisher, broker_url: str) -> None:
    kept, returned = envelope(), envelope()
    publisher.publish([])
    publisher.publish([kept])
    with blocking_channel(broker_url) as channel:
        channel.queue_delete("sms.low")
    assert publisher.publish([returned]) == set()


def test_a_full_queue_pushes_back_and_drops_nothing(
    publisher: Publisher, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(topology.LANE_ARGUMENTS, "x-max-length", 10)
    # A quorum queue tells its publishers a little after the fact that it is full.
    batches = [publisher.publish([envelope() for _ in range(100)]) for _ in range(10)]
    confirmed = sum(len(batch) for batch in batches)
    assert 10 <= confirmed < 1000
    assert batches[-1] == set()
    assert topology.ready_counts(broker_url)["sms.low"] == confirmed


def test_a_broker_that_is_away_is_named_without_its_password() -> None:
    publisher = Publisher("amqp://someone:secret@127.0.0.1:1/", connect_timeout_seconds=0.5)
    with pytest.raises(BrokerError) as caught:
        publisher.publish([envelope()])
    assert "secret" not in str(caught.value)
    publisher.close()


def test_declaring_twice_changes_nothing(broker_url: str) -> None:
    topology.declare(broker_url)
    topology.declare(broker_url)
    assert set(topology.ready_counts(broker_url)) == {f"{channel}.{lane}" for channel in Channel for lane in Lane}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b'{"schema": 2}', b'{"schema": 1, "notification_id": 7}'])
def test_a_message_that_is_not_ours_is_refused(body: bytes) -> None:
    with pytest.raises(EnvelopeError):
        decode_notification_id(body)
