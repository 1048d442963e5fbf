"""Bring what the broker gave up to where people look, and what still can be sent back on its way."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass

from carenotify.domain.clock import Clock
from carenotify.domain.dead_letter import RETURNS_ALLOWED, BrokerReason, Resolution
from carenotify.messaging.dead_letters import FailedQueue
from carenotify.storage.database import Database
from carenotify.storage.returned_messages import keep_returned

log = logging.getLogger(__name__)

_BATCH = 200


@dataclass(frozen=True, slots=True)
class DeadLetterDrain:
    """Empties the broker's queue `failed`. Any number of processes may do so at once."""

    database: Database
    queue: FailedQueue
    clock: Clock

    def drain(self) -> Counter[str]:
        """Keep all that is there, batch by batch; each is acknowledged after its commit. Counts as `keep_returned`.

        Raises BrokerError or DatabaseUnavailableError when one of the two is away; the broker keeps the rest.
        """
        total: Counter[str] = Counter()
        taken = _BATCH
        while taken == _BATCH:
            with self.queue.batch(most=_BATCH) as messages:
                taken = len(messages)
                if messages:
                    with self.database.transaction() as transaction:
                        total += keep_returned(
                            transaction,
                            messages,
                            now=self.clock(),
                            sealer=self.database.sealer,
                            allowed=RETURNS_ALLOWED,
                        )
        self._tell(total)
        return total

    def _tell(self, total: Counter[str]) -> None:
        if again := total[Resolution.DUE_AGAIN]:
            log.warning("the broker gave back the messages of %d notifications; they are due again", again)
        letters = {reason.value: total[reason] for reason in BrokerReason if total[reason]}
        if letters:
            log.error("the broker gave up what nobody can send; look at: carenotify dead-letters list %s", letters)
