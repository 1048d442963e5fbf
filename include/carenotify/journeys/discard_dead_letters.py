"""Put dead letters away: somebody has looked at them, and nothing is to be sent."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from carenotify.domain.dead_letter import Refusal, Resolution
from carenotify.errors import NotFoundError, NotReplayableError
from carenotify.storage import audit_log, dead_letters
from carenotify.storage.database import Database


def discard_dead_letters(database: Database, ids: Collection[int], *, by: str, now: datetime) -> set[int]:
    """Discard these; gives those that were open, the others were discarded before.

    Raises NotFoundError when one is unknown, and NotReplayableError when one was replayed; nothing is changed then.
    """
    with database.transaction() as transaction:
        done = dead_letters.discard(transaction, ids, by=by, now=now)
        known = {letter.id: letter for letter in dead_letters.judge(transaction, ids, now=now)}
        if unknown := sorted(set(ids) - known.keys()):
            raise NotFoundError(f"there is no dead letter {', '.join(map(str, unknown))}")
        if any(letter.resolution != Resolution.DISCARDED for letter in known.values()):
            raise NotReplayableError(Refusal.RESOLVED.explanation)
        audit_log.record_each(transaction, actor=by, action="dead_letter.discarded", subjects=map(str, done), now=now)
    return done
