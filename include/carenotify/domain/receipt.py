"""What providers say of a message afterwards, and what follows from it.

Receipts come late, twice, in any order, and before our own commit. Where a notification stands in the end depends on
which ones came, and never on when: each step that a receipt can make goes up in SAID, and none goes down.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from carenotify.domain.notification import Status, can_move

# What a receipt can say, the weightiest last. A message that was given up may have come through after all, by an
# earlier attempt; one that came through can still be sent back, or be complained of.
SAID = (Status.SENT, Status.FAILED, Status.DELIVERED, Status.BOUNCED, Status.UNSUBSCRIBED)

_NOT_YET_SENT = frozenset({Status.PENDING, Status.QUEUED})


class SuppressionReason(StrEnum):
    """Why nothing is sent to an address any more. An address can have several; each is lifted for itself."""

    OPTED_OUT = "opted_out"
    BOUNCED = "bounced"
    COMPLAINT = "complaint"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a provider's word means to us: where the message moves to, why, and whether its address is bad for good.

    No status: nothing that moves a notification was said.
    """

    status: Status | None
    reason: str | None = None
    suppression: SuppressionReason | None = None

    def __post_init__(self) -> None:
        if self.status is not None and self.status not in SAID:
            raise ValueError(f"a receipt does not say {self.status}")


NOTHING_NEW = Meaning(None)


@dataclass(frozen=True, slots=True)
class Receipt:
    """One word of a provider about one message. `code` is the provider's own, of an error.

    `address` is where the message went, when the provider says so; `repr` does not show it.
    """

    notification_id: UUID
    provider: str
    provider_message_id: str
    provider_status: str
    code: str | None
    meaning: Meaning
    address: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a notification stands. `tried`: it is waiting again, and an earlier attempt may have reached the provider."""

    status: Status
    tried: bool = False

    @property
    def under_way(self) -> bool:
        """A worker is sending it, and what it writes comes first; a receipt waits for that."""
        return self.status is Status.SENDING

    def admits(self, said: Status) -> bool:
        """Whether a receipt that says so moves it. One that nobody tried to send cannot have been received."""
        if self.under_way or (self.status in _NOT_YET_SENT and not self.tried):
            return False
        return can_move(self.status, said)


def furthest(standing: Standing, receipts: Iterable[Receipt]) -> Receipt | None:
    """The receipt by which a notification moves, of all that came; None when it stays where it is."""
    moving = [(SAID.index(said), receipt) for receipt in receipts if (said := receipt.meaning.status) is not None]
    moving.sort(key=lambda ranked: ranked[0], reverse=True)
    return next((receipt for rank, receipt in moving if standing.admits(SAID[rank])), None)
