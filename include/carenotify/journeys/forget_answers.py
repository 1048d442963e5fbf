"""Let go of what providers and people said long ago: what followed from it stands with what it was about."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

from carenotify.domain.clock import Clock
from carenotify.storage import inbound_messages, receipts
from carenotify.storage.database import Database

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AnswerForgetter:
    """Receipts and replies are kept for `keep_for`; statuses and suppressions that they brought about stay."""

    database: Database
    clock: Clock
    keep_for: timedelta

    def forget(self) -> int:
        """Delete what is older; returns how many receipts and replies that were."""
        before = self.clock() - self.keep_for
        with self.database.transaction() as transaction:
            forgotten = receipts.forget_old(transaction, before=before)
            forgotten += inbound_messages.forget_old(transaction, before=before)
        if forgotten:
            log.info("%d receipts and replies were older than %d days, and were let go", forgotten, self.keep_for.days)
        return forgotten
