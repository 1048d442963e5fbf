"""What Twilio's error codes mean (https://www.twilio.com/docs/api/errors), as a table.

The same codes come back in the answer to a call and, later, in status callbacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from carenotify.channels.over_http import kind_by_status, retry_after
from carenotify.errors import (
    AddressRejectedError,
    DeadAddressError,
    DeliveryError,
    MessageRejectedError,
    MisconfiguredError,
    OptedOutError,
    TemporaryDeliveryError,
    ThrottledError,
)

OUTCOMES: dict[int, type[DeliveryError]] = {
    # the person said STOP
    21610: OptedOutError,
    # this number takes no SMS from us, whatever the text; a dead one from nobody
    21211: DeadAddressError,  # invalid "To" number
    21214: AddressRejectedError,  # "To" cannot be reached
    21217: DeadAddressError,  # phone number does not appear to be valid
    21219: AddressRejectedError,  # "To" is not verified (trial accounts)
    21265: AddressRejectedError,  # "To" is a short code
    21408: AddressRejectedError,  # SMS to that region is not enabled
    21421: DeadAddressError,  # phone number is invalid
    21604: AddressRejectedError,  # "To" is missing
    21612: AddressRejectedError,  # no route from our sender to "To"
    21614: DeadAddressError,  # not a mobile number
    21635: DeadAddressError,  # a landline
    30004: AddressRejectedError,  # blocked by the receiver or the carrier
    30005: DeadAddressError,  # unknown handset
    30006: AddressRejectedError,  # landline or unreachable carrier
    # this text, whatever the number
    21602: MessageRejectedError,  # no text
    21605: MessageRejectedError,  # text too long
    21617: MessageRejectedError,  # text too long for a concatenated message
    21619: MessageRejectedError,  # no text and no media
    30007: MessageRejectedError,  # filtered as spam
    30010: MessageRejectedError,  # dearer than the maximum price
    30019: MessageRejectedError,  # too large for the carrier
    30034: MessageRejectedError,  # sender not registered with the carriers of that country
    # slower, please
    14107: ThrottledError,  # message rate limit
    20429: ThrottledError,  # too many requests
    21611: ThrottledError,  # our sender's queue is full
    30017: ThrottledError,  # the carrier is congested
    30022: ThrottledError,  # the carrier's rate limit
    30023: ThrottledError,  # the carrier's daily limit
    # passing
    20500: TemporaryDeliveryError,
    20503: TemporaryDeliveryError,
    30001: TemporaryDeliveryError,  # queue overflow
    30003: TemporaryDeliveryError,  # handset off or out of reach
    30008: TemporaryDeliveryError,  # unknown error
    30009: TemporaryDeliveryError,  # a segment was lost
    30036: TemporaryDeliveryError,  # waited at Twilio for longer than it was valid
    30410: TemporaryDeliveryError,  # the carrier timed out
    30500: TemporaryDeliveryError,
    # our account or our settings: every message is hurt and none is to blame
    20003: MisconfiguredError,  # authentication
    20005: MisconfiguredError,  # account not active
    20006: MisconfiguredError,  # access denied
    20404: MisconfiguredError,  # no such account
    21212: MisconfiguredError,  # invalid "From"
    21603: MisconfiguredError,  # "From" is missing
    21606: MisconfiguredError,  # "From" is not ours or cannot send SMS
    21609: MisconfiguredError,  # invalid callback URL
    21659: MisconfiguredError,  # "From" is not a Twilio number
    21660: MisconfiguredError,  # "From" belongs to another account
    21703: MisconfiguredError,  # messaging service without a number
    21704: MisconfiguredError,  # messaging service disabled
    21705: MisconfiguredError,  # messaging service unknown
    30002: MisconfiguredError,  # account suspended
}


def refusal(status: int, code: int | None, headers: Mapping[str, str], now: datetime) -> DeliveryError:
    """Our error for an HTTP answer that is not a success. `code` is Twilio's own, if the answer held one."""
    kind = OUTCOMES.get(code) if code is not None else None
    return (kind or kind_by_status(status))(
        str(code) if code is not None else f"http-{status}", retry_after=retry_after(headers, now)
    )
