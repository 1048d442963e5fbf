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

_PERHAPS_NEVER_SENT = frozenset({Status.PENDING, Status.QUEUED, Status.EXPIRED})
# What one attempt came to is no word about a later one, which the provider took.
_OF_ONE_ATTEMPT = frozenset({Status.FAILED, Status.BOUNCED})
_TAKEN = frozenset({Status.SENT, Status.DELIVERED})


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
    """How a notification stands. `tried`: an attempt may have reached the provider although nobody recorded it.

    `provider_message_id` is the provider's id of the attempt by which it stands so, where there is one.
    """

    status: Status
    tried: bool = False
    provider_message_id: str | None = None

    @property
    def under_way(self) -> bool:
        """A worker is sending it, and what it writes comes first; a receipt waits for that."""
        return self.status is Status.SENDING

    def admits(self, said: Status, provider_message_id: str) -> bool:
        """Whether a receipt moves it that says so of this attempt. What nobody tried to send cannot have been received.

        Good news may come of any attempt; what one came to does not undo another, by which the message was taken.
        """
        if self.under_way or (self.status in _PERHAPS_NEVER_SENT and not self.tried):
            return False
        of_another = self.provider_message_id not in (None, provider_message_id)
        if of_another and said in _OF_ONE_ATTEMPT and self.status in _TAKEN:
            return False
        return can_move(self.status, said)


def furthest(standing: Standing, receipts: Iterable[Receipt]) -> Receipt | None:
    """The receipt by which a notification moves, of all that came; None when it stays where it is."""
    moving = [(SAID.index(said), receipt) for receipt in receipts if (said := receipt.meaning.status) is not None]
    moving.sort(key=lambda ranked: ranked[0], reverse=True)
    admitted = (one for rank, one in moving if standing.admits(SAID[rank], one.provider_message_id))
    return next(admitted, None)
