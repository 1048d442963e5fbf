"""Copy one day of the hospital's appointments into staging."""

from __future__ import annotations

from datetime import date

from carenotify.domain.clock import Clock
from carenotify.errors import SourceAnswerError, SourceUnavailableError
from carenotify.journeys.stage_pages import Staged, stage_pages
from carenotify.sources.base import AppointmentSource
from carenotify.storage.database import Database
from carenotify.storage.ingest_runs import mark_day, reopen_run
from carenotify.storage.staging import clear_part


def fetch_day(
    database: Database, source: AppointmentSource, *, run_id: str, day: date, clock: Clock
) -> dict[str, int | bool]:
    """Fetch a local day; gives `rows`, `pages` and whether it is `complete`.

    Pages that came stay, also when others do not: the day is then marked incomplete. A day that came short is asked
    for once more. Raises SourceError only when nothing came at all. Called again, it replaces what it staged,
    and a run that is loaded is to be checked and loaded again.
    """
    part = day.isoformat()
    with database.transaction() as transaction:
        reopen_run(transaction, run_id)
        clear_part(transaction, run_id=run_id, part=part)
        mark_day(transaction, run_id=run_id, day=day, complete=False)
    first = stage_pages(database, source.appointments_on(day), run_id=run_id, part=part, clock=clock)
    passes = [first]
    if _worth_asking_again(first):
        passes.append(stage_pages(database, source.appointments_on(day), run_id=run_id, part=part, clock=clock))
    complete = passes[-1].complete or _complete_together(passes)
    if first.error is not None and not first.pages:
        raise first.error
    with database.transaction() as transaction:
        mark_day(transaction, run_id=run_id, day=day, complete=complete)
    return {
        "rows": sum(done.rows for done in passes),
        "pages": sum(done.pages for done in passes),
        "complete": complete,
    }


def _worth_asking_again(first: Staged) -> bool:
    """Not when the first page failed (the caller's retry does that better), nor when the answer is of another shape."""
    passing = first.error is None or isinstance(first.error, SourceUnavailableError)
    return not first.complete and first.pages > 0 and passing


def _complete_together(passes: list[Staged]) -> bool:
    """What one pass missed, the other may have brought; only a stated total can tell, of a server in its senses."""
    if any(isinstance(done.error, SourceAnswerError) for done in passes):
        return False
    found = set[str]().union(*(done.found for done in passes))
    totals = [done.total for done in passes if done.total is not None]
    return bool(totals) and len(found) + max(done.nameless for done in passes) >= max(totals)
