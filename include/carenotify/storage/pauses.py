"""Which channels a person has paused."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from carenotify.domain.notification import Channel
from carenotify.storage.database import Transaction

EVERY_CHANNEL = "*"


# Queued ones are among them: workers leave them alone until the pause is over.
_HELD_BACK = """
SELECT channel, count(*) FROM notifications
WHERE (status = 'queued' OR status = 'pending' AND due_at <= %(now)s) AND expires_at > %(now)s
  AND channel = ANY(%(channels)s) AND reason IS DISTINCT FROM 'awaiting_contact'
GROUP BY channel
"""


def pause(transaction: Transaction, channel: Channel | None, *, by: str, now: datetime) -> None:
    """Stop sending on a channel, or on all of them (None). Saying it twice changes nothing."""
    transaction.execute(
        "INSERT INTO pauses (channel, paused_at, paused_by) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        (channel or EVERY_CHANNEL, now, by),
    )


def resume(transaction: Transaction, channel: Channel | None) -> int:
    """Send again on a channel, or on all of them (None lifts every pause). Returns how many pauses were lifted."""
    if channel is None:
        return transaction.execute("DELETE FROM pauses").rowcount
    return transaction.execute("DELETE FROM pauses WHERE channel = %s", (channel,)).rowcount


def held_back(transaction: Transaction, channels: Collection[Channel], *, now: datetime) -> dict[Channel, int]:
    """How many messages are due on each of these channels, none left out."""
    rows = transaction.execute(_HELD_BACK, {"channels": list(channels), "now": now}).fetchall()
    return dict.fromkeys(channels, 0) | {Channel(channel): number for channel, number in rows}


def paused_channels(transaction: Transaction) -> set[Channel]:
    """Channels that nothing may be sent on now."""
    names = {row[0] for row in transaction.execute("SELECT channel FROM pauses")}
    return set(Channel) if EVERY_CHANNEL in names else {Channel(name) for name in names}
