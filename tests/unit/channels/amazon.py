"""An SNS service to test against: its own key and certificate, real signatures, and mails' events as SES words them."""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID, uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.x509.oid import NameOID

TOPIC = "arn:aws:sns:eu-central-1:123456789012:mail-events"
HOST = "https://sns.eu-central-1.amazonaws.com"
CERTIFICATE_URL = f"{HOST}/SimpleNotificationService-0123456789abcdef.pem"
CONFIRM_URL = f"{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=abc"
_HASHES: dict[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}


@cache
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def certificate() -> bytes:
    """A self-signed certificate for `key`."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key().public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
        .sign(key(), hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


@dataclass
class Web:
    """What is found behind URLs, and how often each was asked for."""

    pages: dict[str, bytes] = field(default_factory=lambda: {CERTIFICATE_URL: certificate(), CONFIRM_URL: b"<ok/>"})
    asked: Counter[str] = field(default_factory=Counter)

    def __call__(self, url: str) -> bytes | None:
        self.asked[url] += 1
        return self.pages.get(url)


def sign(members: dict[str, str], *, version: str = "2") -> dict[str, str]:
    """The message with its signature; what is signed is told here once more, from Amazon's page and not from ours."""
    confirming = members["Type"] != "Notification"
    names = ["Message", "MessageId", "SubscribeURL" if confirming else "Subject", "Timestamp"]
    names += ["Token"] * confirming + ["TopicArn", "Type"]
    text = "".join(f"{name}\n{members[name]}\n" for name in names if name in members)
    signature = key().sign(text.encode(), PKCS1v15(), _HASHES[version])
    more = {"SignatureVersion": version, "SigningCertURL": CERTIFICATE_URL}
    return members | more | {"Signature": base64.b64encode(signature).decode()}


def notification(event: dict[str, Any], *, topic: str = TOPIC, version: str = "2", **more: str) -> dict[str, str]:
    """A signed notification of an event."""
    members = {
        "Type": "Notification",
        "MessageId": str(uuid4()),
        "TopicArn": topic,
        "Message": json.dumps(event),
        "Timestamp": "2026-11-24T08:30:00.000Z",
    }
    return sign(members | more, version=version)


def confirmation(
    *, topic: str = TOPIC, url: str = CONFIRM_URL, kind: str = "SubscriptionConfirmation"
) -> dict[str, str]:
    """A signed question whether we want a topic's messages."""
    return sign(
        {
            "Type": kind,
            "MessageId": str(uuid4()),
            "Token": "abc",
            "TopicArn": topic,
            "Message": "You have chosen to subscribe",
            "SubscribeURL": url,
            "Timestamp": "2026-11-24T08:30:00.000Z",
        }
    )


def event(kind: str, notification_id: UUID, *, to: str = "anna@example.org", **parts: Any) -> dict[str, Any]:
    """An event of one of our mails, with its tag."""
    mail = {
        "timestamp": "2026-11-24T08:30:00.000Z",
        "messageId": f"id-{notification_id}",
        "destination": [to],
        "tags": {"ses:configuration-set": ["hospital"], "notification_id": [str(notification_id)]},
    }
    return {"eventType": kind, "mail": mail, **parts}


def bounce(notification_id: UUID, kind: str = "Permanent", *, to: str = "anna@example.org") -> dict[str, Any]:
    """A bounce as SES words it; the diagnostic text quotes the address."""
    recipient = {
        "emailAddress": to,
        "action": "failed",
        "status": "5.1.1",
        "diagnosticCode": f"smtp; 550 5.1.1 <{to}> user unknown",
    }
    told = {"bounceType": kind, "bounceSubType": "General", "bouncedRecipients": [recipient]}
    return event("Bounce", notification_id, to=to, bounce=told)


def complaint(notification_id: UUID, *, to: str = "anna@example.org", feedback: str = "abuse") -> dict[str, Any]:
    """Somebody called the mail spam, or took that back."""
    told = {"complainedRecipients": [{"emailAddress": to}], "complaintFeedbackType": feedback}
    return event("Complaint", notification_id, to=to, complaint=told)
