"""Ask providers for the receipts that did not come."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from carenotify.channels.base import Provider
from carenotify.domain.clock import Clock
from carenotify.domain.fallback import GIVE_RECEIPTS
from carenotify.domain.notification import Channel
from carenotify.domain.receipt import Receipt
from carenotify.errors import DeliveryError
from carenotify.journeys.record_receipt import ReceiptRecorder, meaning_of
from carenotify.storage import unconfirmed
from carenotify.storage.database import Database
from carenotify.storage.unconfirmed import Silent

log = logging.getLogger(__name__)

# One after the other: no look-up is in a hurry, and the provider's connections are for sending.
_EACH_ROUND = 100


@dataclass(frozen=True, slots=True)
class LookedUp:
    """How many messages were asked for, and how many notifications moved by the answers."""

    asked: int = 0
    moved: int = 0


@dataclass(frozen=True, slots=True)
class ReceiptLookUp:
    """Looks messages up that are `sent` for longer than `after`, each again after that time, until `give_up_after`.

    Where a callback URL cannot be reached, or a callback was lost, this is how `sent` becomes what it is.
    """

    database: Database
    providers: Mapping[Channel, Sequence[Provider]]
    recorder: ReceiptRecorder
    clock: Clock
    after: timedelta
    give_up_after: timedelta

    def look_up(self, channel: Channel, *, until: Callable[[], bool] = lambda: False) -> LookedUp:
        """Ask for what is silent on a channel, up to a hundred messages a round, and record the answers.

        When a provider cannot be asked, or `until` holds, the round ends, and the rest is asked for in the next one.
        """
        able = {provider.name: provider for provider in self.providers[channel] if provider.looks_up}
        if not able:
            return LookedUp()
        now = self.clock()
        with self.database.transaction() as transaction:
            silent = unconfirmed.take(
                transaction,
                channel=channel,
                providers=able,
                silent_since=now - self.after,
                sent_after=now - self.give_up_after,
                now=now,
                limit=_EACH_ROUND,
            )
        receipts, unasked = _asked(able, silent, until)
        recorded = self.recorder.record(receipts)
        if unasked:
            with self.database.transaction() as transaction:
                unconfirmed.put_back(transaction, unasked)
        return LookedUp(len(silent) - len(unasked), recorded.moved)

    def close_silent(self) -> int:
        """Give up on messages that stayed silent: they are not asked for any more, and count as `no_receipt`.

        They stay `sent`, since nothing else is known, with the reason `no_receipt`: by status and reason they are
        counted wherever notifications are. A receipt that comes after all still moves them. What went through a
        provider that gives no receipts (a mail server, SNS) is not silent, and not among them.
        """
        before = self.clock() - self.give_up_after
        with self.database.transaction() as transaction:
            closed = unconfirmed.close(transaction, providers=GIVE_RECEIPTS, sent_before=before)
        if closed:
            log.warning("%d messages never got a receipt, and are not asked for any more", closed)
        return closed


def _asked(
    able: Mapping[str, Provider], silent: Sequence[Silent], until: Callable[[], bool]
) -> tuple[list[Receipt], list[Silent]]:
    """What the providers said, and whom they could not be asked for."""
    receipts: list[Receipt] = []
    for position, one in enumerate(silent):
        if until():
            return receipts, list(silent[position:])
        try:
            found = able[one.provider].look_up(one.provider_message_id)
        except DeliveryError as error:
            log.warning("%s cannot be asked for receipts just now: %s", one.provider, error.code)
            return receipts, list(silent[position:])
        if found is not None:
            meaning = meaning_of(one.provider, found.provider_status, found.code)
            receipts.append(
                Receipt(
                    one.notification_id,
                    one.provider,
                    one.provider_message_id,
                    found.provider_status,
                    found.code,
                    meaning,
                )
            )
    return receipts, []
