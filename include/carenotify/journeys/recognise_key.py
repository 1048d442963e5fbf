"""Tell whose API key was presented."""

from __future__ import annotations

from datetime import datetime

from carenotify.journeys.issue_key import key_hash
from carenotify.storage import api_keys
from carenotify.storage.api_keys import ApiKey
from carenotify.storage.database import Database


def recognise_key(database: Database, text: str, *, now: datetime) -> ApiKey | None:
    """The stored key, or None when it is unknown or revoked. Notes that it was used."""
    with database.transaction() as transaction:
        # Comparing in an index gives nothing away: who cannot choose the hash learns nothing from how far it agreed.
        key = api_keys.find(transaction, key_hash=key_hash(text))
        if key is None or key.revoked_at is not None:
            return None
        api_keys.note_use(transaction, key, now=now)
    return key
