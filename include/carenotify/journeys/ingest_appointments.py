"""The whole load in one go, for the command line; the DAG calls the same steps one task each."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from carenotify.config import Settings
from carenotify.domain.clock import Clock
from carenotify.errors import SourceError
from carenotify.journeys.accept_event import EventAcceptor
from carenotify.journeys.check_load import BadShares, check_load
from carenotify.journeys.close_load import close_load
from carenotify.journeys.fetch_day import fetch_day
from carenotify.journeys.fetch_missing import fetch_missing
from carenotify.journeys.fetch_updates import fetch_updates
from carenotify.journeys.load_appointments import load_appointments
from carenotify.journeys.start_load import start_load
from carenotify.sources.base import AppointmentSource
from carenotify.storage.database import Database

_log = logging.getLogger(__name__)


def ingest_appointments(
    database: Database,
    source: AppointmentSource,
    *,
    settings: Settings,
    run_id: str,
    first_day: date,
    days: int,
    acceptor: EventAcceptor,
    clock: Clock,
) -> dict[str, int]:
    """Fetch, check and load these days; gives the load's counts. What did not come whole is logged.

    A day that fails does not stop the others. Raises SourceError when no day came, and LoadHeldError.
    """
    wanted = start_load(database, run_id=run_id, first_day=first_day, days=days, clock=clock)
    try:
        _fetch(database, source, run_id=run_id, days=wanted, clock=clock)
        fetch_missing(database, source, run_id=run_id, timezone=settings.timezone, clock=clock)
        docs_path = Path(settings.data_docs_path)
        allowed = BadShares(settings.max_bad_share, settings.max_bad_address_share)
        check_load(database, run_id=run_id, allowed=allowed, docs_path=docs_path, clock=clock)
        return load_appointments(
            database, run_id=run_id, max_changes=settings.max_changes_per_load, acceptor=acceptor, clock=clock
        )
    finally:
        for problem in close_load(database, run_id=run_id, clock=clock):
            _log.warning("%s", problem)


def _fetch(database: Database, source: AppointmentSource, *, run_id: str, days: Sequence[date], clock: Clock) -> None:
    failures = []
    for day in days:
        try:
            fetch_day(database, source, run_id=run_id, day=day, clock=clock)
        except SourceError as error:
            failures.append(error)
    if len(failures) == len(days):
        raise failures[0]
    try:
        fetch_updates(database, source, run_id=run_id, clock=clock)
    except SourceError:
        _log.warning("load %s goes on without the changes on other days; the next load asks for them again", run_id)
