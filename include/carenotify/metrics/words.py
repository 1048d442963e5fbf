"""The words that labels may have where they come from elsewhere; any other one becomes `other`."""

from __future__ import annotations

from collections.abc import Collection

from carenotify.domain.receipt import SAID

OTHER = "other"

# What domain/delivery.py makes of a provider's answer.
ATTEMPT_OUTCOMES = frozenset({
    "sent",
    "temporary",
    "throttled",
    "misconfigured",
    "provider_down",
    "put_back",
    "retries_spent",
    "address_rejected",
    "message_rejected",
    "opted_out",
})  # fmt: skip

# Why a claim refuses a message (storage/claims.py), or none of its providers is asked (journeys/deliver_batch.py).
REFUSALS = frozenset({
    "paused",
    "window_closed",
    "patient_unknown",
    "deceased",
    "opted_out",
    "appointment_changed",
    "appointment_past",
    "in_quarantine",
    "rate_limited",
    "unreadable",
    "no_usable_address",
    "wording",
    "put_back",
    "provider_down",
})  # fmt: skip

# What a receipt can say; most say nothing that moves a notification.
PROGRESS = "progress"
RECEIPT_WORDS = (*SAID, PROGRESS)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def known(word: str, words: Collection[str]) -> str:
    """The word itself when it is one of these."""
    return word if word in words else OTHER
