"""Who did what, for those who ask later."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from carenotify.storage.database import Transaction

_RECORD_UNLESS_LATELY = """
INSERT INTO audit_log (happened_at, actor, action, subject)
SELECT %(now)s, %(actor)s, %(action)s, %(subject)s
WHERE NOT EXISTS (
    SELECT FROM audit_log
    WHERE subject = %(subject)s AND happened_at > %(since)s AND actor = %(actor)s AND action = %(action)s
)
"""


def record(transaction: Transaction, *, actor: str, action: str, subject: str, now: datetime) -> None:
    """Write one line, in the transaction of the act itself. `subject` is an id or a code, never personal data."""
    transaction.execute(
        "INSERT INTO audit_log (happened_at, actor, action, subject) VALUES (%s, %s, %s, %s)",
        (now, actor, action, subject),
    )


def record_unless_lately(
    transaction: Transaction, *, actor: str, action: str, subject: str, now: datetime, lately: timedelta
) -> None:
    """Write one line, unless the same stands there already, and not for longer than that."""
    parameters = {"now": now, "actor": actor, "action": action, "subject": subject, "since": now - lately}
    transaction.execute(_RECORD_UNLESS_LATELY, parameters)


def record_each(transaction: Transaction, *, actor: str, action: str, subjects: Iterable[str], now: datetime) -> None:
    """Write one line for each subject of an act on many, in one statement."""
    transaction.execute(
        "INSERT INTO audit_log (happened_at, actor, action, subject) SELECT %s, %s, %s, unnest(%s::text[])",
        (now, actor, action, sorted(subjects)),
    )
