"""Publishing with pipelined confirms: a whole batch is on its way before the first confirm is back."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import partial
from uuid import UUID

from pika.adapters.select_connection import SelectConnection

from carenotify.errors import BrokerError
from carenotify.messaging.envelope import Envelope
from carenotify.messaging.link import Link
from carenotify.messaging.publishing_lane import Batch, PublishingLane
from carenotify.messaging.topology import lane_queues, queue_name


class Publisher:
    """Publishes envelopes to their lane's queue. Safe to call from many threads; connects on first use.

    A queue that confirms nothing for `confirm_timeout_seconds` is silent until it answers, and tried again on another
    channel after `silence_seconds`: RabbitMQ may have forgotten what the old one waits for.
    """

    def __init__(
        self,
        url: str,
        *,
        connect_timeout_seconds: float = 5.0,
        confirm_timeout_seconds: float = 10.0,
        silence_seconds: float = 300.0,
    ) -> None:
        self._connect_timeout_seconds = connect_timeout_seconds
        self._confirm_timeout_seconds = confirm_timeout_seconds
        self._silence_seconds = silence_seconds
        self._link = Link(url, self, name="publisher")
        self._start = threading.Lock()
        self._started = False
        self._closing = False
        self._ready = threading.Event()
        self._lanes: dict[str, PublishingLane] = {}
        self._unready: set[str] = set()

    def publish(self, envelopes: Sequence[Envelope]) -> set[UUID]:
        """Publish and wait for the confirms. Returns the notification ids that the broker took to its disks.

        What is not in the answer was nacked (queue full), returned (no queue), or not confirmed in time: it may or
        may not be in the broker, and publishing it again does no harm. Raises BrokerError when there is no connection.
        """
        if not envelopes:
            return set()
        self._connect()
        batch = Batch(envelopes)
        ready = self._ready.wait(self._connect_timeout_seconds) and not self._closing
        if not ready or not self._link.call(lambda: self._send(batch)):
            raise BrokerError("RabbitMQ cannot be reached; what was to be published stays pending")
        if not batch.done.wait(self._confirm_timeout_seconds):
            self._link.call(lambda: self._give_up(batch))
        return set(batch.confirmed)

    def silent_queues(self) -> set[str]:
        """Those that confirm nothing and are not to be tried again yet."""
        return {queue for queue, lane in list(self._lanes.items()) if self._is_silent(lane)}

    def close(self) -> None:
        """Close the connection for good. Whoever waits for it, or comes later, gets a BrokerError at once."""
        with self._start:
            self._started = self._closing = True  # so that nobody opens one any more
        self._ready.set()
        self._link.stop()
        self._ready.set()

    def _connect(self) -> None:
        with self._start:
            if not self._started:
                self._started = True
                self._link.start()

    def _is_silent(self, lane: PublishingLane) -> bool:
        since = lane.silent_since
        return since is not None and time.monotonic() - since < self._silence_seconds

    # --- on the link's thread from here on ---------------------------------------------------

    def opened(self, connection: SelectConnection) -> None:
        """Open a channel for each queue. A broker that is short of memory or disk blocks publishers for a while."""
        connection.add_on_connection_blocked_callback(lambda *_: self._ready.clear())
        connection.add_on_connection_unblocked_callback(lambda *_: self._unblocked())
        self._unready = set(lane_queues())
        self._lanes = {
            queue: PublishingLane(connection, queue, ready=partial(self._lane_ready, queue)) for queue in lane_queues()
        }

    def closed(self) -> None:
        """Nothing that waits will be confirmed any more."""
        self._ready.clear()
        lanes, self._lanes = self._lanes, {}
        for lane in lanes.values():
            lane.close()

    def _lane_ready(self, queue: str) -> None:
        self._unready.discard(queue)
        if not self._unready:
            self._ready.set()

    def _unblocked(self) -> None:
        # What was on its way when the alarm began was not answered since, and nobody is to blame.
        for lane in self._lanes.values():
            lane.heard()
        self._ready.set()

    def _send(self, batch: Batch) -> None:
        of_queue: dict[str, list[Envelope]] = {}
        for envelope in batch.envelopes:
            of_queue.setdefault(queue_name(envelope.channel, envelope.lane), []).append(envelope)
        for queue, envelopes in of_queue.items():
            lane = self._lanes[queue]
            if lane.silent_since is not None and not self._is_silent(lane):
                lane = self._lanes[queue] = lane.successor()
            lane.publish(batch, envelopes)

    def _give_up(self, batch: Batch) -> None:
        for lane in self._lanes.values():
            lane.give_up(batch)
