"""Let a provider be tried out now, when somebody knows that it is well again."""

from __future__ import annotations

from datetime import datetime

from carenotify.storage import audit_log, provider_states
from carenotify.storage.database import Database


def retry_provider(database: Database, provider: str, *, by: str, now: datetime) -> bool:
    """The next message is a trial, whoever sends it; False when the provider is not open. Raises StorageError."""
    with database.transaction() as transaction:
        due = provider_states.retry_now(transaction, provider, now=now)
        if due:
            audit_log.record(transaction, actor=by, action="provider.retried", subject=provider, now=now)
    return due
