"""Make an API key, or take over one that was made elsewhere."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection
from datetime import datetime

from carenotify.domain.access import Scope
from carenotify.errors import KeyFormatError
from carenotify.storage import api_keys, audit_log
from carenotify.storage.api_keys import ApiKey
from carenotify.storage.database import Database

_OURS = re.compile(r"cn_([a-z0-9]{4,32})_[A-Za-z0-9_-]{32,}")
_SECRET_BYTES = 32
# No dots: they tell an Airflow token (a JWT, three parts with dots) from a key.
_FOREIGN = re.compile(r"[A-Za-z0-9_-]{32,200}")


def key_hash(key: str) -> bytes:
    """What is stored of a key.

    One round of SHA-256, with no salt and no stretching: those slow down the guessing of what people choose, and nobody
    guesses 256 random bits. It has to be quick, since it is done for every request.
    """
    return hashlib.sha256(key.encode()).digest()


def issue_key(
    database: Database, *, name: str, scopes: Collection[Scope], by: str, now: datetime
) -> tuple[ApiKey, str]:
    """Make and store a key; returns it with what is stored of it. Nobody can read it again later."""
    key_id = secrets.token_hex(5)
    text = f"cn_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    key = ApiKey(key_id, name, frozenset(scopes), now, by)
    _store(database, key, text)
    return key, text


def ensure_key(
    database: Database, text: str, *, name: str, scopes: Collection[Scope], by: str, now: datetime
) -> ApiKey:
    """Let a key that was made elsewhere have these scopes. Saying it twice changes nothing; a revoked one stays so.

    Raises KeyFormatError when the text is too short to be a secret, or looks like something else.
    """
    if _FOREIGN.fullmatch(text) is None:
        raise KeyFormatError("CARENOTIFY_API_KEY: not a key; use 32 to 200 letters, digits, - and _ drawn at random")
    with database.transaction() as transaction:
        known = api_keys.find(transaction, key_hash=key_hash(text))
        if known is not None and known.scopes != frozenset(scopes):
            api_keys.set_scopes(transaction, known.id, scopes)
            audit_log.record(transaction, actor=by, action="key.scopes_set", subject=known.id, now=now)
    if known is not None:
        return known
    key = ApiKey(_id_of(text), name, frozenset(scopes), now, by)
    _store(database, key, text)
    return key


def _store(database: Database, key: ApiKey, text: str) -> None:
    with database.transaction() as transaction:
        if not api_keys.add(transaction, key, key_hash=key_hash(text)):
            raise KeyFormatError(f"there is another API key with the id {key.id}; use a key with another one")
        audit_log.record(transaction, actor=key.created_by, action="key.created", subject=key.id, now=key.created_at)


def _id_of(text: str) -> str:
    ours = _OURS.fullmatch(text)
    return ours[1] if ours else key_hash(text).hex()[:10]
