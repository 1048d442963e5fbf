"""Take in what providers say afterwards, and move notifications by it: forward, and whatever came first."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from carenotify.channels.email import ses_receipts
from carenotify.channels.sms import twilio_receipts
from carenotify.domain.clock import Clock
from carenotify.domain.receipt import NOTHING_NEW, Meaning, Receipt, furthest
from carenotify.metrics import record_receipts
from carenotify.storage import receipts as kept
from carenotify.storage import suppressions
from carenotify.storage.database import Database, Transaction
from carenotify.storage.receipts import StoredReceipt

log = logging.getLogger(__name__)

_MEANING_OF: dict[str, Callable[[str, str | None], Meaning]] = {
    twilio_receipts.PROVIDER: twilio_receipts.meaning_of,
    ses_receipts.PROVIDER: ses_receipts.meaning_of,
}
_BATCH = 1_000
# Far longer than a message is under way. What has waited longer is looked at when claims are settled, and now and then.
_FRESH = timedelta(minutes=15)

_Key = tuple[UUID, str, str, str]


@dataclass(frozen=True, slots=True)
class Recorded:
    """How many receipts were new, how many notifications moved, and how many receipts wait for our own commit."""

    new: int = 0
    moved: int = 0
    waiting: int = 0

    def __add__(self, other: Recorded) -> Recorded:
        return Recorded(self.new + other.new, self.moved + other.moved, self.waiting + other.waiting)


@dataclass(frozen=True, slots=True)
class ReceiptRecorder:
    """Records receipts, each once. Receipts of notifications that nobody knows are let go after `forget_after`."""

    database: Database
    clock: Clock
    forget_after: timedelta

    def record(self, receipts: Sequence[Receipt]) -> Recorded:
        """Keep receipts, and apply those that can be applied now, in one transaction.

        What is still being sent, or unknown, is applied by `apply_waiting` later. An address that is bad for good is
        suppressed at once, whatever becomes of the notification.
        """
        came = {_key(receipt): receipt for receipt in receipts}
        recorded, new = self.database.run(lambda transaction: self._record(transaction, came))
        record_receipts((receipt.provider, receipt.meaning.status) for receipt in new)
        return recorded

    def _record(self, transaction: Transaction, came: Mapping[_Key, Receipt]) -> tuple[Recorded, list[Receipt]]:
        now = self.clock()
        new = [(one.id, came[_key(one)]) for one in kept.store(transaction, list(came.values()), now=now)]
        recorded = self._apply(transaction, new)
        entries = [
            (receipt.address, receipt.meaning.suppression)
            for _, receipt in new
            if receipt.address is not None and receipt.meaning.suppression is not None
        ]
        suppressions.add(transaction, entries, sealer=self.database.sealer, now=now)
        return recorded, [receipt for _, receipt in new]

    def apply_waiting(self) -> Recorded:
        """Apply receipts of late that came too early, for notifications that are there and not being sent any more."""
        return self._apply_all(since=self.clock() - _FRESH)

    def _apply_all(self, *, since: datetime | None) -> Recorded:
        total = Recorded()
        while True:
            with self.database.transaction() as transaction:
                applied = self.apply_waiting_within(transaction, since=since)
            total += applied
            if applied.new < _BATCH:
                return total

    def apply_waiting_within(self, transaction: Transaction, *, since: datetime | None = None) -> Recorded:
        """The same for a thousand of them, however old, in a transaction that is open already."""
        waiting = [(one.id, _receipt(one)) for one in kept.waiting(transaction, since=since, limit=_BATCH)]
        return self._apply(transaction, waiting)

    def forget_unknown(self) -> int:
        """Let go of receipts that have waited long for a notification that is not there; apply what else has waited."""
        self._apply_all(since=None)
        with self.database.transaction() as transaction:
            forgotten = kept.forget_unknown(transaction, before=self.clock() - self.forget_after)
        if forgotten:
            log.warning("%d receipts were of notifications that nobody knows, and were let go", forgotten)
        return forgotten

    def _apply(self, transaction: Transaction, receipts: Sequence[tuple[int, Receipt]]) -> Recorded:
        """Hold receipts, with the ids they are kept under, against how their notifications stand."""
        if not receipts:
            return Recorded()
        now = self.clock()
        standings = kept.lock_standings(transaction, {receipt.notification_id for _, receipt in receipts})
        settled = {identity: standing for identity, standing in standings.items() if not standing.under_way}
        ready = [(number, receipt) for number, receipt in receipts if receipt.notification_id in settled]
        by_notification: defaultdict[UUID, list[Receipt]] = defaultdict(list)
        for _, receipt in ready:
            by_notification[receipt.notification_id].append(receipt)
        moved_by = (furthest(settled[notification], of_it) for notification, of_it in by_notification.items())
        moves = [receipt for receipt in moved_by if receipt is not None]
        # First: a move takes over which attempt was spoken of.
        suppressions.add_sent_to(transaction, [receipt for _, receipt in ready], now=now)
        if moves:
            kept.move(transaction, moves, sealer=self.database.sealer, now=now)
        kept.mark_looked_at(transaction, [number for number, _ in ready], now=now)
        return Recorded(len(receipts), len(moves), len(receipts) - len(ready))


def meaning_of(provider: str, provider_status: str, code: str | None) -> Meaning:
    """What a provider's word means, by that provider's table."""
    table = _MEANING_OF.get(provider)
    return NOTHING_NEW if table is None else table(provider_status, code)


def _receipt(stored: StoredReceipt) -> Receipt:
    """A kept receipt, with what its word means now."""
    return Receipt(
        stored.notification_id,
        stored.provider,
        stored.provider_message_id,
        stored.provider_status,
        stored.code,
        meaning_of(stored.provider, stored.provider_status, stored.code),
    )


def _key(receipt: Receipt | StoredReceipt) -> _Key:
    """What makes a receipt one that came before."""
    return receipt.notification_id, receipt.provider, receipt.provider_message_id, receipt.provider_status
