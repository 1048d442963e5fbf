"""What refusals of Amazon SES mean, as a table.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html has the codes,
https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-error-messages.html the messages.
"""

from __future__ import annotations

from carenotify.channels.aws_codes import COMMON
from carenotify.errors import (
    DeadAddressError,
    DeliveryError,
    MessageRejectedError,
    MisconfiguredError,
    OptedOutError,
)

REFUSALS: dict[tuple[str, str], type[DeliveryError]] = {
    # one code for what is wrong with the mail and for what is wrong with our account
    ("MessageRejected", "not verified"): MisconfiguredError,  # our sender; in SES' sandbox the receiver too
    ("MessageRejected", "paused"): MisconfiguredError,
    ("MessageRejected", "opted out"): OptedOutError,
    ("MessageRejected", "unsubscribed"): OptedOutError,
    # Bounced or complained before. SES takes most such mails and tells by a bounce event.
    ("MessageRejected", "suppression list"): DeadAddressError,
    ("MessageRejected", ""): MessageRejectedError,
    # what SES says of an address that it cannot read
    ("BadRequestException", "final '@domain'"): DeadAddressError,
    ("BadRequestException", "domain starts with"): DeadAddressError,
    ("BadRequestException", "domain ends with"): DeadAddressError,
    ("BadRequestException", "domain contains"): DeadAddressError,
    ("BadRequestException", "local address"): DeadAddressError,
    ("BadRequestException", "illegal address"): DeadAddressError,
    ("BadRequestException", "header 'from'"): MisconfiguredError,
    ("BadRequestException", ""): MessageRejectedError,
    # It will not go away in five seconds, and the next provider can help meanwhile.
    ("TooManyRequestsException", "daily message quota"): MisconfiguredError,
    ("ThrottlingException", "daily message quota"): MisconfiguredError,
    ("LimitExceededException", "daily message quota"): MisconfiguredError,
    ("AccountSuspendedException", ""): MisconfiguredError,
    ("SendingPausedException", ""): MisconfiguredError,
    ("MailFromDomainNotVerifiedException", ""): MisconfiguredError,
    ("NotFoundException", ""): MisconfiguredError,  # the configuration set
    **COMMON,
}
