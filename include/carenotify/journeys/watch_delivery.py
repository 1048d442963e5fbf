"""Look for what staff have to know, and put it where it waits to be mailed: each failure once, each state once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from carenotify.config import Settings
from carenotify.domain.alert import AlertKind
from carenotify.domain.clock import Clock
from carenotify.journeys.find_states import STATES
from carenotify.storage import alerts, failures, heartbeats
from carenotify.storage.database import Database

_AT_ONCE = 10_000
# In which whoever sweeps has decided what follows a failure; as a rule it takes a second.
_DECIDED_WITHIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class DeliveryWatch:
    """Any number of processes may look at once; they take turns."""

    database: Database
    settings: Settings
    clock: Clock

    def look(self) -> dict[str, int]:
        """Raise what is new and end what is over; counts what was raised, by kind: failed messages, not their groups.

        Says that watch_delivery lives. Raises StorageError.
        """
        counts = self.find()
        with self.database.transaction() as transaction:
            heartbeats.beat(transaction, heartbeats.WATCH_DELIVERY, now=self.clock())
        return counts

    def find(self) -> dict[str, int]:
        """What look does, for somebody who stands in for the DAG."""
        counts = Counter(
            {AlertKind.DELIVERY_FAILED: self._tell_failed(), AlertKind.BROKER_GAVE_UP: self._tell_broker()}
        )
        for kind in STATES:
            counts[kind] = self._tell_state(kind)
        return {kind.value: count for kind, count in counts.items() if count}

    def _tell_failed(self) -> int:
        """Batch after batch, each in a transaction of its own, until one is not full."""
        total = 0
        while True:
            now = self.clock()
            with self.database.transaction() as transaction:
                failures.take_turn(transaction)
                told = failures.tell_failed(transaction, now=now, undecided_since=now - _DECIDED_WITHIN, limit=_AT_ONCE)
            total += told
            if told < _AT_ONCE:
                return total

    def _tell_broker(self) -> int:
        total = 0
        while True:
            with self.database.transaction() as transaction:
                failures.take_turn(transaction)
                counts = failures.tell_given_up(transaction, now=self.clock(), limit=_AT_ONCE)
            total += counts["told"]
            if counts["looked_at"] < _AT_ONCE:
                return total

    def _tell_state(self, kind: AlertKind) -> int:
        now = self.clock()
        with self.database.transaction() as transaction:
            failures.take_turn(transaction)
            found = STATES[kind](transaction, self.settings, now)
            raised = alerts.raise_alerts(transaction, found.all, now=now)
            alerts.resolve(transaction, kind, except_keys=found.lasting, now=now)
        return raised
