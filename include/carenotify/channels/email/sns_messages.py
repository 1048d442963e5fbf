"""Messages that Amazon SNS posts to us: signed with a certificate of Amazon's, and only from topics that we know.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import requests
from cachetools import TTLCache
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from carenotify.errors import SignatureUncheckedError

_FETCH_SECONDS = 5.0
_REMEMBER_SECONDS = 24 * 3600.0
# Amazon repeats what we put off three times, 20 seconds apart:
# https://docs.aws.amazon.com/sns/latest/dg/SendMessageToHttp.retry.html
_AFTER_FAILURE_SECONDS = 5.0
_WAIT_SECONDS = 1.0
_CERTIFICATES = 16
_LONGEST_ANSWER = 64 * 1024

_HOST = re.compile(r"sns\.(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com(?:\.cn)?")
_CERTIFICATE_PATH = re.compile(r"/SimpleNotificationService-[A-Za-z0-9]{1,64}\.pem")
_REGION_OF_ARN = 3

_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED_MEMBERS = {
    "Notification": _NOTIFICATION,
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}
_HASHES: dict[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303 - Amazon's version 1

_UNREADABLE = (ValueError, RecursionError)  # the latter for lists in lists in lists ...

Fetch = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class SnsMessage:
    """One message as it was posted. `repr` shows nothing of what is in it."""

    members: dict[str, str] = field(repr=False)

    @classmethod
    def parse(cls, body: bytes) -> SnsMessage | None:
        """Read a posted body; None when it is no message of SNS. Members that are no text are left out."""
        try:
            found: Any = json.loads(body)
        except _UNREADABLE:
            return None
        if not isinstance(found, dict):
            return None
        members = {name: value for name, value in found.items() if isinstance(value, str)}
        return cls(members) if members.get("Type") in _SIGNED_MEMBERS else None

    @property
    def type(self) -> str:
        """Notification, SubscriptionConfirmation or UnsubscribeConfirmation."""
        return self.members["Type"]

    @property
    def topic(self) -> str:
        """The ARN of its topic."""
        return self.members.get("TopicArn", "")

    @property
    def content(self) -> dict[str, Any]:
        """The JSON object in its message; empty when it is none."""
        try:
            found: Any = json.loads(self.members.get("Message", ""))
        except _UNREADABLE:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def signed_text(self) -> bytes:
        """What its signature is made over: its members in the order of their names, each with its name before it."""
        names = [name for name in _SIGNED_MEMBERS[self.type] if name in self.members]
        return "".join(f"{name}\n{self.members[name]}\n" for name in names).encode(errors="replace")


class SnsGate:
    """Lets messages in that Amazon signed for one of `topics`. `fetch` gets a URL's content, None when it cannot.

    Nothing is fetched on a stranger's word: the topic is looked at first, and a URL has to be Amazon's own, in the
    topic's region. Certificates are kept for a day, and fetched one at a time; after one that could not be had,
    whatever its name, none is asked for in the next seconds. Who comes meanwhile waits `wait_seconds` at most.
    """

    def __init__(
        self,
        topics: Collection[str],
        *,
        fetch: Fetch | None = None,
        timer: Callable[[], float] = time.monotonic,
        wait_seconds: float = _WAIT_SECONDS,
    ) -> None:
        self._topics = frozenset(topics)
        self._fetch = fetch or _fetched
        self._timer = timer
        self._wait_seconds = wait_seconds
        self._keys: TTLCache[str, RSAPublicKey] = TTLCache(_CERTIFICATES, _REMEMBER_SECONDS, timer)
        self._guard = Lock()
        self._fetching = Lock()
        self._fetch_from = timer()

    def admits(self, message: SnsMessage) -> bool:
        """Whether it is of a topic of ours, and its signature fits.

        Raises SignatureUncheckedError when nobody can tell: no topic is set, or its certificate cannot be had just now.
        """
        if not self._topics:
            raise SignatureUncheckedError("CARENOTIFY_SES_TOPIC_ARNS names no topic")
        if message.topic not in self._topics:
            return False
        algorithm = _HASHES.get(message.members.get("SignatureVersion", ""))
        url = message.members.get("SigningCertURL", "")
        if algorithm is None or not _is_amazons(url, message.topic, path=_CERTIFICATE_PATH):
            return False
        return _fits(self._known(url) or self._awaited(url), message, algorithm)

    def confirm(self, message: SnsMessage) -> bool:
        """Say yes to a subscription that was admitted, by fetching its URL. False when that cannot be done."""
        url = message.members.get("SubscribeURL", "")
        return _is_amazons(url, message.topic, path=re.compile("/")) and self._fetch(url) is not None

    def _known(self, url: str) -> RSAPublicKey | None:
        with self._guard:
            return self._keys.get(url)

    def _awaited(self, url: str) -> RSAPublicKey:
        """The key that is behind a URL, once it is this message's turn to fetch."""
        if not self._fetching.acquire(timeout=self._wait_seconds):
            raise SignatureUncheckedError("another certificate of Amazon's is being fetched")
        try:
            return self._known(url) or self._new(url)
        finally:
            self._fetching.release()

    def _new(self, url: str) -> RSAPublicKey:
        if self._timer() < self._fetch_from:
            raise SignatureUncheckedError("a certificate of Amazon's could not be fetched a moment ago")
        content = self._fetch(url)
        key = None if content is None else _public_key(content)
        if key is None:
            self._fetch_from = self._timer() + _AFTER_FAILURE_SECONDS
            raise SignatureUncheckedError("a certificate of Amazon's cannot be fetched")
        with self._guard:
            self._keys[url] = key
        return key


def _is_amazons(url: str, topic: str, *, path: re.Pattern[str]) -> bool:
    """An https URL of the SNS service in the topic's region."""
    try:
        parts = urlsplit(url)
        host = _HOST.fullmatch(parts.netloc)  # no user, no port: the host and nothing else
    except ValueError:
        return False
    names = topic.split(":")
    region = names[_REGION_OF_ARN] if len(names) > _REGION_OF_ARN else None
    at_home = host is not None and host["region"] == region
    return at_home and parts.scheme == "https" and path.fullmatch(parts.path) is not None


def _public_key(certificate: bytes) -> RSAPublicKey | None:
    try:
        key = x509.load_pem_x509_certificate(certificate).public_key()
    except ValueError:
        return None
    return key if isinstance(key, RSAPublicKey) else None


def _fits(key: RSAPublicKey, message: SnsMessage, algorithm: hashes.HashAlgorithm) -> bool:
    try:
        signature = base64.b64decode(message.members.get("Signature", ""), validate=True)
        key.verify(signature, message.signed_text, PKCS1v15(), algorithm)
    except (binascii.Error, ValueError, InvalidSignature):
        return False
    return True


def _fetched(url: str) -> bytes | None:
    """The content behind an https URL, not followed anywhere else."""
    try:
        with requests.get(url, timeout=_FETCH_SECONDS, allow_redirects=False, stream=True) as answer:
            if answer.status_code != requests.codes.ok:
                return None
            return bytes(next(answer.iter_content(_LONGEST_ANSWER), b""))
    except (requests.RequestException, OSError, ValueError):
        return None
