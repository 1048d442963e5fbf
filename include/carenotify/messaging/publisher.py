"""Publishing with pipelined confirms: a whole batch is on its way before the first confirm is back."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from uuid import UUID

import pika
from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel as AmqpChannel

from carenotify.errors import BrokerError
from carenotify.messaging.envelope import TRACEPARENT, Envelope
from carenotify.messaging.link import Link, start_over
from carenotify.messaging.topology import EXCHANGE, queue_name

_PRIORITY = {"high": 9, "medium": 5, "low": 1}


class _Batch:
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


class Publisher:
    """Publishes envelopes to their lane's queue. Safe to call from many threads; connects on first use."""

    def __init__(
        self, url: str, *, connect_timeout_seconds: float = 5.0, confirm_timeout_seconds: float = 10.0
    ) -> None:
        self._connect_timeout_seconds = connect_timeout_seconds
        self._confirm_timeout_seconds = confirm_timeout_seconds
        self._link = Link(url, self, name="publisher")
        self._start = threading.Lock()
        self._started = False
        self._ready = threading.Event()
        self._channel: AmqpChannel | None = None
        self._next_tag = 1
        self._oldest_tag = 1
        self._waiting: dict[int, tuple[_Batch, UUID]] = {}

    def publish(self, envelopes: Sequence[Envelope]) -> set[UUID]:
        """Publish and wait for the confirms. Returns the notification ids that the broker took to its disks.

        What is not in the answer was nacked (queue full), returned (no queue), or not confirmed in time: it may or
        may not be in the broker, and publishing it again does no harm. Raises BrokerError when there is no connection.
        """
        if not envelopes:
            return set()
        self._connect()
        batch = _Batch(envelopes)
        if not self._ready.wait(self._connect_timeout_seconds) or not self._link.call(lambda: self._send(batch)):
            raise BrokerError("RabbitMQ cannot be reached; what was to be published stays pending")
        batch.done.wait(self._confirm_timeout_seconds)
        return set(batch.confirmed)

    def close(self) -> None:
        """Close the connection for good. Whoever waits for it, or comes later, gets a BrokerError at once."""
        with self._start:
            self._started = True  # so that nobody opens one any more
        self._ready.set()
        self._link.stop()

    def _connect(self) -> None:
        with self._start:
            if not self._started:
                self._started = True
                self._link.start()

    # --- on the link's thread from here on ---------------------------------------------------

    def opened(self, connection: SelectConnection) -> None:
        """Open a channel in confirm mode. A broker that is short of memory or disk blocks publishers for a while."""
        connection.add_on_connection_blocked_callback(lambda *_: self._ready.clear())
        connection.add_on_connection_unblocked_callback(lambda *_: self._ready.set())
        connection.channel(on_open_callback=self._channel_opened)

    def closed(self) -> None:
        """Nothing that waits will be confirmed any more."""
        self._ready.clear()
        self._channel = None
        waiting, self._waiting = self._waiting, {}
        for batch, notification_id in waiting.values():
            batch.settle(notification_id, confirmed=False)

    def _channel_opened(self, channel: AmqpChannel) -> None:
        self._channel = channel
        self._next_tag = self._oldest_tag = 1
        # A channel that the broker closes takes the connection with it, so that there is one way to start over.
        channel.add_on_close_callback(lambda closed, _: start_over(closed))
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm, callback=lambda _: self._ready.set())

    def _send(self, batch: _Batch) -> None:
        channel = self._channel
        if channel is None or not channel.is_open:
            for envelope in batch.envelopes:
                batch.settle(envelope.notification_id, confirmed=False)
            return
        for envelope in batch.envelopes:
            self._waiting[self._next_tag] = (batch, envelope.notification_id)
            self._next_tag += 1
            channel.basic_publish(
                EXCHANGE,
                queue_name(envelope.channel, envelope.lane),
                envelope.encode(),
                _properties(envelope),
                mandatory=True,
            )

    def _on_return(self, _: AmqpChannel, __: object, properties: pika.BasicProperties, ___: bytes) -> None:
        returned = UUID(properties.message_id)
        for batch, notification_id in self._waiting.values():
            if notification_id == returned:
                batch.returned.add(returned)

    def _on_confirm(self, frame: pika.frame.Method) -> None:
        confirmed = isinstance(frame.method, pika.spec.Basic.Ack)
        tag = frame.method.delivery_tag
        tags = range(self._oldest_tag, tag + 1) if frame.method.multiple else (tag,)
        for settled in tags:
            entry = self._waiting.pop(settled, None)
            if entry is not None:
                entry[0].settle(entry[1], confirmed=confirmed)
        if frame.method.multiple:
            self._oldest_tag = tag + 1


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
