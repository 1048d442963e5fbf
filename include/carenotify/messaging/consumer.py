"""Taking messages from queues into a local inbox, and acknowledging them once what they ask for is recorded.

Each queue has an AMQP channel of its own, so that a slow lane holds up no other lane's acknowledgements, and acks go
out with `multiple` for the longest run of deliveries that are done.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import pika
from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel as AmqpChannel

from carenotify.errors import EnvelopeError
from carenotify.messaging.envelope import decode_notification_id, decode_traceparent
from carenotify.messaging.link import Link, start_over

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message in our hands. It is the broker's again when the connection (`epoch`) that brought it closes."""

    notification_id: UUID
    queue: str
    tag: int
    epoch: int
    traceparent: str | None = None


class _Lane:
    """One queue's channel. Lives on the link's thread."""

    def __init__(
        self, queue: str, *, epoch: int, prefetch: int, priority: int, deliver: Callable[[Delivery], None]
    ) -> None:
        self.queue = queue
        self.channel: AmqpChannel | None = None
        self._epoch = epoch
        self._prefetch = prefetch
        self._priority = priority
        self._deliver = deliver
        self._consumer_tag: str | None = None
        self._unacked: deque[int] = deque()
        self._done: set[int] = set()

    def open(self, channel: AmqpChannel, *, consuming: bool) -> None:
        """Use this channel from now on."""
        self.channel = channel
        # A channel that the broker closes, or a queue that it loses, takes the connection along: one way to recover.
        channel.add_on_close_callback(lambda closed, _: start_over(closed))
        channel.add_on_cancel_callback(lambda _: start_over(channel))
        channel.basic_qos(prefetch_count=self._prefetch)
        self.consume(consuming)

    def consume(self, wanted: bool) -> None:  # noqa: FBT001 - a switch
        """Start or stop taking messages; what is already here stays ours."""
        if self.channel is None or not self.channel.is_open or wanted == (self._consumer_tag is not None):
            return
        if wanted:
            self._consumer_tag = self.channel.basic_consume(
                self.queue, self._on_message, arguments={"x-priority": self._priority}
            )
        elif self._consumer_tag is not None:
            self.channel.basic_cancel(self._consumer_tag)
            self._consumer_tag = None

    def _on_message(
        self, channel: AmqpChannel, method: pika.spec.Basic.Deliver, properties: pika.BasicProperties, body: bytes
    ) -> None:
        self._unacked.append(method.delivery_tag)
        try:
            notification_id = decode_notification_id(body)
        except EnvelopeError as error:
            log.warning("a message on %s is %s; it goes to the dead letters", self.queue, error)
            self._unacked.remove(method.delivery_tag)
            channel.basic_reject(method.delivery_tag, requeue=False)
            return
        traceparent = decode_traceparent(properties.headers)
        self._deliver(Delivery(notification_id, self.queue, method.delivery_tag, self._epoch, traceparent))

    def ack(self, tags: Iterable[int]) -> None:
        """Acknowledge the longest run from the oldest delivery on; the rest waits for its elders."""
        self._done.update(tags)
        last = None
        while self._unacked and self._unacked[0] in self._done:
            last = self._unacked.popleft()
            self._done.discard(last)
        if last is not None and self.channel is not None and self.channel.is_open:
            self.channel.basic_ack(last, multiple=True)


class Consumer:
    """Consumes some queues. `deliver` is called on the connection's thread and must only put the delivery away.

    A consumer of a higher `priority` is given messages first, until its prefetch is full
    (https://www.rabbitmq.com/docs/consumer-priority).
    """

    def __init__(
        self, url: str, queues: Sequence[str], *, prefetch: int, deliver: Callable[[Delivery], None], priority: int = 0
    ) -> None:
        self._queues = tuple(queues)
        self._prefetch = prefetch
        self._priority = priority
        self._deliver = deliver
        self._epoch = 0
        self._lanes: dict[str, _Lane] = {}
        self._consuming = True
        self._link = Link(url, self, name="consumer")

    def start(self) -> None:
        """Connect and consume, in the background, until `close`."""
        self._link.start()

    @property
    def connected(self) -> bool:
        """Whether messages can come in now."""
        return bool(self._lanes)

    def consume(self, wanted: bool) -> None:  # noqa: FBT001 - a switch
        """Start or stop taking messages from every queue."""
        if wanted != self._consuming:
            self._consuming = wanted
            self._link.call(self._apply_consuming)

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """What these deliveries asked for is recorded. Deliveries of an earlier connection are the broker's again."""
        self._link.call(lambda: self._ack(deliveries))

    def close(self) -> None:
        """Close the connection; what was not acknowledged goes back to its queue."""
        self._link.stop()

    # --- on the link's thread from here on ---------------------------------------------------

    def opened(self, connection: SelectConnection) -> None:
        """Open a channel for each queue."""
        self._epoch += 1
        for queue in self._queues:
            lane = _Lane(
                queue, epoch=self._epoch, prefetch=self._prefetch, priority=self._priority, deliver=self._deliver
            )
            self._lanes[queue] = lane
            connection.channel(
                on_open_callback=lambda channel, lane=lane: lane.open(channel, consuming=self._consuming)
            )

    def closed(self) -> None:
        """Every delivery tag is void."""
        self._lanes = {}

    def _apply_consuming(self) -> None:
        for lane in self._lanes.values():
            lane.consume(self._consuming)

    def _ack(self, deliveries: Sequence[Delivery]) -> None:
        tags: dict[str, list[int]] = {}
        for delivery in deliveries:
            if delivery.epoch == self._epoch:
                tags.setdefault(delivery.queue, []).append(delivery.tag)
        for queue, done in tags.items():
            if queue in self._lanes:
                self._lanes[queue].ack(done)
