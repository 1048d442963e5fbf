"""What the day's report calls things, in words for people: the same as on the page, where that has them too."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor

CHANNELS: Mapping[str, str] = {"sms": "SMS", "email": "E-mail"}

KINDS: Mapping[str, str] = {
    "reminder": "Reminder",
    "rescheduled": "New time",
    "venue_changed": "New place",
    "cancelled": "Appointment cancelled",
    "booked": "Appointment booked",
    "message": "Message",
}

# How a message ended that did not arrive.
ENDINGS: Mapping[str, str] = {
    "failed": "failed",
    "bounced": "bounced",
    "expired": "too late",
    "suppressed": "held back",
    "unsubscribed": "opted out",
    "cancelled": "cancelled",
}

# Why a message did not arrive; where no reason is noted, how it ended.
FAILURES: Mapping[str, str] = {
    "retries_spent": "All attempts failed",
    "worker_lost": "Worker stopped in the middle",
    "address_rejected": "No such address",
    "message_rejected": "Message refused",
    "wording": "Cannot be worded",
    "unreadable": "Cannot be decrypted",
    "contact_unknown": "Patient not known",
    "carrier": "Not delivered by the network",
    "window_closed": "Out of time",
    "appointment_past": "Appointment has begun",
    "no_usable_address": "No address left",
    "opted_out": "Opted out",
    "bounced": "Came back",
    "returned_by_broker": "Nobody took it from the queue",
    "no_receipt": "Nobody said whether it arrived",
    "provider_down": "Provider was down",
    "complaint": "Patient complained of it",
    "patient_unknown": "Patient not known",
    "deceased": "Patient has died",
    "failed": "Failed, without a reason",
    "expired": "Too late",
    "suppressed": "Held back, without a reason",
    "unsubscribed": "Opted out",
    "cancelled": "Cancelled",
    "cancelled_by_request": "Cancelled by request",
}

# Why nobody was told of an appointment.
SKIPS: Mapping[str, str] = {
    "cancelled": "Cancelled",
    "no_show": "Patient did not come",
    "entered_in_error": "Entered in error",
    "not_booked": "Not booked yet",
    "past": "Had begun",
    "in_quarantine": "Held back by the data checks",
    "patient_unknown": "Patient not known",
    "deceased": "Patient has died",
    "opted_out": "Patient does not want reminders",
    "unreadable": "Record cannot be decrypted",
    "no_contact": "No address known",
    "no_usable_address": "No address can be used",
}

# Why nothing is sent to an address any more.
SUPPRESSIONS: Mapping[str, str] = {
    "opted_out": "Opted out",
    "bounced": "Came back",
    "complaint": "Patient complained of it",
    "rejected": "No such address",
}

LOADS: Mapping[str, str] = {
    "loaded": "Taken over",
    "running": "Under way",
    "held": "Held back, waiting for a person",
    "released": "Held back, then released",
    "discarded": "Discarded",
    "failed": "Failed",
}


def word(words: Mapping[str, str], name: str) -> str:
    """What it is called; a name that has no word is shown as it is, without underscores."""
    return words.get(name) or name.replace("_", " ").capitalize()


def share(part: float, digits: int = 1) -> str:
    """0.98963 as `98.9 %`: never rounded up, so that what falls short of a target does not look as if it met it."""
    scale = 10**digits
    return f"{floor(part * 100 * scale + 1e-9) / scale:.{digits}f} %"


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 message`, `2,041 messages`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
