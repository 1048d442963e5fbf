"""Deliver what is due without the broker: for a day on which it is away, or a hospital that keeps no workers."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

from carenotify.domain.clock import Clock
from carenotify.domain.delivery import Outcome
from carenotify.domain.notification import Channel, Lane
from carenotify.errors import StorageError
from carenotify.journeys.choose_provider import ProviderChooser
from carenotify.journeys.deliver_batch import Deliverer
from carenotify.journeys.fall_back import FallbackSweeper
from carenotify.journeys.pace_sending import Pace
from carenotify.journeys.relay_due import Relay
from carenotify.logs import place_of
from carenotify.storage import outbox
from carenotify.storage.claims import Claim
from carenotify.storage.database import Database

log = logging.getLogger(__name__)

# A database that is away so long is not waited for. What was sent and not recorded is settled as a possible duplicate.
_RECORD_SECONDS = 20.0
_DATABASE_PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class DueSender:
    """Claims, sends and records as workers do, so both may be at it at once: each notification is claimed by one."""

    database: Database
    deliverer: Deliverer
    chooser: ProviderChooser
    relay: Relay
    fallback_sweeper: FallbackSweeper
    clock: Clock
    threads: int

    def send_everything(self, paces: Mapping[Channel, Pace]) -> Counter[str]:
        """What relay and workers do, until nothing is due on these channels; returns what came of it, by status.

        Settles what a killed worker left, closes what is over, sends what is due, and follows up what did not reach
        its patient; what takes its place is sent as well. Raises StorageError.
        """
        came = Counter[str]()
        while True:
            came["expired"] += self.relay.settle().expired
            for channel, pace in paces.items():
                came += self.send_due(channel, pace)
            if not self.fallback_sweeper.sweep().followed:
                return came

    def send_due(self, channel: Channel, pace: Pace) -> Counter[str]:
        """Send what is due on a channel, urgent lanes first, until nothing is, or none of its providers is well.

        What a provider refused for a passing reason is pending, and due again later. Raises StorageError.
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
        """What can be sent now. Providers are followed only for something that is due: a trial needs a message."""
        with self.database.transaction() as transaction:
            ids = outbox.due_ids(transaction, channel=channel, lane=lane, now=self.clock(), limit=2 * self.threads)
        if ids:
            self.chooser.follow()
        return ids if self.chooser.can_send(channel) else []

    def _send(self, senders: ThreadPoolExecutor, ids: Sequence[UUID], lane: Lane, pace: Pace) -> Counter[str] | None:
        urgent = lane is Lane.HIGH
        leave = pace.lease(urgent=len(ids) if urgent else 0, bulk=0 if urgent else len(ids))
        allowed = leave.urgent + leave.bulk
        if not allowed:
            time.sleep(leave.urgent_wait_seconds + leave.bulk_wait_seconds)
            return Counter()
        claims, refused = self.deliverer.claim(ids[:allowed])
        pace.unused(leave, [lane] * (allowed - len(claims)))
        outcomes = [outcome for outcome in senders.map(self._send_one, claims) if outcome is not None]
        self._record(outcomes)
        for outcome in outcomes:
            pace.came_of(leave, lane, outcome)
        pace.obey(outcomes)
        return Counter(outcome.status.value for outcome in outcomes) if claims or refused else None

    def _send_one(self, claim: Claim) -> Outcome | None:
        """None when a bug ended it: nobody knows what came of it, its claim runs out, and the others are recorded."""
        try:
            return self.deliverer.send(claim)
        except Exception as error:  # noqa: BLE001 - its text may be personal data, so only its place is told
            log.critical("notification %s could not be sent: %s", claim.notification_id, place_of(error))
            return None

    def _record(self, outcomes: Sequence[Outcome]) -> None:
        """Results are kept while the database is away: what is not recorded would be sent again."""
        give_up_at = time.monotonic() + _RECORD_SECONDS
        while True:
            try:
                self.deliverer.record(outcomes)
            except StorageError as error:
                if time.monotonic() > give_up_at:
                    raise
                log.warning("%s; recording %d outcomes again soon", error, len(outcomes))
                time.sleep(_DATABASE_PAUSE_SECONDS)
            else:
                return
