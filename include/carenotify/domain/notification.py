"""What a notification is: its channels, lanes, statuses, and the only legal moves between them."""

from __future__ import annotations

from enum import StrEnum


class Channel(StrEnum):
    """How a message reaches a person."""

    EMAIL = "email"
    SMS = "sms"


class Lane(StrEnum):
    """Which queue a message waits in: changes high, requests through the API medium, reminders low."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Status(StrEnum):
    """Where a notification stands. Every status that is not final has a way out (see TRANSITIONS)."""

    PENDING = "pending"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    BOUNCED = "bounced"
    UNSUBSCRIBED = "unsubscribed"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"
    SUPPRESSED = "suppressed"


_STOPPED = {Status.EXPIRED, Status.SUPERSEDED, Status.CANCELLED, Status.SUPPRESSED}
# A receipt can prove that the provider had a message whose call was cut, or whose worker was killed, and which waits
# to be sent again (domain/receipt.py).
_BY_RECEIPT = {Status.SENT, Status.FAILED, Status.DELIVERED, Status.BOUNCED, Status.UNSUBSCRIBED}

TRANSITIONS: dict[Status, frozenset[Status]] = {
    # A message can overtake its own "queued" mark, so a worker may claim a pending row.
    Status.PENDING: frozenset({Status.QUEUED, Status.SENDING, *_BY_RECEIPT, *_STOPPED}),
    Status.QUEUED: frozenset({Status.PENDING, Status.SENDING, *_BY_RECEIPT, *_STOPPED}),
    Status.SENDING: frozenset({Status.PENDING, Status.SENT, Status.FAILED, Status.UNSUBSCRIBED, *_STOPPED}),
    Status.SENT: frozenset({Status.DELIVERED, Status.FAILED, Status.BOUNCED, Status.UNSUBSCRIBED}),
    Status.DELIVERED: frozenset({Status.BOUNCED, Status.UNSUBSCRIBED}),
    # A person may replay what failed; and an attempt that nobody heard of again may have come through.
    Status.FAILED: frozenset({Status.PENDING, Status.DELIVERED, Status.BOUNCED, Status.UNSUBSCRIBED}),
    Status.BOUNCED: frozenset({Status.UNSUBSCRIBED}),
    Status.UNSUBSCRIBED: frozenset(),
    # Its window may have closed while nobody knew what had become of a call that was cut.
    Status.EXPIRED: frozenset(_BY_RECEIPT),
    Status.SUPERSEDED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.SUPPRESSED: frozenset(),
}

FINAL = frozenset(status for status, following in TRANSITIONS.items() if not following) | {
    Status.SENT,
    Status.DELIVERED,
    Status.FAILED,
    Status.BOUNCED,
    Status.EXPIRED,
}

# Somebody has what it tells, or will have it unless it fails.
LIVING = frozenset({Status.PENDING, Status.QUEUED, Status.SENDING, Status.SENT, Status.DELIVERED})


def can_move(current: Status, following: Status) -> bool:
    """Whether a notification may go from one status to the other."""
    return following in TRANSITIONS[current]
