"""Show what nobody delivered, and whether it can still be replayed."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from carenotify.errors import NotFoundError
from carenotify.storage import audit_log, dead_letters
from carenotify.storage.database import Database
from carenotify.storage.dead_letters import DeadLetter, OpenOfReason


@dataclass(frozen=True, slots=True)
class PageOfLetters:
    """Dead letters, newest first. `next` is where the following page begins; None at the end."""

    letters: list[DeadLetter]
    next: int | None


def list_dead_letters(database: Database, wanted: Mapping[str, object], *, now: datetime, limit: int) -> PageOfLetters:
    """The newest dead letters that meet the conditions, see `dead_letters.newest`."""
    with database.transaction() as transaction:
        found = dead_letters.newest(transaction, wanted, now=now, limit=limit + 1)
    page = found[:limit]
    return PageOfLetters(page, page[-1].id if len(found) > limit else None)


def count_open_dead_letters(database: Database) -> list[OpenOfReason]:
    """How many are open of each reason, the most frequent first."""
    with database.transaction() as transaction:
        return dead_letters.open_by_reason(transaction)


def read_dead_letter(database: Database, letter_id: int, *, now: datetime) -> DeadLetter:
    """One dead letter. Raises NotFoundError."""
    with database.transaction() as transaction:
        found = dead_letters.judge(transaction, [letter_id], now=now)
    if not found:
        raise NotFoundError(f"there is no dead letter {letter_id}")
    return found[0]


def read_broken_message(database: Database, letter_id: int, *, by: str, now: datetime) -> tuple[int, bytes]:
    """Size and beginning of a message that the broker gave up. It may say anything, so who read it is noted.

    Raises NotFoundError when there is none.
    """
    with database.transaction() as transaction:
        message = dead_letters.message_of(transaction, letter_id, sealer=database.sealer)
        if message is None:
            raise NotFoundError(f"no message was kept with dead letter {letter_id}")
        audit_log.record(transaction, actor=by, action="dead_letter.message_read", subject=str(letter_id), now=now)
    return message["size"], b64decode(message["beginning"])
