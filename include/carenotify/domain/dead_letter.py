"""What nobody delivered and nobody tries again by itself: where it came from, and why it can or cannot be replayed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from carenotify.domain.notification import FINAL, Status, can_move
from carenotify.domain.receipt import SAID


class Source(StrEnum):
    """Who gave it up: our own delivery, or the broker."""

    DELIVERY = "delivery"
    BROKER = "broker"


class BrokerReason(StrEnum):
    """Why a message that the broker gave back is for a person to look at."""

    NOT_AN_ENVELOPE = "not_an_envelope"
    UNKNOWN_NOTIFICATION = "unknown_notification"
    RETURNED_BY_BROKER = "returned_by_broker"


# Every reason that a dead letter can have: those of our own delivery and of receipts, those that the last one of a
# chain of fallbacks ends with, and the broker's.
REASONS = (
    "retries_spent",
    "worker_lost",
    "address_rejected",
    "message_rejected",
    "wording",
    "unreadable",
    "contact_unknown",
    "carrier",
    "window_closed",
    "appointment_past",
    "no_usable_address",
    "opted_out",
    "bounced",
    *(reason.value for reason in BrokerReason),
)


class Resolution(StrEnum):
    """How a dead letter ended. What is due again by itself was never anybody's to look at."""

    REPLAYED = "replayed"
    DISCARDED = "discarded"
    DUE_AGAIN = "due_again"


# How those ended that are in the list of the resolved ones: by a person, by a message that the patient got instead, or
# by a late receipt, whose status it is.
RESOLUTIONS = (
    Resolution.REPLAYED.value,
    Resolution.DISCARDED.value,
    "fallback",
    "told_otherwise",
    *(said.value for said in SAID if said is not Status.FAILED),
)


class Refusal(StrEnum):
    """Why a dead letter cannot be replayed."""

    RESOLVED = "resolved"
    NO_NOTIFICATION = "no_notification"
    NOT_FAILED = "not_failed"
    ANOTHER_TOOK_OVER = "another_took_over"
    APPOINTMENT_CHANGED = "appointment_changed"
    WINDOW_OVER = "window_over"

    @property
    def explanation(self) -> str:
        """The reason for people, and what to do about it."""
        return _EXPLANATIONS[self]


_EXPLANATIONS = {
    Refusal.RESOLVED: "It was replayed or discarded before, or a late receipt has answered it.",
    Refusal.NO_NOTIFICATION: "No notification stands behind it, so there is nothing to send; discard it.",
    Refusal.NOT_FAILED: "Its notification is not failed any more: it is on its way, or has come to another end.",
    Refusal.ANOTHER_TOOK_OVER: "Another message took its place, and was sent or is on its way; discard it.",
    Refusal.APPOINTMENT_CHANGED: "Its appointment has changed since: it says what is no longer true. Discard it.",
    Refusal.WINDOW_OVER: "Its time is over: its send window has closed, or the appointment has begun. Discard it.",
}

REPLAYABLE = tuple(status for status in Status if status in FINAL and can_move(status, Status.PENDING))

# A notification whose messages come back so often is not tried again by itself.
RETURNS_ALLOWED = 3


@dataclass(frozen=True, slots=True)
class ReturnedMessage:
    """A message that the broker gave up, as much of it as is worth keeping.

    `fingerprint` is the SHA-256 of the queue and the whole body; `size` counts bytes, of which `beginning` holds the
    first. `cause` is the broker's own word (rejected, expired, delivery_limit, maxlen). `repr` shows no content.
    """

    fingerprint: bytes
    size: int
    beginning: bytes
    notification_id: UUID | None
    queue: str | None
    cause: str | None

    def __repr__(self) -> str:
        return f"ReturnedMessage(size={self.size}, queue={self.queue!r}, cause={self.cause!r})"
