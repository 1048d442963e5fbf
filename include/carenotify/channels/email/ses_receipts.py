"""What the events mean that Amazon SES publishes of a mail.

https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html, and for bounces and complaints
https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from email.utils import parseaddr
from typing import Any
from uuid import UUID

from carenotify.domain.notification import Status
from carenotify.domain.receipt import NOTHING_NEW, Meaning, Receipt, SuppressionReason

PROVIDER = "ses"
TAG = "notification_id"
HEADER = "x-carenotify-notification-id"

_BOUNCED = Meaning(Status.BOUNCED, "bounced", SuppressionReason.BOUNCED)
# A full mailbox, a mail too large, an automatic answer: nothing is said of the address.
_FOR_NOW = Meaning(Status.FAILED, "carrier")
_COMPLAINT = Meaning(Status.UNSUBSCRIBED, "complaint", SuppressionReason.COMPLAINT)
# By the event's type, with the type of a bounce, or the feedback of a complaint, after a slash.
_MEANINGS = {
    "Send": Meaning(Status.SENT),
    "DeliveryDelay": Meaning(Status.SENT),
    "Delivery": Meaning(Status.DELIVERED),
    "Bounce/Permanent": _BOUNCED,
    "Bounce/Transient": _FOR_NOW,
    "Bounce/Undetermined": _FOR_NOW,
    "Complaint": _COMPLAINT,
    "Complaint/not-spam": NOTHING_NEW,
    "Reject": Meaning(Status.FAILED, "message_rejected"),
    "Rendering Failure": Meaning(Status.FAILED, "message_rejected"),
}
# Where an event tells of its recipients.
_RECIPIENTS = (("bounce", "bouncedRecipients"), ("complaint", "complainedRecipients"))
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_WORD = re.compile(r"[A-Za-z][A-Za-z -]{0,39}")


def meaning_of(word: str, _code: str | None = None) -> Meaning:
    """What a word of `read_event` means. Events that are new to us, opens and clicks move nothing."""
    return _MEANINGS.get(word) or _MEANINGS.get(word.partition("/")[0], NOTHING_NEW)


def read_event(event: Mapping[str, Any]) -> Receipt | None:
    """The receipt of one event; None when its mail is not one of ours.

    Ours carry their notification's id in the tag `notification_id`; plain feedback has no tags, and then in a header.
    """
    mail = _object(event, "mail")
    notification_id, message_id = _notification_id(mail), mail.get("messageId")
    if notification_id is None or not isinstance(message_id, str) or not message_id:
        return None
    word = _word(event)
    address, code = _recipient(event)
    return Receipt(notification_id, PROVIDER, message_id[:200], word, code, meaning_of(word), address)


def _word(event: Mapping[str, Any]) -> str:
    kind = _text(event, "eventType") or _text(event, "notificationType")
    detail = {
        "Bounce": _text(_object(event, "bounce"), "bounceType"),
        "Complaint": _text(_object(event, "complaint"), "complaintFeedbackType"),
    }.get(kind, "")
    return f"{kind}/{detail}" if detail else kind or "unknown"


def _recipient(event: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Whom it concerns, and the enhanced status code of RFC 3463; our mails have one recipient each."""
    for part, member in _RECIPIENTS:
        recipients = _object(event, part).get(member)
        if isinstance(recipients, list) and recipients and isinstance(recipients[0], dict):
            status = recipients[0].get("status")
            code = status if isinstance(status, str) and _ENHANCED.fullmatch(status) else None
            return parseaddr(str(recipients[0].get("emailAddress", "")))[1] or None, code
    return None, None


def _notification_id(mail: Mapping[str, Any]) -> UUID | None:
    for candidate in _candidates(mail):
        try:
            return UUID(candidate)
        except ValueError:
            continue
    return None


def _candidates(mail: Mapping[str, Any]) -> Iterator[str]:
    tagged = _object(mail, "tags").get(TAG)
    yield from (tag for tag in (tagged if isinstance(tagged, list) else ()) if isinstance(tag, str))
    headers = mail.get("headers")
    for header in headers if isinstance(headers, list) else ():
        if isinstance(header, dict) and str(header.get("name", "")).lower() == HEADER:
            yield str(header.get("value", ""))


def _object(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = holder.get(name)
    return found if isinstance(found, dict) else {}


def _text(holder: Mapping[str, Any], name: str) -> str:
    """A short word of letters; what stands in the database and in logs never holds more."""
    found = holder.get(name)
    return found if isinstance(found, str) and _WORD.fullmatch(found) else ""
