"""What people wrote to us: sealed, and found again by the blind index of their number."""

from __future__ import annotations

from datetime import datetime

from carenotify.domain.reply import Reply, ReplyMeaning
from carenotify.storage.database import Transaction
from carenotify.storage.sealed import Sealer

_STORE = """
INSERT INTO inbound_messages (id, channel, address_index, sealed_body, meaning, received_at)
VALUES (%(id)s, %(channel)s, %(address_index)s, %(sealed_body)s, %(meaning)s, %(now)s)
ON CONFLICT (id) DO NOTHING
"""

_FORGET_OLD = "DELETE FROM inbound_messages WHERE received_at < %(before)s"


def store(transaction: Transaction, reply: Reply, *, sealer: Sealer, now: datetime) -> bool:
    """Keep a reply, and its text only where a person has to read it; False when it came before."""
    parameters = {
        "id": reply.id,
        "channel": reply.channel,
        "address_index": sealer.index(reply.address),
        "sealed_body": sealer.seal(reply.body if reply.meaning is ReplyMeaning.OTHER else ""),
        "meaning": reply.meaning,
        "now": now,
    }
    return transaction.execute(_STORE, parameters).rowcount == 1


def forget_old(transaction: Transaction, *, before: datetime) -> int:
    """Let go of all replies that came before that moment."""
    return transaction.execute(_FORGET_OLD, {"before": before}).rowcount
