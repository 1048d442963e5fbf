"""One channel's delivery in one process: messages in, claims, concurrent sends, results recorded, then acknowledged."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from queue import Empty, PriorityQueue, SimpleQueue
from uuid import UUID

from carenotify.domain.delivery import Outcome
from carenotify.domain.notification import Channel, Lane
from carenotify.errors import StorageError
from carenotify.journeys.deliver_batch import Deliverer
from carenotify.logs import place_of
from carenotify.messaging.consumer import Consumer, Delivery
from carenotify.messaging.topology import queue_name
from carenotify.storage.claims import Claim
from carenotify.worker.inbox import Inbox

log = logging.getLogger(__name__)

# What is urgent passes what is claimed already and still waits for a thread.
_RANK = {lane: rank for rank, lane in enumerate(Lane)}
# A worker for urgent messages only is given them before any other; when it is busy or gone, the others get them.
_URGENT_PRIORITY = 10
_GROUP_SECONDS = 0.1
_DATABASE_PAUSE_SECONDS = 0.5
# A worker that is asked to end while the database is away waits so long; then its claims are the relay's.
_DRAIN_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class _Result:
    """A send that is over. No outcome means that a bug ended it, and nobody knows what came of it."""

    claim: Claim
    outcome: Outcome | None


def _key(claim: Claim) -> tuple[UUID, UUID]:
    return claim.notification_id, claim.token


class ChannelWorker:
    """Delivers one channel with `threads` concurrent sends, never holding more than twice as many claims.

    With `urgent_only` it takes nothing but the high lane.
    """

    def __init__(
        self,
        *,
        channel: Channel,
        deliverer: Deliverer,
        connect: Callable[..., Consumer],
        threads: int,
        urgent_only: bool = False,
    ) -> None:
        self.channel = channel
        self.counts: Counter[str] = Counter()
        self._deliverer = deliverer
        self._threads = threads
        self._inbox = Inbox()
        self._inbox.add_room(2 * threads)
        self._consumer = connect(
            [queue_name(channel, lane) for lane in ((Lane.HIGH,) if urgent_only else Lane)],
            prefetch=8 * threads,
            deliver=self._inbox.put,
            priority=_URGENT_PRIORITY if urgent_only else 0,
        )
        self._claimed: PriorityQueue[tuple[int, int, Claim | None]] = PriorityQueue()
        self._order = count()
        self._results: SimpleQueue[_Result | None] = SimpleQueue()
        # By claim, not by notification: after a long standstill, one can be claimed again while its first send hangs.
        self._held: dict[tuple[UUID, UUID], list[Delivery]] = {}
        self._held_guard = threading.Lock()
        self._draining = threading.Event()
        self._give_up_at = math.inf
        self._claimer = threading.Thread(target=self._claim_loop, name=f"{channel}-claim")
        self._senders = [
            threading.Thread(target=self._send_loop, name=f"{channel}-send-{number}", daemon=True)
            for number in range(threads)
        ]
        self._recorder = threading.Thread(target=self._record_loop, name=f"{channel}-record")

    @property
    def connected(self) -> bool:
        """Whether messages can come in."""
        return self._consumer.connected

    def start(self) -> None:
        """Begin to deliver, in the background."""
        for thread in (self._claimer, *self._senders, self._recorder):
            thread.start()
        self._consumer.start()

    def consume(self, wanted: bool) -> None:  # noqa: FBT001 - a switch
        """Take messages or not (a paused channel does not)."""
        self._consumer.consume(wanted)

    def drain(self) -> None:
        """Finish what is claimed, record it, and give everything else back to the broker."""
        self._give_up_at = time.monotonic() + _DRAIN_SECONDS
        self._draining.set()
        self._consumer.consume(wanted=False)
        self._inbox.close()
        self._claimer.join()
        for _ in self._senders:
            self._claimed.put((len(_RANK), next(self._order), None))
        for sender in self._senders:
            sender.join()
        self._results.put(None)
        self._recorder.join()
        self._consumer.close()

    # --- claim -------------------------------------------------------------------------------

    def _claim_loop(self) -> None:
        while deliveries := self._inbox.take(worthwhile=self._threads):
            by_id: dict[UUID, list[Delivery]] = {}
            for delivery in deliveries:
                by_id.setdefault(delivery.notification_id, []).append(delivery)
            claims = self._claim(list(by_id))
            if claims is None:
                return
            with self._held_guard:
                for claim in claims:
                    self._held[_key(claim)] = by_id.pop(claim.notification_id)
            for claim in claims:
                self._claimed.put((_RANK[claim.lane], next(self._order), claim))
            not_ours = [delivery for those in by_id.values() for delivery in those]
            self._consumer.ack(not_ours)
            self._inbox.add_room(len(deliveries) - len(claims))

    def _claim(self, ids: Sequence[UUID]) -> list[Claim] | None:
        """None when the worker stops while it cannot claim: the messages are the broker's again then.

        With a wrong encryption key nothing can be opened; giving rows up for that would spoil all that are due.
        """
        while True:
            try:
                claims, refused = self._deliverer.claim(ids)
            except StorageError as error:
                log.warning("%s; claiming again soon", error)
                if self._draining.wait(_DATABASE_PAUSE_SECONDS):
                    return None
            else:
                self.counts.update({f"refused_{reason}": number for reason, number in refused.items()})
                self.counts["claimed"] += len(claims)
                self.counts["not_ours"] += len(ids) - len(claims) - refused.total()
                return claims

    # --- send --------------------------------------------------------------------------------

    def _send_loop(self) -> None:
        while (claim := self._claimed.get()[2]) is not None:
            try:
                outcome = self._deliverer.send(claim)
            except Exception as error:  # noqa: BLE001
                # A bug must not take the thread with it. The claim runs out, and the relay settles it. What the error
                # says may be personal data, so only its place is told.
                log.critical("notification %s could not be sent: %s", claim.notification_id, place_of(error))
                outcome = None
            self._results.put(_Result(claim, outcome))

    # --- record ------------------------------------------------------------------------------

    def _record_loop(self) -> None:
        last = False
        while not last:
            results, last = self._group()
            outcomes = [result.outcome for result in results if result.outcome is not None]
            self._record(outcomes)
            with self._held_guard:
                done = [delivery for result in results for delivery in self._held.pop(_key(result.claim))]
            self._consumer.ack(done)
            self._inbox.add_room(len(results))

    def _group(self) -> tuple[list[_Result], bool]:
        """Results that came within a tenth of a second, fewer when nothing else is being sent; and whether to stop."""
        first = self._results.get()
        if first is None:
            return [], True
        group = [first]
        deadline = time.monotonic() + _GROUP_SECONDS
        while len(group) < min(self._threads, len(self._held)):
            try:
                result = self._results.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                break
            if result is None:
                return group, True
            group.append(result)
        return group, False

    def _record(self, outcomes: Sequence[Outcome]) -> None:
        """Results are kept until the database has them; an outcome that is not recorded would be sent again."""
        while outcomes:
            try:
                self.counts["fenced"] += self._deliverer.record(outcomes)
            except StorageError as error:
                log.warning("%s; recording %d outcomes again soon", error, len(outcomes))
                if self._draining.is_set() and time.monotonic() > self._give_up_at:
                    return
                time.sleep(_DATABASE_PAUSE_SECONDS)
            else:
                self.counts.update(outcome.status.value for outcome in outcomes)
                return
