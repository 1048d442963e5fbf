"""Who did what, for those who ask later."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from carenotify.storage.database import Transaction


def record(transaction: Transaction, *, actor: str, action: str, subject: str, now: datetime) -> None:
    """Write one line, in the transaction of the act itself. `subject` is an id or a code, never personal data."""
    transaction.execute(
        "INSERT INTO audit_log (happened_at, actor, action, subject) VALUES (%s, %s, %s, %s)",
        (now, actor, action, subject),
    )


def record_each(transaction: Transaction, *, actor: str, action: str, subjects: Iterable[str], now: datetime) -> None:
    """Write one line for each subject of an act on many, in one statement."""
    transaction.execute(
        "INSERT INTO audit_log (happened_at, actor, action, subject) SELECT %s, %s, %s, unnest(%s::text[])",
        (now, actor, action, sorted(subjects)),
    )
