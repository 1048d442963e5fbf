"""Bring due notifications from their rows to their queues."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from carenotify.domain.clock import Clock
from carenotify.domain.notification import Channel, Lane
from carenotify.errors import BrokerError
from carenotify.messaging.envelope import Envelope
from carenotify.messaging.publisher import Publisher
from carenotify.messaging.topology import queue_name
from carenotify.metrics import record_published
from carenotify.storage import outbox
from carenotify.storage.database import Database
from carenotify.storage.outbox import IdRange, LeasedRow
from carenotify.tracing import span

log = logging.getLogger(__name__)

# While one batch is on its way to the broker, the other is leased or marked: PostgreSQL and RabbitMQ both stay busy.
_PIPELINES = 2


@dataclass(frozen=True, slots=True)
class Published:
    """How many messages the broker confirmed, and how many it did not; the rows of those stay pending."""

    confirmed: int = 0
    unconfirmed: int = 0

    def __add__(self, other: Published) -> Published:
        return Published(self.confirmed + other.confirmed, self.unconfirmed + other.unconfirmed)


@dataclass(frozen=True, slots=True)
class DuePublisher:
    """Publishes what is due, `batch` rows at a time, each batch under a lease of `lease_for`."""

    database: Database
    publisher: Publisher
    clock: Clock
    batch: int
    lease_for: timedelta

    def publish_due(self, lane: Lane, *, within: IdRange | None = None) -> Published:
        """Publish every due notification of a lane, or those of a range of ids.

        Raises BrokerError when the broker cannot be reached; whatever was not confirmed is pending then.
        """
        first = self._publish_batch(lane, within)
        if first.confirmed < self.batch:
            return first
        with ThreadPoolExecutor(_PIPELINES, thread_name_prefix="publish") as pipelines:
            drained = [pipelines.submit(self._drain, lane, within) for _ in range(_PIPELINES)]
        return sum((drain.result() for drain in drained), start=first)

    def _drain(self, lane: Lane, within: IdRange | None) -> Published:
        """Batch after batch, until one is not full: nothing is left, or the broker has stopped taking more."""
        total = Published()
        while True:
            published = self._publish_batch(lane, within)
            total += published
            if published.confirmed < self.batch:
                return total

    def _publish_batch(self, lane: Lane, within: IdRange | None) -> Published:
        now = self.clock()
        lease = now + self.lease_for
        with self.database.transaction() as transaction:
            rows = outbox.lease_due(
                transaction,
                lane=lane,
                now=now,
                lease=lease,
                limit=self.batch,
                channels=self._channels(lane),
                within=within,
            )
        if not rows:
            return Published()
        asked_by = (row.traceparent for row in rows)
        with span("publish", kind="producer", links=asked_by, messaging_system="rabbitmq", lane=lane) as publishing:
            published = self._publish_rows(rows, lease=lease, now=now)
            publishing.note(messages=len(rows), confirmed=published.confirmed)
        return published

    def _channels(self, lane: Lane) -> list[Channel]:
        """Rows of a queue that confirms nothing stay put, so that they take no other channel's turn."""
        silent = self.publisher.silent_queues()
        return [channel for channel in Channel if queue_name(channel, lane) not in silent]

    def _publish_rows(self, rows: Sequence[LeasedRow], *, lease: datetime, now: datetime) -> Published:
        ids = [row.notification_id for row in rows]
        try:
            confirmed = self.publisher.publish(
                [
                    Envelope(
                        row.notification_id, row.kind, row.channel, row.lane, row.attempts + 1, now, row.traceparent
                    )
                    for row in rows
                ]
            )
        except BrokerError:
            with self.database.transaction() as transaction:
                outbox.release(transaction, ids, lease=lease)
            record_published(rows[0].lane, confirmed=0, unconfirmed=len(ids))
            raise
        with self.database.transaction() as transaction:
            outbox.mark_queued(transaction, list(confirmed), lease=lease, now=self.clock())
        published = Published(len(confirmed), len(ids) - len(confirmed))
        record_published(rows[0].lane, confirmed=published.confirmed, unconfirmed=published.unconfirmed)
        if published.unconfirmed:
            # Their lease runs out by itself: a broker that is full is not asked again at once.
            log.warning("%d of %d messages were not confirmed and stay pending", published.unconfirmed, len(ids))
        return published
