"""Personal data at rest: sealed with rotating keys, and found again by a keyed hash of an address."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from carenotify.errors import DecryptionError


class Sealer:
    """Encrypts with the first key and decrypts with any of them, so that keys can be rotated without a stop."""

    def __init__(self, *, encryption_keys: Sequence[str], index_key: str) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in encryption_keys])
        self._index_key = index_key.encode()

    def seal(self, value: Any) -> bytes:
        """Encrypt a JSON-able value (datetimes become RFC 3339 text)."""
        return self._fernet.encrypt(orjson.dumps(value))

    def open(self, sealed: bytes) -> Any:
        """Decrypt what `seal` made. Raises DecryptionError, which never shows the value."""
        try:
            return orjson.loads(self._fernet.decrypt(sealed))
        except InvalidToken:
            raise DecryptionError(
                "a sealed value cannot be opened; is the key that wrote it still in CARENOTIFY_ENCRYPTION_KEYS?"
            ) from None

    def index(self, address: str) -> bytes:
        """Blind index of an address: the same address, however its case, has the same index."""
        return hmac.new(self._index_key, address.strip().casefold().encode(), hashlib.sha256).digest()

    def fingerprint(self, value: Any) -> bytes:
        """Keyed hash of a JSON-able value: tells whether personal data changed, and nothing else about it."""
        encoded = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        return hmac.new(self._index_key, encoded, hashlib.sha256).digest()
