"""What Twilio's status callbacks and look-ups mean (https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks)."""

from __future__ import annotations

import re
from uuid import UUID

from carenotify.channels.sms.twilio_codes import OUTCOMES
from carenotify.domain.notification import Status
from carenotify.domain.receipt import NOTHING_NEW, Meaning, Receipt, SuppressionReason
from carenotify.errors import AddressRejectedError, DeadAddressError, DeliveryError, MessageRejectedError, OptedOutError

PROVIDER = "twilio"

# Whatever Twilio says of a message, it has it: a call whose answer was lost came through.
_TAKEN = Meaning(Status.SENT)
_BY_WORD = {
    "accepted": _TAKEN,
    "scheduled": _TAKEN,
    "queued": _TAKEN,
    "sending": _TAKEN,
    "sent": _TAKEN,
    "delivered": Meaning(Status.DELIVERED),
    "read": Meaning(Status.DELIVERED),
}
_CODE = re.compile(r"[1-9][0-9]{0,8}")
_GIVEN_UP = frozenset({"undelivered", "failed", "canceled"})

# The first that an error's type falls under.
_BY_ERROR: tuple[tuple[type[DeliveryError], Meaning], ...] = (
    (OptedOutError, Meaning(Status.UNSUBSCRIBED, "opted_out", SuppressionReason.OPTED_OUT)),
    (DeadAddressError, Meaning(Status.FAILED, "address_rejected", SuppressionReason.REJECTED)),
    (AddressRejectedError, Meaning(Status.FAILED, "address_rejected")),
    (MessageRejectedError, Meaning(Status.FAILED, "message_rejected")),
)
# The carrier gave up: what is tried next is decided where the other addresses are known.
_BY_CARRIER = Meaning(Status.FAILED, "carrier")


def meaning_of(word: str, code: str | None) -> Meaning:
    """What a MessageStatus and its ErrorCode mean. Words that are new to us move nothing."""
    if word not in _GIVEN_UP:
        return _BY_WORD.get(word, NOTHING_NEW)
    error = OUTCOMES.get(int(code)) if code is not None else None
    if error is None:
        return _BY_CARRIER
    return next((meaning for kind, meaning in _BY_ERROR if issubclass(error, kind)), _BY_CARRIER)


def receipt_of(notification_id: UUID, sid: str, *, word: str, code: str | None, address: str | None = None) -> Receipt:
    """The receipt of one word about one message. Of a code only digits are kept, and 0 says that there is none."""
    number = code if code is not None and _CODE.fullmatch(code) else None
    # A WhatsApp number is a phone number with its channel before it.
    number_of = None if not address else address.rpartition(":")[2]
    return Receipt(notification_id, PROVIDER, sid, word, number, meaning_of(word, number), number_of)
