"""Copy into staging whatever the source changed since the last good load, also beyond the days that are fetched."""

from __future__ import annotations

from datetime import timedelta

from carenotify.domain.clock import Clock
from carenotify.journeys.stage_pages import stage_pages
from carenotify.sources.base import AppointmentSource
from carenotify.storage.database import Database
from carenotify.storage.ingest_runs import last_good_start, mark_updates, reopen_run
from carenotify.storage.staging import clear_part

_PART = "updates"
# Two machines' clocks differ; asking for a little more costs nothing.
_CLOCK_SKEW = timedelta(minutes=5)


def fetch_updates(database: Database, source: AppointmentSource, *, run_id: str, clock: Clock) -> dict[str, int | bool]:
    """Fetch what changed; gives `rows`, `pages` and whether it is `complete`. The first load has nothing to ask for.

    Raises SourceError only when nothing came at all. Called again, it replaces what it staged,
    and a run that is loaded is to be checked and loaded again.
    """
    with database.transaction() as transaction:
        reopen_run(transaction, run_id)
        clear_part(transaction, run_id=run_id, part=_PART)
        mark_updates(transaction, run_id=run_id, complete=False)
        since = last_good_start(transaction, except_run=run_id)
    pages = iter(()) if since is None else source.updated_since(since - _CLOCK_SKEW)
    staged = stage_pages(database, pages, run_id=run_id, part=_PART, clock=clock)
    if staged.error is not None and not staged.pages:
        raise staged.error
    with database.transaction() as transaction:
        mark_updates(transaction, run_id=run_id, complete=staged.complete)
    return {"rows": staged.rows, "pages": staged.pages, "complete": staged.complete}
