"""The sweep that makes up for everybody who was killed: nothing that is due stays where it is."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

from carenotify.domain.clock import Clock
from carenotify.domain.notification import Channel, Lane
from carenotify.domain.retry import DELIVERY_RETRIES
from carenotify.journeys.publish_due import DuePublisher, Published
from carenotify.journeys.record_receipt import ReceiptRecorder
from carenotify.messaging import topology
from carenotify.metrics import record_lost, record_swept
from carenotify.storage import outbox, results
from carenotify.storage.database import Database

log = logging.getLogger(__name__)

_ATTEMPTS_ALLOWED = len(DELIVERY_RETRIES.delays) + 1
# A sender may still be inside its last call when its lease ends; the relay does not take over before that is over.
GRACE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Settled:
    """How many claims had been abandoned, and how many notifications were over."""

    settled: int
    expired: int


@dataclass(frozen=True, slots=True)
class Sweep(Settled):
    """What one sweep found to do."""

    published: Published


@dataclass(frozen=True, slots=True)
class Relay:
    """Any number of relays may sweep at once: each row is taken by one of them."""

    database: Database
    due_publisher: DuePublisher
    receipts: ReceiptRecorder
    broker_url: str
    clock: Clock
    lost_after: timedelta

    def sweep(self) -> Sweep:
        """Settle abandoned claims, close what is over, publish what is due, urgent lanes first.

        Raises BrokerError or DatabaseUnavailableError when one of the two is away; the next sweep goes on.
        """
        found = self.settle()
        published = sum((self.due_publisher.publish_due(lane) for lane in Lane), start=Published())
        return Sweep(found.settled, found.expired, published)

    def settle(self) -> Settled:
        """Settle abandoned claims, and close what is over; no broker is needed.

        What a killed worker had sent, and a receipt tells of by now, is not due again: the two go together, so that no
        other relay can publish it in between. Raises DatabaseUnavailableError.
        """
        now = self.clock()
        with self.database.transaction() as transaction:
            settled = results.settle(
                transaction, now=now, claimed_before=now - GRACE, attempts_allowed=_ATTEMPTS_ALLOWED
            )
            if settled:
                self.receipts.apply_waiting_within(transaction)
            expired = outbox.expire(transaction, now=now)
        record_swept(abandoned=settled, expired=expired)
        if settled:
            log.warning(
                "%d notifications were claimed by a worker that is gone; without a receipt they are due again", settled
            )
        return Settled(settled, expired)

    def requeue_lost(self) -> int:
        """Queued rows whose queue is empty, although they have waited long, were lost by the broker: due again."""
        with self.database.transaction() as transaction:
            waiting = outbox.long_queued(transaction, queued_before=self.clock() - self.lost_after)
        if not waiting:
            return 0
        ready = topology.ready_counts(self.broker_url)
        requeued = sum(
            self._requeue(channel, lane) for channel, lane in waiting if ready[topology.queue_name(channel, lane)] == 0
        )
        record_lost(requeued)
        if requeued:
            log.warning("%d notifications were queued, but the broker has lost them; they are due again", requeued)
        return requeued

    def _requeue(self, channel: Channel, lane: Lane) -> int:
        before = self.clock() - self.lost_after
        with self.database.transaction() as transaction:
            return outbox.requeue_lost(transaction, channel=channel, lane=lane, queued_before=before)
