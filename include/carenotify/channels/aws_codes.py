"""What AWS' own error codes mean, for every service of theirs, as a table; services add theirs before it.

https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html and, for the names that only some services use,
botocore's list of what is worth another try (botocore/retries/standard.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from carenotify.channels.over_http import kind_by_status, retry_after
from carenotify.errors import DeliveryError, MisconfiguredError, TemporaryDeliveryError, ThrottledError

# An error's code, and words of its message where the code alone does not tell; those stand before the code alone.
Refusals = Mapping[tuple[str, str], type[DeliveryError]]

THROTTLED = (
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttled",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
)
PASSING = (
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalServiceError",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
)
# Our keys, their rights, our clock or our region: every message is hurt and none is to blame.
MISCONFIGURED = (
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidAccessKeyId",
    "InvalidAction",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "OptInRequired",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnknownOperationException",
    "UnrecognizedClientException",
)

COMMON: dict[tuple[str, str], type[DeliveryError]] = {
    **{(code, ""): ThrottledError for code in THROTTLED},
    **{(code, ""): TemporaryDeliveryError for code in PASSING},
    **{(code, ""): MisconfiguredError for code in MISCONFIGURED},
}

# What is not of this form is no code, but a piece of some page that stood in its place.
_CODE = re.compile(r"[A-Z][A-Za-z]{2,59}(\.[A-Za-z]{1,40})?")


@dataclass(frozen=True, slots=True)
class AwsError:
    """An answer that is not a success. `repr` shows no text: AWS repeats addresses in it."""

    status: int
    code: str
    text: str
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"AwsError({self.status}, {self.code})"


def refusal(error: AwsError, refusals: Refusals, now: datetime) -> DeliveryError:
    """Our error for one of theirs. Of its text only the words that decided are kept, since they are the table's."""
    wait = retry_after(error.headers, now)
    said = error.text.lower()
    for (code, words), kind in refusals.items():
        if code == error.code and words in said:
            return kind(f"{code}: {words}" if words else code, retry_after=wait)
    known = _CODE.fullmatch(error.code)
    return kind_by_status(error.status)(error.code if known else f"http-{error.status}", retry_after=wait)
