"""What refusals of Amazon SNS mean for a text message, as a table.

https://docs.aws.amazon.com/sns/latest/api/API_Publish.html has the codes. InvalidParameter stands for many things; its
message names the parameter.
"""

from __future__ import annotations

from carenotify.channels.aws_codes import COMMON
from carenotify.errors import (
    AddressRejectedError,
    DeliveryError,
    MessageRejectedError,
    MisconfiguredError,
    OptedOutError,
    ThrottledError,
)

REFUSALS: dict[tuple[str, str], type[DeliveryError]] = {
    ("OptedOut", ""): OptedOutError,
    ("OptedOutException", ""): OptedOutError,
    ("InvalidParameter", "opted out"): OptedOutError,
    ("InvalidParameter", "senderid"): MisconfiguredError,
    ("InvalidParameter", "sender id"): MisconfiguredError,
    ("InvalidParameter", "originationnumber"): MisconfiguredError,
    ("InvalidParameter", "origination number"): MisconfiguredError,
    # Not dead: it may be in a country that SNS does not serve, and others do.
    ("InvalidParameter", "phonenumber"): AddressRejectedError,
    ("InvalidParameter", "phone number"): AddressRejectedError,
    ("InvalidParameter", ""): MessageRejectedError,
    ("ParameterValueInvalid", ""): MessageRejectedError,
    ("ValidationException", ""): MessageRejectedError,
    ("AuthorizationError", ""): MisconfiguredError,
    ("InvalidSecurity", ""): MisconfiguredError,
    ("NotFound", ""): MisconfiguredError,
    ("KMSAccessDenied", ""): MisconfiguredError,
    ("KMSDisabled", ""): MisconfiguredError,
    ("KMSInvalidState", ""): MisconfiguredError,
    ("KMSNotFound", ""): MisconfiguredError,
    ("KMSOptInRequired", ""): MisconfiguredError,
    ("KMSThrottling", ""): ThrottledError,
    **COMMON,
}
