"""What is on its way to one queue: published, and not yet confirmed.

Each queue has an AMQP channel of its own. RabbitMQ serves a channel by one process, and that stands still when a queue
has no leader: whatever else it carries is not confirmed either. So such a queue holds up nobody but itself.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from uuid import UUID

import pika
from pika.channel import Channel as AmqpChannel

from carenotify.messaging.envelope import TRACEPARENT, Envelope
from carenotify.messaging.link import start_over
from carenotify.messaging.topology import EXCHANGE

_PRIORITY = {"high": 9, "medium": 5, "low": 1}
# So many may be unconfirmed. RabbitMQ gives the reader of a connection credit for 400 messages that a channel has not
# taken (credit_flow_default_credit); with more for a channel that stands still it reads from no other either.
_WINDOW = 256


class Batch:
    """What of one call to `publish` is still open. Changed on the link's thread only."""

    def __init__(self, envelopes: Sequence[Envelope]) -> None:
        self.envelopes = envelopes
        self.open = len(envelopes)
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
    """One queue's channel in confirm mode. Lives on the link's thread."""

    def __init__(self, queue: str, *, confirm_timeout_seconds: float) -> None:
        self._queue = queue
        self._confirm_timeout_seconds = confirm_timeout_seconds
        self._channel: AmqpChannel | None = None
        self._next_tag = 1
        self._oldest_tag = 1
        self._unconfirmed: dict[int, tuple[Batch, UUID]] = {}
        self._unsent: deque[tuple[Batch, Envelope]] = deque()
        self._heard_at = 0.0

    def open(self, channel: AmqpChannel, *, ready: Callable[[], None]) -> None:
        """Use this channel from now on; `ready` is called when it confirms."""
        self._channel = channel
        self._next_tag = self._oldest_tag = 1
        # A channel that the broker closes takes the connection with it, so that there is one way to start over.
        channel.add_on_close_callback(lambda closed, _: start_over(closed))
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm, callback=lambda _: ready())

    def closed(self) -> None:
        """Nothing that waits will be confirmed any more."""
        self._channel = None
        unconfirmed, self._unconfirmed = self._unconfirmed, {}
        for batch, notification_id in unconfirmed.values():
            batch.settle(notification_id, confirmed=False)
        self._drop_unsent()

    def publish(self, batch: Batch, envelopes: Sequence[Envelope]) -> None:
        """Send these, which are this queue's part of the batch, and settle each when the broker has answered.

        Nobody waits for a queue that owes answers and has given none for longer than a batch may take. It gets no more
        until it answers: a channel that stands still is not given copies of what it has not taken yet.
        """
        if not self._unconfirmed:
            self._heard_at = time.monotonic()
        self._unsent.extend((batch, envelope) for envelope in envelopes)
        if self._channel is None or not self._channel.is_open or self._is_silent():
            self._drop_unsent()
        self._send()

    def _is_silent(self) -> bool:
        return time.monotonic() - self._heard_at > self._confirm_timeout_seconds

    def _drop_unsent(self) -> None:
        while self._unsent:
            batch, envelope = self._unsent.popleft()
            batch.settle(envelope.notification_id, confirmed=False)

    def _send(self) -> None:
        channel = self._channel
        if channel is None or not channel.is_open:
            return
        while self._unsent and len(self._unconfirmed) < _WINDOW:
            batch, envelope = self._unsent.popleft()
            self._unconfirmed[self._next_tag] = (batch, envelope.notification_id)
            self._next_tag += 1
            channel.basic_publish(EXCHANGE, self._queue, envelope.encode(), _properties(envelope), mandatory=True)

    def _on_return(self, _: AmqpChannel, __: object, properties: pika.BasicProperties, ___: bytes) -> None:
        returned = UUID(properties.message_id)
        for batch, notification_id in self._unconfirmed.values():
            if notification_id == returned:
                batch.returned.add(returned)

    def _on_confirm(self, frame: pika.frame.Method) -> None:
        self._heard_at = time.monotonic()
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
