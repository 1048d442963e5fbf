"""Send what failed once more, because a person has said so."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

from carenotify.domain.clock import Clock
from carenotify.domain.dead_letter import Refusal
from carenotify.domain.notification import Channel
from carenotify.errors import NotFoundError, NotReplayableError
from carenotify.storage import audit_log, dead_letters, reminders
from carenotify.storage.database import Database, Transaction
from carenotify.storage.dead_letters import DeadLetter

_BATCH = 1000


@dataclass(slots=True)
class Replayed:
    """The dead letters that are (or, in a dry run, would be) replayed, and why the others are not."""

    replayed: set[int] = field(default_factory=set)
    refused: dict[int, Refusal] = field(default_factory=dict)

    def summary(self) -> dict[str, int]:
        """Counts: `replayed`, and one for each reason of a refusal."""
        return {"replayed": len(self.replayed), **Counter(reason.value for reason in self.refused.values())}


def replay_dead_letter(database: Database, letter_id: int, *, by: str, clock: Clock) -> None:
    """Replay one. Raises NotFoundError, or NotReplayableError that says why not."""
    outcome = replay_dead_letters(database, [letter_id], by=by, clock=clock)
    for refusal in outcome.refused.values():
        raise NotReplayableError(refusal.explanation)


def replay_dead_letters(
    database: Database, ids: Collection[int], *, by: str, clock: Clock, dry_run: bool = False
) -> Replayed:
    """Let the notifications of these dead letters be due now, in one transaction.

    Of a message and those that took its place, at most one goes out. Raises NotFoundError when one of the ids is
    unknown; nothing is changed then.
    """
    with database.transaction() as transaction:
        letters = _held(transaction, ids, clock=clock)
        if unknown := sorted(set(ids) - {letter.id for letter in letters}):
            raise NotFoundError(f"there is no dead letter {', '.join(map(str, unknown))}")
        return _replay(transaction, letters, by=by, clock=clock, dry_run=dry_run)


def replay_matching(
    database: Database,
    *,
    reasons: Sequence[str] | None,
    channel: Channel | None,
    most: int | None,
    by: str,
    clock: Clock,
    dry_run: bool = False,
) -> Replayed:
    """Replay up to `most` open dead letters of these reasons and that channel (None: of any), oldest first."""
    total = Replayed()
    last = 0
    while most is None or len(total.replayed) < most:
        limit = _BATCH if most is None else min(_BATCH, most - len(total.replayed))
        with database.transaction() as transaction:
            ids = dead_letters.open_ids(transaction, reasons=reasons, channel=channel, after=last, limit=limit)
            if not ids:
                break
            outcome = _replay(transaction, _held(transaction, ids, clock=clock), by=by, clock=clock, dry_run=dry_run)
        last = ids[-1]
        total.replayed |= outcome.replayed
        total.refused |= outcome.refused
    return total


def _held(transaction: Transaction, ids: Collection[int], *, clock: Clock) -> list[DeadLetter]:
    """The letters, judged once nobody else can change anything about them, planning included."""
    reminders.take_turns(transaction)
    dead_letters.lock(transaction, ids)
    return dead_letters.judge(transaction, ids, now=clock())


def _replay(
    transaction: Transaction, letters: Iterable[DeadLetter], *, by: str, clock: Clock, dry_run: bool
) -> Replayed:
    outcome = Replayed()
    chosen: defaultdict[str | None, list[DeadLetter]] = defaultdict(list)  # by family
    for letter in sorted(letters, key=_fullest_first):
        family = chosen[letter.family]
        if letter.refusal is not None:
            outcome.refused[letter.id] = Refusal(letter.refusal)
        elif any(_tells_instead(other, letter) for other in family):
            outcome.refused[letter.id] = Refusal.ANOTHER_TOOK_OVER
        else:
            outcome.replayed.add(letter.id)
            family.append(letter)
    if outcome.replayed and not dry_run:
        now = clock()
        letters_chosen = chain.from_iterable(chosen.values())
        notifications = {one.notification_id for one in letters_chosen if one.notification_id is not None}
        answered = dead_letters.replay(transaction, notifications, by=by, now=now)
        subjects = map(str, answered)
        audit_log.record_each(transaction, actor=by, action="dead_letter.replayed", subjects=subjects, now=now)
    return outcome


def _fullest_first(letter: DeadLetter) -> tuple[int, int]:
    """What tells more appointments of a day goes before what tells some of them; else the oldest first."""
    return -len(letter.appointments), letter.id


def _tells_instead(other: DeadLetter, letter: DeadLetter) -> bool:
    """Whether another notification of the same family, replayed as well, tells all that this one does."""
    return other.notification_id != letter.notification_id and {*other.appointments} >= {*letter.appointments}
