"""Numbers that fail, by their last four digits, and what Twilio says then.

Codes: https://www.twilio.com/docs/api/errors. No patient of the synthetic hospital has such a number.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """Answered at once, nothing is sent."""

    status: int
    code: int
    message: str


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a message that was accepted: its last status and Twilio's error code."""

    status: str = "delivered"
    error_code: int | None = None
    silent: bool = False


DELIVERED = Fate()
UNKNOWN = Fate("undelivered", 30005)

INVALID_NUMBER = Refusal(400, 21211, "The 'To' number {to} is not a valid phone number.")
OPTED_OUT = Refusal(400, 21610, "Attempt to send to unsubscribed recipient")
NOT_MOBILE = Refusal(400, 21614, "'To' number: {to}, is not a valid mobile number")
TOO_MANY = Refusal(429, 20429, "Too Many Requests")
INTERNAL = Refusal(500, 20500, "Internal Server Error")
UNAVAILABLE = Refusal(503, 20503, "Service Unavailable")
NO_PERMISSION = Refusal(400, 21408, "Permission to send an SMS has not been enabled for the region indicated by {to}")
UNAUTHENTICATED = Refusal(401, 20003, "Authenticate")
NOT_FOUND = Refusal(404, 20404, "The requested resource was not found")
NO_TO = Refusal(400, 21604, "A 'To' phone number is required.")
NO_BODY = Refusal(400, 21602, "Message body is required.")
NO_FROM = Refusal(400, 21603, "A 'From' phone number is required.")
TOO_LONG = Refusal(400, 21617, "The concatenated message body exceeds the 1600 character limit.")

BY_SUFFIX: dict[str, Refusal | Fate] = {
    "0001": INVALID_NUMBER,
    "0002": OPTED_OUT,
    "0003": NOT_MOBILE,
    "0004": Fate("undelivered", 30003),  # unreachable handset
    "0005": UNKNOWN,  # handset
    "0006": TOO_MANY,
    "0007": INTERNAL,
    "0008": Fate("undelivered", 30006),  # landline or unreachable carrier
    "0009": Fate("undelivered", 30007),  # carrier filtered it
    "0010": Fate("failed", 30008),  # unknown error
    "0011": Fate("undelivered", 30004),  # message blocked
    "0012": Fate("sent", silent=True),  # accepted, and never heard of again
    "0013": NO_PERMISSION,
    "0014": UNAVAILABLE,
}


def fate_of(number: str) -> Refusal | Fate:
    """What happens to a message to this number."""
    return BY_SUFFIX.get(number[-4:], DELIVERED)
