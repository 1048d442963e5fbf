"""Exchange and queues, as data; declaring them again changes nothing.

One durable quorum queue for each channel and lane, all of which push back when they are full instead of dropping.
Nothing here differs between RabbitMQ 3.10 and 4.x.
"""

from __future__ import annotations

from typing import Any

from pika.adapters.blocking_connection import BlockingChannel

from carenotify.domain.notification import Channel, Lane
from carenotify.messaging.address import blocking_channel

EXCHANGE = "notifications"
FAILED_EXCHANGE = "notifications.failed"
FAILED_QUEUE = "failed"

_MESSAGE_TTL_MILLISECONDS = 24 * 60 * 60 * 1000
_LENGTH_LIMIT = 100_000
# Explicit, because 4.x would otherwise dead-letter after 20 deliveries: a worker that restarts often is no poison.
_DELIVERY_LIMIT = 1_000_000

LANE_ARGUMENTS: dict[str, Any] = {
    "x-queue-type": "quorum",
    "x-message-ttl": _MESSAGE_TTL_MILLISECONDS,
    "x-max-length": _LENGTH_LIMIT,
    "x-overflow": "reject-publish",
    "x-delivery-limit": _DELIVERY_LIMIT,
    "x-dead-letter-exchange": FAILED_EXCHANGE,
    "x-dead-letter-routing-key": FAILED_QUEUE,
    "x-dead-letter-strategy": "at-least-once",
}
FAILED_ARGUMENTS: dict[str, Any] = {"x-queue-type": "quorum", "x-delivery-limit": _DELIVERY_LIMIT}


def queue_name(channel: Channel, lane: Lane) -> str:
    """Name and routing key of a lane's queue."""
    return f"{channel.value}.{lane.value}"


def lane_queues() -> list[str]:
    """Every lane's queue."""
    return [queue_name(channel, lane) for channel in Channel for lane in Lane]


def declare(url: str) -> None:
    """Make sure that exchange and queues are there. Raises BrokerError when the broker is away or disagrees."""
    with blocking_channel(url) as channel:
        channel.exchange_declare(EXCHANGE, exchange_type="direct", durable=True)
        declare_failed(channel)
        for name in lane_queues():
            _declare_lane(channel, name)


def declare_failed(channel: BlockingChannel) -> None:
    """Make sure that what the broker gives up has where to go."""
    channel.exchange_declare(FAILED_EXCHANGE, exchange_type="direct", durable=True)
    channel.queue_declare(FAILED_QUEUE, durable=True, arguments=FAILED_ARGUMENTS)
    channel.queue_bind(FAILED_QUEUE, FAILED_EXCHANGE, FAILED_QUEUE)


def ready_counts(url: str) -> dict[str, int]:
    """How many messages wait in each lane's queue; a queue that is gone is made again, and holds none."""
    with blocking_channel(url) as channel:
        return {name: _declare_lane(channel, name) for name in lane_queues()}


def _declare_lane(channel: BlockingChannel, name: str) -> int:
    declared = channel.queue_declare(name, durable=True, arguments=LANE_ARGUMENTS)
    channel.queue_bind(name, EXCHANGE, name)
    return int(declared.method.message_count)
