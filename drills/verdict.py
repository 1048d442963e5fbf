"""What a drill has shown: our rows on one side, what the receivers counted on the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from carenotify.domain.notification import FINAL, Status

_TAKEN = {Status.SENT, Status.DELIVERED}


@dataclass(frozen=True)
class Verdict:
    """`refused` were never received, and say so: dead letters, not losses."""

    drill: str
    messages: int
    lost: int
    refused: int
    refused_bound: int
    duplicates: int
    duplicates_bound: int
    unexplained: int
    recover_seconds: float
    seconds: float
    died: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        within = self.duplicates <= self.duplicates_bound and self.refused <= self.refused_bound
        return self.lost == 0 and self.unexplained == 0 and within and not self.died

    def as_json(self) -> dict[str, Any]:
        """One entry of `.run/drill-report.json`."""
        return {
            "drill": self.drill,
            "messages": self.messages,
            "lost": self.lost,
            "refused": self.refused,
            "duplicates": self.duplicates,
            "duplicates_bound": self.duplicates_bound,
            "duplicates_unexplained": self.unexplained,
            "recover_seconds": round(self.recover_seconds, 1),
            "seconds": round(self.seconds, 1),
            "died": list(self.died),
            "passed": self.passed,
        }


def lost_ids(planned: set[str], statuses: Mapping[str, Status], received: Counter[str]) -> set[str]:
    """Notifications that are gone, have no end, or are said to be sent and were never received."""
    gone = planned - statuses.keys()
    endless = {identity for identity, status in statuses.items() if status not in FINAL}
    missing = {identity for identity, status in statuses.items() if status in _TAKEN and not received[identity]}
    return gone | endless | missing


def refused_ids(statuses: Mapping[str, Status], received: Counter[str]) -> set[str]:
    """Notifications that came to an end without being received, and say so."""
    return {
        identity
        for identity, status in statuses.items()
        if status in FINAL and status not in _TAKEN and not received[identity]
    }


def unexplained_ids(received: Counter[str], exposed: Counter[str]) -> set[str]:
    """Notifications that were received again more often than there were moments that allow for it."""
    return {identity for identity, times in received.items() if times - 1 > exposed[identity]}
