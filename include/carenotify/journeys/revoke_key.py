"""End an API key."""

from __future__ import annotations

from datetime import datetime

from carenotify.errors import NotFoundError
from carenotify.storage import api_keys, audit_log
from carenotify.storage.database import Database


def revoke_key(database: Database, key_id: str, *, by: str, now: datetime) -> bool:
    """Nobody gets in with this key any more, seconds from now. Returns False when it was revoked before.

    Raises NotFoundError when there is no such key.
    """
    with database.transaction() as transaction:
        if not api_keys.exists(transaction, key_id):
            raise NotFoundError("there is no such API key")
        revoked = api_keys.revoke(transaction, key_id, by=by, now=now)
        if revoked:
            audit_log.record(transaction, actor=by, action="key.revoked", subject=key_id, now=now)
    return revoked
