"""The outbox of alerts: what staff are to be told of, and which mail tells them.

A row is given the mail that it is in before that mail is sent, so whoever sends it again after a crash sends the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import uuid6
from psycopg.types.json import Jsonb

from carenotify.domain.alert import RECURRING, Alert, AlertKind, NewAlert
from carenotify.storage.database import Transaction

# Mailers take turns in choosing what they send; any constant of our own will do.
_MAIL_LOCK = 0x616C6572
# So many rows in one mail at most; its groups are far fewer.
_MOST = 10_000

# The mail that nobody sends, for what was raised while there was nobody to mail.
NOBODYS = UUID(int=0)
WAITING = f"mailed_at IS NULL AND mail_id IS DISTINCT FROM '{NOBODYS}'"

_COLUMNS = "id, kind, subject, channel, count, details, raised_at, resolved_at, mailed_at"

_RAISE = """
INSERT INTO alerts (kind, subject, dedup_key, channel, count, details, raised_at)
SELECT *, %(now)s FROM unnest(
    %(kinds)s::text[], %(subjects)s::text[], %(keys)s::text[], %(channels)s::text[], %(counts)s::int[],
    %(details)s::jsonb[]
)
ON CONFLICT (dedup_key) DO NOTHING
"""

# Raised together with the mail that tells it, for whoever mails it at once. An older one gives its key away.
_RENEW = "UPDATE alerts SET dedup_key = NULL WHERE dedup_key = %(key)s AND raised_at <= %(unless_since)s"
_RAISE_WITH_MAIL = """
INSERT INTO alerts (kind, subject, dedup_key, channel, count, details, raised_at, mail_id, mail_until)
VALUES (%(kind)s, %(subject)s, %(key)s, %(channel)s, %(count)s, %(details)s, %(now)s, %(mail_id)s, %(until)s)
ON CONFLICT (dedup_key) DO NOTHING
"""

# Staff who know of what is over are told that it is. What is in a mail that is under way stays as that mail says.
_RESOLVE = f"""
WITH over AS (
    SELECT id FROM alerts
    WHERE kind = %(kind)s AND dedup_key IS NOT NULL AND resolved_at IS NULL AND dedup_key <> ALL(%(except_keys)s)
      AND (mail_id IS NULL OR mail_id = '{NOBODYS}' OR mailed_at IS NOT NULL)
    ORDER BY id
    FOR UPDATE
)
UPDATE alerts
SET resolved_at = %(now)s, mail_id = CASE mail_id WHEN '{NOBODYS}' THEN mail_id END, mail_until = NULL,
    mailed_at = NULL,
    dedup_key = CASE WHEN NOT %(recurring)s THEN dedup_key END
WHERE id = ANY(ARRAY(SELECT id FROM over))
"""

# A mail that was begun comes first, as it was begun.
_BEGUN = """
SELECT mail_id FROM alerts
WHERE mailed_at IS NULL AND mail_id IS NOT NULL AND mail_until <= %(now)s
ORDER BY raised_at, id
LIMIT 1
"""
_EXTEND = """
UPDATE alerts SET mail_until = %(until)s WHERE mail_id = %(mail_id)s AND mailed_at IS NULL
"""
_TAKE = f"""
WITH waiting AS (
    SELECT id FROM alerts
    WHERE mailed_at IS NULL AND mail_id IS NULL AND (%(kinds)s::text[] IS NULL OR kind = ANY(%(kinds)s))
    ORDER BY raised_at, id
    LIMIT {_MOST}
)
UPDATE alerts SET mail_id = %(mail_id)s, mail_until = %(until)s WHERE id = ANY(ARRAY(SELECT id FROM waiting))
"""
_OF_MAIL = f"SELECT {_COLUMNS} FROM alerts WHERE mail_id = %(mail_id)s AND mailed_at IS NULL ORDER BY id"

# Of what is over, its end is what waits.
_OLDEST_UNMAILED = f"SELECT min(COALESCE(resolved_at, raised_at)) FROM alerts WHERE {WAITING}"

_LEAVE_UNMAILED = f"""
UPDATE alerts SET mail_id = '{NOBODYS}', mail_until = NULL
WHERE id = ANY(ARRAY(
    SELECT id FROM alerts
    WHERE {WAITING} AND (mail_id IS NULL OR mail_until <= %(now)s) AND COALESCE(resolved_at, raised_at) <= %(raised_by)s
    ORDER BY id
    FOR UPDATE
))
"""

_MAILED = "UPDATE alerts SET mailed_at = %(now)s, mail_until = NULL WHERE mail_id = %(mail_id)s AND mailed_at IS NULL"
_LET_GO = "UPDATE alerts SET mail_until = %(now)s WHERE mail_id = %(mail_id)s AND mailed_at IS NULL"
_GIVE_BACK = "UPDATE alerts SET mail_id = NULL, mail_until = NULL WHERE mail_id = %(mail_id)s AND mailed_at IS NULL"

_PAGE = f"""
SELECT {_COLUMNS} FROM alerts
WHERE %(before)s::bigint IS NULL OR id < %(before)s
ORDER BY id DESC
LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class LeasedMail:
    """A mail to send, and the alerts that it tells of, oldest first. They are nobody else's until its lease is over."""

    mail_id: UUID
    alerts: list[Alert]


def raise_alerts(transaction: Transaction, new: Sequence[NewAlert], *, now: datetime) -> int:
    """Put these where they wait to be mailed; returns how many. One whose dedup_key is there already is left out."""
    if not new:
        return 0
    new = sorted(new, key=lambda one: one.dedup_key or "")
    parameters = {
        "kinds": [one.kind.value for one in new],
        "subjects": [one.subject for one in new],
        "keys": [one.dedup_key for one in new],
        "channels": [one.channel for one in new],
        "counts": [one.count for one in new],
        "details": [Jsonb(dict(one.details)) for one in new],
        "now": now,
    }
    return transaction.execute(_RAISE, parameters).rowcount


def raise_with_mail(
    transaction: Transaction, new: NewAlert, *, unless_since: datetime, until: datetime, now: datetime
) -> UUID | None:
    """Raise this, in a mail of its own that is the caller's to send until that moment; gives the mail's id.

    None when its dedup_key was raised after `unless_since`.
    """
    mail_id = uuid6.uuid7()
    parameters = {
        "kind": new.kind.value,
        "subject": new.subject,
        "key": new.dedup_key,
        "channel": new.channel,
        "count": new.count,
        "details": Jsonb(dict(new.details)),
        "mail_id": mail_id,
        "unless_since": unless_since,
        "until": until,
        "now": now,
    }
    transaction.execute(_RENEW, parameters)
    return mail_id if transaction.execute(_RAISE_WITH_MAIL, parameters).rowcount else None


def resolve(transaction: Transaction, kind: AlertKind, *, except_keys: Collection[str], now: datetime) -> int:
    """What lasted and is not among these dedup_keys is over; the next mail says so. Returns how many."""
    parameters = {"kind": kind.value, "except_keys": list(except_keys), "recurring": kind in RECURRING, "now": now}
    transaction.execute("SELECT pg_advisory_xact_lock(%s)", (_MAIL_LOCK,))  # nobody takes them for a mail meanwhile
    return transaction.execute(_RESOLVE, parameters).rowcount


def lease_unmailed(
    transaction: Transaction, *, now: datetime, until: datetime, kinds: Collection[AlertKind] | None = None
) -> LeasedMail | None:
    """The next mail to send, the caller's until that moment; None when nothing waits.

    One that somebody began and did not end comes first, with the rows that it had. `kinds` limits what a new one tells.
    """
    transaction.execute("SELECT pg_advisory_xact_lock(%s)", (_MAIL_LOCK,))
    begun = transaction.execute(_BEGUN, {"now": now}).fetchone()
    mail_id = uuid6.uuid7() if begun is None else begun[0]
    parameters = {
        "mail_id": mail_id,
        "until": until,
        "kinds": None if kinds is None else [kind.value for kind in kinds],
    }
    if not transaction.execute(_TAKE if begun is None else _EXTEND, parameters).rowcount:
        return None
    return LeasedMail(mail_id, _alerts(transaction.execute(_OF_MAIL, {"mail_id": mail_id})))


def oldest_unmailed(transaction: Transaction) -> datetime | None:
    """Since when the oldest of what waits to be mailed has waited; None when nothing does."""
    row = transaction.execute(_OLDEST_UNMAILED).fetchone()
    return None if row is None else row[0]


def leave_unmailed(transaction: Transaction, *, raised_by: datetime, now: datetime) -> int:
    """What waits since that moment or longer is nobody's to mail any more. Returns how many."""
    return transaction.execute(_LEAVE_UNMAILED, {"raised_by": raised_by, "now": now}).rowcount


def mark_mailed(transaction: Transaction, mail_id: UUID, *, now: datetime) -> int:
    """A mail server took that mail: what it tells has been told. Returns how many alerts."""
    return transaction.execute(_MAILED, {"mail_id": mail_id, "now": now}).rowcount


def give_back(transaction: Transaction, mail_id: UUID) -> None:
    """That mail surely was not taken: what it was to tell waits for the next one."""
    transaction.execute(_GIVE_BACK, {"mail_id": mail_id})


def let_go(transaction: Transaction, mail_id: UUID, *, now: datetime) -> None:
    """That mail may have been taken: whoever mails next sends it again, as it is."""
    transaction.execute(_LET_GO, {"mail_id": mail_id, "now": now})


def page(transaction: Transaction, *, before: int | None = None, limit: int) -> list[Alert]:
    """Alerts, newest first; with `before`, those that were raised before the one of that id."""
    return _alerts(transaction.execute(_PAGE, {"before": before, "limit": limit}))


def _alerts(rows: Iterable[tuple[Any, ...]]) -> list[Alert]:
    return [Alert(identity, AlertKind(kind), *others) for identity, kind, *others in rows]
