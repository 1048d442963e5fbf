"""Send quarantined rows through the gate again: rules change, and patients become known."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from carenotify.domain.clock import Clock
from carenotify.domain.window import local_day
from carenotify.journeys.accept_event import EventAcceptor
from carenotify.journeys.check_load import BadShares, check_load
from carenotify.journeys.close_load import fail_when_stuck
from carenotify.journeys.load_appointments import load_appointments
from carenotify.journeys.start_load import start_load
from carenotify.storage.database import Database
from carenotify.storage.quarantine import open_rows
from carenotify.storage.staging import stage_rows

# Most of these rows are expected to be bad still: they stay where they are, and hold nothing back.
_ALL_MAY_BE_BAD = BadShares(rows=1.0, addresses=1.0)


def redrive_quarantine(
    database: Database,
    *,
    redrive_id: str,
    run_id: str | None,
    timezone: ZoneInfo,
    max_changes: int,
    docs_path: Path,
    acceptor: EventAcceptor,
    clock: Clock,
) -> dict[str, int]:
    """Load the open rows that a run quarantined (None: all of them), as a load of their own named `redrive_id`.

    Rows that still break a rule stay in quarantine, with the run that brought them. Gives that load's counts. Raises
    LoadHeldError as loads do.
    """
    today = local_day(clock(), timezone)
    start_load(database, run_id=redrive_id, first_day=today, days=1, clock=clock)
    try:
        with database.transaction() as transaction:
            rows = open_rows(transaction, database.sealer, run_id=run_id)
            stage_rows(transaction, database.sealer, run_id=redrive_id, part="quarantine", rows=rows)
        check_load(database, run_id=redrive_id, allowed=_ALL_MAY_BE_BAD, docs_path=docs_path, clock=clock)
        return load_appointments(database, run_id=redrive_id, max_changes=max_changes, acceptor=acceptor, clock=clock)
    finally:
        fail_when_stuck(database, run_id=redrive_id, clock=clock)
