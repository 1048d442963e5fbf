"""Deliver what is due without the broker: for a day on which it is away, or a hospital that keeps no workers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

from carenotify.domain.clock import Clock
from carenotify.domain.notification import Channel, Lane
from carenotify.journeys.deliver_batch import Deliverer
from carenotify.journeys.pace_sending import Pace
from carenotify.storage import outbox
from carenotify.storage.database import Database


@dataclass(frozen=True, slots=True)
class DueSender:
    """Claims, sends and records as workers do, so both may be at it at once: each notification is claimed by one."""

    database: Database
    deliverer: Deliverer
    clock: Clock
    threads: int

    def send_due(self, channel: Channel, pace: Pace) -> Counter[str]:
        """Send what is due on a channel, urgent lanes first, until nothing is; returns what came of it, by status.

        What a provider refused for a passing reason is pending, and due again later. Raises DatabaseUnavailableError.
        """
        came = Counter[str]()
        with ThreadPoolExecutor(self.threads, thread_name_prefix=f"{channel}-send") as senders:
            for lane in Lane:
                while ids := self._due(channel, lane):
                    if (done := self._send(senders, ids, lane, pace)) is None:
                        break  # others have all of them
                    came += done
        return came

    def _due(self, channel: Channel, lane: Lane) -> list[UUID]:
        with self.database.transaction() as transaction:
            return outbox.due_ids(transaction, channel=channel, lane=lane, now=self.clock(), limit=2 * self.threads)

    def _send(self, senders: ThreadPoolExecutor, ids: Sequence[UUID], lane: Lane, pace: Pace) -> Counter[str] | None:
        urgent = lane is Lane.HIGH
        leave = pace.lease(urgent=len(ids) if urgent else 0, bulk=0 if urgent else len(ids))
        allowed = leave.urgent + leave.bulk
        if not allowed:
            time.sleep(leave.urgent_wait_seconds + leave.bulk_wait_seconds)
            return Counter()
        claims, refused = self.deliverer.claim(ids[:allowed])
        pace.unused(leave, [lane] * (allowed - len(claims)))
        outcomes = list(senders.map(self.deliverer.send, claims))
        self.deliverer.record(outcomes)
        for outcome in outcomes:
            pace.came_of(leave, lane, outcome)
        pace.obey(outcomes)
        return Counter(outcome.status.value for outcome in outcomes) if claims or refused else None
