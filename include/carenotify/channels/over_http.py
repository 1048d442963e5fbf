"""What providers over HTTP have in common: what an answer says when the provider itself said nothing (RFC 9110 15)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from carenotify.errors import (
    DeliveryError,
    MessageRejectedError,
    TemporaryDeliveryError,
    ThrottledError,
    UnconfirmedDeliveryError,
)

# For each of a server's addresses. A call must not begin so late that its message's claim runs out under way.
CONNECT_SECONDS = 3.0

_TOO_MANY_REQUESTS = 429
_BAD_REQUEST, _SERVER_ERROR = 400, 500
# Whoever stands between us and the provider answers these: nothing was said of the message.
_IN_BETWEEN = frozenset({401, 403, 404, 407, 408, 425})
# A gateway answers these when it lost the answer of whoever stands behind it.
_MAY_HAVE_PASSED = frozenset({502, 504})


def kind_by_status(status: int) -> type[DeliveryError]:
    """Our error for an answer that is not a success and has no code that we know."""
    if status == _TOO_MANY_REQUESTS:
        return ThrottledError
    if _BAD_REQUEST <= status < _SERVER_ERROR and status not in _IN_BETWEEN:
        return MessageRejectedError
    return UnconfirmedDeliveryError if status in _MAY_HAVE_PASSED else TemporaryDeliveryError


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """The wait that a Retry-After header asks for, in either of its forms (RFC 9110 10.2.3)."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return timedelta(seconds=min(int(value), 24 * 3600))
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(until.replace(tzinfo=until.tzinfo or UTC) - now, timedelta())
