"""Begin a load of some days, or begin it again."""

from __future__ import annotations

from datetime import date, timedelta

from carenotify.domain.clock import Clock
from carenotify.storage.database import Database
from carenotify.storage.ingest_runs import discard_left_overs, start_run


def start_load(database: Database, *, run_id: str, first_day: date, days: int, clock: Clock) -> list[date]:
    """Register the load and give the hospital's days that it has to fetch, `days` of them from the first on.

    A run that is started a second time (retried, cleared) starts over: what it staged before is forgotten. So is what
    earlier loads left behind that failed, or that are held and not the newest of those.
    """
    wanted = [first_day + timedelta(days=ahead) for ahead in range(days)]
    with database.transaction() as transaction:
        discard_left_overs(transaction, except_run=run_id, now=clock())
        start_run(transaction, run_id=run_id, now=clock(), first_day=wanted[0], last_day=wanted[-1])
    return wanted
