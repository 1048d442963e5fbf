"""Publishing with pipelined confirms: a whole batch is on its way before the first confirm is back."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from uuid import UUID

from pika.adapters.select_connection import SelectConnection

from carenotify.errors import BrokerError
from carenotify.messaging.envelope import Envelope
from carenotify.messaging.link import Link
from carenotify.messaging.publishing_lane import Batch, PublishingLane
from carenotify.messaging.topology import lane_queues, queue_name


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
        self._unready: set[str] = set()
        self._lanes = {
            queue: PublishingLane(queue, confirm_timeout_seconds=confirm_timeout_seconds) for queue in lane_queues()
        }

    def publish(self, envelopes: Sequence[Envelope]) -> set[UUID]:
        """Publish and wait for the confirms. Returns the notification ids that the broker took to its disks.

        What is not in the answer was nacked (queue full), returned (no queue), or not confirmed in time: it may or
        may not be in the broker, and publishing it again does no harm. Raises BrokerError when there is no connection.
        """
        if not envelopes:
            return set()
        self._connect()
        batch = Batch(envelopes)
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
        """Open a channel for each queue. A broker that is short of memory or disk blocks publishers for a while."""
        connection.add_on_connection_blocked_callback(lambda *_: self._ready.clear())
        connection.add_on_connection_unblocked_callback(lambda *_: self._ready.set())
        self._unready = set(self._lanes)
        for queue, lane in self._lanes.items():
            connection.channel(
                on_open_callback=lambda channel, queue=queue, lane=lane: lane.open(
                    channel, ready=lambda: self._lane_ready(queue)
                )
            )

    def _lane_ready(self, queue: str) -> None:
        self._unready.discard(queue)
        if not self._unready:
            self._ready.set()

    def closed(self) -> None:
        """Nothing that waits will be confirmed any more."""
        self._ready.clear()
        for lane in self._lanes.values():
            lane.closed()

    def _send(self, batch: Batch) -> None:
        of_queue: dict[str, list[Envelope]] = {}
        for envelope in batch.envelopes:
            of_queue.setdefault(queue_name(envelope.channel, envelope.lane), []).append(envelope)
        for queue, envelopes in of_queue.items():
            self._lanes[queue].publish(batch, envelopes)
