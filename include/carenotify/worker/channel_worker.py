"""One channel's delivery in one process: messages in, claims, concurrent sends, results recorded, then acknowledged."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from uuid import UUID

from carenotify.domain.delivery import Outcome
from carenotify.domain.notification import Channel, Lane
from carenotify.errors import StorageError
from carenotify.journeys.deliver_batch import Deliverer
from carenotify.journeys.pace_sending import UNPACED, Leave, Pace
from carenotify.logs import about, place_of
from carenotify.messaging.consumer import Consumer, Delivery
from carenotify.messaging.topology import queue_name
from carenotify.metrics import record_claimed, record_outcomes, record_worker
from carenotify.storage.claims import Claim
from carenotify.tracing import span
from carenotify.worker.inbox import Inbox, Ready, lane_of
from carenotify.worker.send_queue import SendQueue

log = logging.getLogger(__name__)

# Of so many threads one is kept for urgent messages: bulk that hangs at the provider never holds them all.
_THREADS_FOR_ONE_URGENT = 8
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


@dataclass(frozen=True, slots=True)
class _Held:
    """The messages that brought a claim, of which the first has a place in the inbox, and the leave that it has."""

    deliveries: list[Delivery]
    leave: Leave


def _key(claim: Claim) -> tuple[UUID, UUID]:
    return claim.notification_id, claim.token


def urgent_threads(threads: int) -> int:
    """How many of a worker's threads take nothing but urgent messages; a single thread takes everything."""
    return max(1, threads // _THREADS_FOR_ONE_URGENT) if threads > 1 else 0


class ChannelWorker:
    """Delivers one channel with `threads` concurrent sends, never holding more than twice as many claims.

    A few of the threads take urgent messages only, and bulk never has so many claims that urgent ones find no place.
    With `urgent_only` the worker takes nothing but the high lane.
    """

    def __init__(
        self,
        *,
        channel: Channel,
        deliverer: Deliverer,
        connect: Callable[..., Consumer],
        threads: int,
        urgent_only: bool = False,
        pace: Pace = UNPACED,
    ) -> None:
        self.channel = channel
        self.counts: Counter[str] = Counter()
        self._deliverer = deliverer
        self._pace = pace
        self._threads = threads
        kept = urgent_threads(threads)
        self._bulk_threads = threads - kept
        self._inbox = Inbox(places=2 * threads, bulk_places=2 * self._bulk_threads)
        self._consumer = connect(
            [queue_name(channel, lane) for lane in ((Lane.HIGH,) if urgent_only else Lane)],
            prefetch=pace.prefetch(8 * threads),
            deliver=self._inbox.put,
            priority=_URGENT_PRIORITY if urgent_only else 0,
        )
        self._claimed = SendQueue()
        self._results: SimpleQueue[_Result | None] = SimpleQueue()
        # By claim, not by notification: after a long standstill, one can be claimed again while its first send hangs.
        self._held: dict[tuple[UUID, UUID], _Held] = {}
        self._held_guard = threading.Lock()
        self._busy = [False] * threads
        self._draining = threading.Event()
        self._give_up_at = math.inf
        self._claimer = threading.Thread(target=self._claim_loop, name=f"{channel}-claim")
        self._senders = [
            threading.Thread(
                target=self._send_loop, args=(number, number < kept), name=f"{channel}-send-{number}", daemon=True
            )
            for number in range(threads)
        ]
        self._recorder = threading.Thread(target=self._record_loop, name=f"{channel}-record")

    @property
    def connected(self) -> bool:
        """Whether messages can come in."""
        return self._consumer.connected

    def record_state(self) -> None:
        """Let the metrics say how this worker stands now."""
        record_worker(
            self.channel, threads=self._threads, busy=sum(self._busy), held=len(self._held), connected=self.connected
        )

    def start(self) -> None:
        """Begin to deliver, in the background."""
        for thread in (self._claimer, *self._senders, self._recorder):
            thread.start()
        self._consumer.start()

    def consume(self, wanted: bool) -> None:  # noqa: FBT001 - a switch
        """Take messages or not (a paused channel does not, nor does one that is being drained)."""
        self._consumer.consume(wanted and not self._draining.is_set())

    def drain(self) -> None:
        """Finish what is claimed, record it, and give everything else back to the broker."""
        self._give_up_at = time.monotonic() + _DRAIN_SECONDS
        self._draining.set()
        self._consumer.consume(wanted=False)
        self._inbox.close()
        self._claimer.join()
        self._claimed.close()
        for sender in self._senders:
            sender.join()
        self._results.put(None)
        self._recorder.join()
        self._consumer.close()

    # --- claim -------------------------------------------------------------------------------

    def _claim_loop(self) -> None:
        while (ready := self._inbox.wait(worthwhile=self._bulk_threads)) is not None:
            leave = self._lease(ready)
            self._inbox.hold(urgent_seconds=leave.urgent_wait_seconds, bulk_seconds=leave.bulk_wait_seconds)
            deliveries = self._inbox.take(urgent=leave.urgent, bulk=leave.bulk)
            if deliveries and not self._claim_what_may_go(deliveries, leave):
                return

    def _claim_what_may_go(self, deliveries: Sequence[Delivery], leave: Leave) -> bool:
        by_id: dict[UUID, list[Delivery]] = {}
        for delivery in deliveries:
            by_id.setdefault(delivery.notification_id, []).append(delivery)
        claims = self._claim(list(by_id))
        if claims is None:
            return False
        held = {_key(claim): _Held(by_id.pop(claim.notification_id), leave) for claim in claims}
        with self._held_guard:
            self._held |= held
        self._claimed.put(claims)
        not_ours = [delivery for those in by_id.values() for delivery in those]
        self._consumer.ack(not_ours)
        without_use = [*not_ours, *(again for one in held.values() for again in one.deliveries[1:])]
        self._pace.unused(leave, map(lane_of, without_use))
        self._inbox.leave(without_use)
        return True

    def _lease(self, ready: Ready) -> Leave:
        """Leave for what waits, as far as the provider's pace allows; the rest stays here, unclaimed."""
        try:
            return self._pace.lease(urgent=ready.urgent, bulk=ready.bulk)
        except StorageError as error:
            log.warning("%s; asking for leave again soon", error)
            return Leave(None, 0, 0, _DATABASE_PAUSE_SECONDS, _DATABASE_PAUSE_SECONDS)

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
                not_ours = len(ids) - len(claims) - refused.total()
                self.counts["claimed"] += len(claims)
                self.counts["not_ours"] += not_ours
                record_claimed(self.channel, refused=refused, without_use=not_ours)
                return claims

    # --- send --------------------------------------------------------------------------------

    def _send_loop(self, number: int, urgent_only: bool) -> None:  # noqa: FBT001 - a thread's argument
        while (claim := self._claimed.take(urgent_only=urgent_only)) is not None:
            self._busy[number] = True
            with about(notification_id=claim.notification_id):
                outcome = self._deliver(claim)
            self._busy[number] = False
            self._results.put(_Result(claim, outcome))

    def _deliver(self, claim: Claim) -> Outcome | None:
        try:
            message = self._held[_key(claim)].deliveries[0]
            with span(
                "deliver",
                kind="consumer",
                parent=message.traceparent,
                messaging_system="rabbitmq",
                queue=message.queue,
                notification_id=claim.notification_id,
            ):
                return self._deliverer.send(claim)
        except Exception as error:  # noqa: BLE001
            # A bug must not take the thread with it. The claim runs out, and the relay settles it. What the error
            # says may be personal data, so only its place is told.
            log.critical("notification %s could not be sent: %s", claim.notification_id, place_of(error))
            return None

    # --- record ------------------------------------------------------------------------------

    def _record_loop(self) -> None:
        last = False
        while not last:
            results, last = self._group()
            outcomes = [result.outcome for result in results if result.outcome is not None]
            self._record(outcomes)
            with self._held_guard:
                held = [self._held.pop(_key(result.claim)) for result in results]
            self._consumer.ack([delivery for one in held for delivery in one.deliveries])
            self._account(results, held)
            self._inbox.leave(one.deliveries[0] for one in held)

    def _account(self, results: Sequence[_Result], held: Sequence[_Held]) -> None:
        for result, one in zip(results, held, strict=True):
            if result.outcome is not None:
                self._pace.came_of(one.leave, result.claim.lane, result.outcome)
        try:
            self._pace.obey(result.outcome for result in results if result.outcome is not None)
        except StorageError as error:
            log.warning("%s; other workers find out by themselves that a provider asks to slow down", error)

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
                late = self._deliverer.record(outcomes)
            except StorageError as error:
                log.warning("%s; recording %d outcomes again soon", error, len(outcomes))
                if self._draining.is_set() and time.monotonic() > self._give_up_at:
                    return
                time.sleep(_DATABASE_PAUSE_SECONDS)
            else:
                self.counts["fenced"] += late
                self.counts.update(outcome.status.value for outcome in outcomes)
                record_outcomes(self.channel, outcomes, late=late)
                if any(outcome.reason == "provider_down" and outcome.provider is None for outcome in outcomes):
                    self.consume(wanted=False)  # at once; the valve opens it again
                return
