"""What a mail server's refusal means (RFC 5321 4.2.3, RFC 3463, RFC 4954, RFC 7504), as a table."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum

from carenotify.errors import (
    AddressRejectedError,
    BusyAddressError,
    DeadAddressError,
    DeliveryError,
    MessageRejectedError,
    MisconfiguredError,
    TemporaryDeliveryError,
    ThrottledError,
)


class Stage(StrEnum):
    """What the server was refusing: us, our sender address, the patient's address, or the mail itself."""

    CONNECT = "connect"
    SENDER = "sender"
    RECIPIENT = "recipient"
    CONTENT = "content"


# Keys, the most telling first: "550 5.1.1", "5.1.1", "550 5.1", "recipient 5.1", "5.1", "recipient 550", "550", "5".
REFUSALS: dict[str, type[DeliveryError]] = {
    "4": TemporaryDeliveryError,
    "4.5.3": ThrottledError,  # too many recipients or messages in one session
    "4.3": TemporaryDeliveryError,  # the server itself
    "4.7": ThrottledError,  # rate limits
    "421 4.7": ThrottledError,
    # What is said of one address is no word about us or the server: busy mailboxes, and greylisting (RFC 6647).
    "recipient 4.1": BusyAddressError,
    "recipient 4.2": BusyAddressError,
    "recipient 4.7": BusyAddressError,
    "recipient 450": BusyAddressError,
    "recipient 451": BusyAddressError,
    "454": TemporaryDeliveryError,
    "454 4.7": TemporaryDeliveryError,  # passing failure of authentication or TLS
    "5": MessageRejectedError,
    "5.1": AddressRejectedError,
    "5.1.1": DeadAddressError,  # no such mailbox
    "5.1.2": DeadAddressError,  # no such domain
    "5.1.3": DeadAddressError,  # not an address
    "5.1.6": DeadAddressError,  # moved, with no new one given
    "5.1.10": DeadAddressError,  # a domain that takes no mail (RFC 7505)
    "5.1.7": MessageRejectedError,  # the sender's address: ours
    "5.1.8": MessageRejectedError,
    "5.2": AddressRejectedError,  # mailbox full, as a rule
    "5.2.1": DeadAddressError,  # disabled
    "5.2.3": MessageRejectedError,  # longer than the mailbox takes
    "5.3": MessageRejectedError,
    "5.4": AddressRejectedError,  # no route to that domain
    "5.5": MessageRejectedError,
    "5.6": MessageRejectedError,
    "5.7": MessageRejectedError,
    # Our credentials or their settings are wrong: every message is hurt and none is to blame.
    "530": MisconfiguredError,
    "530 5.7": MisconfiguredError,
    "534": MisconfiguredError,
    "534 5.7": MisconfiguredError,
    "535": MisconfiguredError,
    "535 5.7": MisconfiguredError,
    "535 5.7.8": MisconfiguredError,
    "538": MisconfiguredError,
    "538 5.7": MisconfiguredError,
    # Servers without enhanced codes: what was refused is told by when it was.
    "recipient 501": AddressRejectedError,
    "recipient 521": AddressRejectedError,
    "recipient 550": AddressRejectedError,
    "recipient 551": AddressRejectedError,
    "recipient 553": AddressRejectedError,
    "recipient 556": AddressRejectedError,
}

_TRANSPORT: tuple[tuple[type[OSError], str], ...] = (
    (smtplib.SMTPNotSupportedError, "not-offered"),  # STARTTLS or AUTH
    (smtplib.SMTPServerDisconnected, "connection-cut"),
    (smtplib.SMTPException, "protocol"),  # an OSError too
    (ssl.SSLError, "tls"),
    (socket.gaierror, "unknown-host"),
    (TimeoutError, "timeout"),
    (ConnectionRefusedError, "connection-refused"),
    (OSError, "connection-cut"),
)

# Who is greylisted, as a rule for five minutes, gets through within the attempts that there are.
_BUSY_FOR = timedelta(minutes=1)

_ENHANCED = re.compile(rb"\s*([245])\.(\d{1,3})\.(\d{1,3})\b")


def refusal(stage: Stage, code: int, reply: bytes) -> DeliveryError:
    """Our error for a reply that is not the one hoped for. Of the server's text only its codes are kept."""
    match = _ENHANCED.match(reply)
    enhanced = b".".join(match.groups()).decode() if match else None
    kind = next((REFUSALS[key] for key in _keys(stage, str(code), enhanced) if key in REFUSALS), TemporaryDeliveryError)
    if stage is Stage.CONNECT and not issubclass(kind, ThrottledError):
        kind = TemporaryDeliveryError  # no message was even mentioned
    wait = _BUSY_FOR if kind is BusyAddressError else None
    return kind(f"{code} {enhanced}" if enhanced else str(code), retry_after=wait)


def _keys(stage: Stage, code: str, enhanced: str | None) -> Iterator[str]:
    # A 450 with a stray 5.1.1 is still a 450.
    if enhanced and enhanced[0] == code[0]:
        subject = enhanced.rpartition(".")[0]
        yield from (f"{code} {enhanced}", enhanced, f"{code} {subject}", f"{stage} {subject}", subject)
    yield from (f"{stage} {code}", code, code[0])


def lost(error: OSError) -> TemporaryDeliveryError:
    """Our error for a connection that could not be made or was lost before the server had the mail."""
    return TemporaryDeliveryError(next(code for kind, code in _TRANSPORT if isinstance(_beneath(error), kind)))


def timed_out(error: OSError) -> bool:
    """Whether the server was silent, rather than gone."""
    return isinstance(_beneath(error), TimeoutError)


def _beneath(error: OSError) -> BaseException:
    """smtplib reports a silent server as a disconnected one; the time-out is the context of that error."""
    hidden = error.__context__ if isinstance(error, smtplib.SMTPServerDisconnected) else None
    return hidden if isinstance(hidden, OSError) else error
