"""Stop and go on sending, and note who said so."""

from __future__ import annotations

from datetime import datetime

from carenotify.domain.notification import Channel
from carenotify.storage import audit_log, pauses
from carenotify.storage.database import Transaction


def pause_sending(transaction: Transaction, channel: Channel | None, *, by: str, now: datetime) -> None:
    """Stop sending on a channel, or on all of them (None). Saying it twice changes nothing."""
    pauses.pause(transaction, channel, by=by, now=now)
    _note(transaction, "sending.paused", channel, by=by, now=now)


def resume_sending(transaction: Transaction, channel: Channel | None, *, by: str, now: datetime) -> int:
    """Send again on a channel, or on all of them (None lifts every pause). Returns how many pauses were lifted."""
    lifted = pauses.resume(transaction, channel)
    _note(transaction, "sending.resumed", channel, by=by, now=now)
    return lifted


def _note(transaction: Transaction, action: str, channel: Channel | None, *, by: str, now: datetime) -> None:
    subject = channel or pauses.EVERY_CHANNEL
    audit_log.record(transaction, actor=by, action=action, subject=subject, now=now)
