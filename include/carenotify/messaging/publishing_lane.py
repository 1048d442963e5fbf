"""What is on its way to one queue: published, and not yet confirmed.

Each queue has an AMQP channel of its own. RabbitMQ serves a channel by one process, and that stands still when a queue
has no leader: whatever else it carries is not confirmed either. So such a queue holds up nobody but itself.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from uuid import UUID

import pika
from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel as AmqpChannel

from carenotify.messaging.envelope import TRACEPARENT, Envelope
from carenotify.messaging.link import start_over
from carenotify.messaging.topology import EXCHANGE

log = logging.getLogger(__name__)

_PRIORITY = {"high": 9, "medium": 5, "low": 1}
# So many may be unconfirmed. RabbitMQ gives the reader of a connection credit for 400 messages that a channel has not
# taken (credit_flow_default_credit); with more for a channel that stands still it reads from no other either.
_WINDOW = 256


class Batch:
    """What of one call to `publish` is still open. Changed on the link's thread only."""

    def __init__(self, envelopes: Sequence[Envelope]) -> None:
        self.envelopes = envelopes
        self.open = len(envelopes)
        self.begun = time.monotonic()
        self.confirmed: set[UUID] = set()
        self.returned: set[UUID] = set()
        self.done = threading.Event()

    def settle(self, notification_id: UUID, *, confirmed: bool) -> None:
        """One message was confirmed, or was not. A returned message is confirmed as well, and does not count."""
        if confirmed and notification_id not in self.returned:
            self.confirmed.add(notification_id)
        self.open -= 1
        if self.open == 0:
            self.done.set()


class PublishingLane:
    """One queue's channel in confirm mode. Lives on the link's thread.

    A lane is silent when it confirmed nothing for as long as a batch is waited for. Then nobody waits for it, and it
    gets no more: a channel that stands still is not given copies of what it has not taken yet.
    """

    def __init__(self, connection: SelectConnection, queue: str, *, ready: Callable[[], None]) -> None:
        """Open a channel; `ready` is called when it confirms. What is published earlier waits for that."""
        self.queue = queue
        self.silent_since: float | None = None
        self._channel: AmqpChannel | None = None
        self._over = False
        self._next_tag = 1
        self._oldest_tag = 1
        self._heard_at = -math.inf
        self._unconfirmed: dict[int, tuple[Batch, UUID]] = {}
        self._unsent: deque[tuple[Batch, Envelope]] = deque()
        self._connection = connection
        self._ready = ready
        connection.channel(on_open_callback=self._on_open)

    def successor(self) -> PublishingLane:
        """This queue's lane on another channel; this one is over."""
        self.close()
        return PublishingLane(self._connection, self.queue, ready=lambda: None)

    def close(self) -> None:
        """Let go of the channel: nothing is sent any more, and nothing that waits will be confirmed."""
        self._over = True
        if self._channel is not None and self._channel.is_open:
            self._channel.close()
        unconfirmed, self._unconfirmed = self._unconfirmed, {}
        for batch, notification_id in unconfirmed.values():
            batch.settle(notification_id, confirmed=False)
        self._drop(lambda _: True)

    def publish(self, batch: Batch, envelopes: Sequence[Envelope]) -> None:
        """Send these, which are this queue's part of the batch, and settle each when the broker has answered."""
        self._unsent.extend((batch, envelope) for envelope in envelopes)
        if self.silent_since is None:
            self._send()
        else:
            self._drop(lambda _: True)

    def give_up(self, batch: Batch) -> None:
        """Nobody waits for this batch any more: what of it was not sent yet is not sent."""
        owes = any(waiting is batch for waiting, _ in self._unconfirmed.values())
        if owes and self._heard_at < batch.begun and self.silent_since is None:
            self.silent_since = time.monotonic()
            log.warning("RabbitMQ confirms nothing on %s; its messages stay pending, the others go on", self.queue)
        self._drop(lambda unsent: unsent is batch)

    def heard(self) -> None:
        """The broker takes messages again."""
        self._heard_at = time.monotonic()
        self.silent_since = None

    def _drop(self, unwanted: Callable[[Batch], bool]) -> None:
        kept: deque[tuple[Batch, Envelope]] = deque()
        for batch, envelope in self._unsent:
            if unwanted(batch):
                batch.settle(envelope.notification_id, confirmed=False)
            else:
                kept.append((batch, envelope))
        self._unsent = kept

    def _send(self) -> None:
        channel = self._channel
        if channel is None or not channel.is_open:
            return
        while self._unsent and len(self._unconfirmed) < _WINDOW:
            batch, envelope = self._unsent.popleft()
            self._unconfirmed[self._next_tag] = (batch, envelope.notification_id)
            self._next_tag += 1
            channel.basic_publish(EXCHANGE, self.queue, envelope.encode(), _properties(envelope), mandatory=True)

    def _on_open(self, channel: AmqpChannel) -> None:
        channel.add_on_close_callback(self._on_close)
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm, callback=lambda _: self._on_confirming(channel))

    def _on_confirming(self, channel: AmqpChannel) -> None:
        self._channel = channel
        self._send()
        self._ready()

    def _on_close(self, channel: AmqpChannel, _: Exception) -> None:
        # A channel that the broker closes takes the connection with it, so that there is one way to start over.
        if not self._over:
            start_over(channel)

    def _on_return(self, _: AmqpChannel, __: object, properties: pika.BasicProperties, ___: bytes) -> None:
        returned = UUID(properties.message_id)
        for batch, notification_id in self._unconfirmed.values():
            if notification_id == returned:
                batch.returned.add(returned)

    def _on_confirm(self, frame: pika.frame.Method) -> None:
        self.heard()
        confirmed = isinstance(frame.method, pika.spec.Basic.Ack)
        tag = frame.method.delivery_tag
        tags = range(self._oldest_tag, tag + 1) if frame.method.multiple else (tag,)
        for settled in tags:
            entry = self._unconfirmed.pop(settled, None)
            if entry is not None:
                entry[0].settle(entry[1], confirmed=confirmed)
        if frame.method.multiple:
            self._oldest_tag = tag + 1
        self._send()


def _properties(envelope: Envelope) -> pika.BasicProperties:
    message_id = str(envelope.notification_id)
    return pika.BasicProperties(
        content_type="application/json",
        delivery_mode=pika.DeliveryMode.Persistent.value,
        priority=_PRIORITY[envelope.lane],
        correlation_id=message_id,
        message_id=message_id,
        timestamp=int(envelope.created_at.timestamp()),
        type=envelope.kind,
        headers={TRACEPARENT: envelope.traceparent} if envelope.traceparent else None,
    )
