"""Which channels a person has paused."""

from __future__ import annotations

from datetime import datetime

from carenotify.domain.notification import Channel
from carenotify.storage.database import Transaction

EVERY_CHANNEL = "*"


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


def paused_channels(transaction: Transaction) -> set[Channel]:
    """Channels that nothing may be sent on now."""
    names = {row[0] for row in transaction.execute("SELECT channel FROM pauses")}
    return set(Channel) if EVERY_CHANNEL in names else {Channel(name) for name in names}
