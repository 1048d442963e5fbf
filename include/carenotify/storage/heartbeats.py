"""Signs of life of what runs now and then, so that its silence is noticed."""

from __future__ import annotations

from datetime import datetime

from carenotify.storage.database import Transaction

WATCH_DELIVERY = "watch_delivery"

_BEAT = """
INSERT INTO heartbeats (name, beat_at) VALUES (%(name)s, %(now)s)
ON CONFLICT (name) DO UPDATE SET beat_at = GREATEST(heartbeats.beat_at, excluded.beat_at)
"""


def beat(transaction: Transaction, name: str, *, now: datetime) -> None:
    """It has run just now."""
    transaction.execute(_BEAT, {"name": name, "now": now})


def last_beat(transaction: Transaction, name: str) -> datetime | None:
    """When it last ran; None if it never did."""
    row = transaction.execute("SELECT beat_at FROM heartbeats WHERE name = %s", (name,)).fetchone()
    return None if row is None else row[0]
