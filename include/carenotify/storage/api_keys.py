"""API keys, by the hash of the key. The key itself is never here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from carenotify.domain.access import ALL_SCOPES, Scope
from carenotify.storage.database import Transaction

# When a key was last used is worth knowing to the hour, and not worth a write for each request.
_USED_GRAIN = timedelta(minutes=10)
_COLUMNS = "id, name, scopes, created_at, created_by, last_used_at, revoked_at"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key: everything but the key."""

    id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    created_by: str
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


_INSERT = """
INSERT INTO api_keys (id, name, key_hash, scopes, created_at, created_by) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""


def add(transaction: Transaction, key: ApiKey, *, key_hash: bytes) -> bool:
    """Store a new key. Returns False when its id, or the key itself, is there already."""
    parameters = (key.id, key.name, key_hash, sorted(key.scopes), key.created_at, key.created_by)
    return transaction.execute(_INSERT, parameters).rowcount == 1


def find(transaction: Transaction, *, key_hash: bytes) -> ApiKey | None:
    """The key of that hash, revoked or not."""
    row = transaction.execute(f"SELECT {_COLUMNS} FROM api_keys WHERE key_hash = %s", (key_hash,)).fetchone()
    return None if row is None else _key(*row)


def listing(transaction: Transaction) -> list[ApiKey]:
    """Every key there ever was, oldest first."""
    rows = transaction.execute(f"SELECT {_COLUMNS} FROM api_keys ORDER BY created_at, id")
    return [_key(*row) for row in rows]


def note_use(transaction: Transaction, key: ApiKey, *, now: datetime) -> None:
    """Remember that the key was used; writes only when what is stored is ten minutes old."""
    if key.last_used_at is None or now - key.last_used_at >= _USED_GRAIN:
        transaction.execute("UPDATE api_keys SET last_used_at = %s WHERE id = %s", (now, key.id))


def set_scopes(transaction: Transaction, key_id: str, scopes: Iterable[Scope]) -> None:
    """Let the key do exactly this from now on."""
    transaction.execute("UPDATE api_keys SET scopes = %s WHERE id = %s", (sorted(scopes), key_id))


def revoke(transaction: Transaction, key_id: str, *, by: str, now: datetime) -> bool:
    """End a key for good. Returns False when there is no such key, or it was revoked before."""
    changed = transaction.execute(
        "UPDATE api_keys SET revoked_at = %s, revoked_by = %s WHERE id = %s AND revoked_at IS NULL", (now, by, key_id)
    )
    return changed.rowcount == 1


def exists(transaction: Transaction, key_id: str) -> bool:
    """Whether there is such a key, revoked or not."""
    return transaction.execute("SELECT FROM api_keys WHERE id = %s", (key_id,)).rowcount == 1


def _key(key_id: str, name: str, scopes: list[str], *times: Any) -> ApiKey:
    # A scope that a later version has dropped allows nothing.
    return ApiKey(key_id, name, frozenset(Scope(scope) for scope in scopes if scope in ALL_SCOPES), *times)
