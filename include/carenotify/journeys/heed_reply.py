"""Take in what people answer: STOP is heeded for all who share the number, START takes it back."""

from __future__ import annotations

from dataclasses import dataclass

from carenotify.domain.clock import Clock
from carenotify.domain.receipt import SuppressionReason
from carenotify.domain.reply import Reply, ReplyMeaning
from carenotify.storage import inbound_messages, suppressions
from carenotify.storage.database import Database


@dataclass(frozen=True, slots=True)
class ReplyHeeder:
    """Keeps every reply once, sealed."""

    database: Database
    clock: Clock

    def heed(self, reply: Reply) -> bool:
        """Keep a reply and do as it asks, in one transaction; False when it came before.

        START lifts what STOP did and nothing else: a number that the carrier does not know stays suppressed.
        """
        now, sealer = self.clock(), self.database.sealer
        stopped = (reply.address, SuppressionReason.OPTED_OUT)
        with self.database.transaction() as transaction:
            new = inbound_messages.store(transaction, reply, sealer=sealer, now=now)
            if new and reply.meaning is ReplyMeaning.STOP:
                suppressions.add(transaction, [stopped], sealer=sealer, now=now)
            elif new and reply.meaning is ReplyMeaning.START:
                suppressions.lift(transaction, *stopped, sealer=sealer)
        return new
