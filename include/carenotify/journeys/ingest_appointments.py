"""The whole load in one go, for the command line; the DAG calls the same steps one task each."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from carenotify.config import Settings
from carenotify.domain.clock import Clock
from carenotify.journeys.check_load import check_load
from carenotify.journeys.fetch_day import fetch_day
from carenotify.journeys.fetch_missing import fetch_missing
from carenotify.journeys.fetch_updates import fetch_updates
from carenotify.journeys.load_appointments import load_appointments
from carenotify.journeys.start_load import start_load
from carenotify.sources.base import AppointmentSource
from carenotify.storage.database import Database


def ingest_appointments(
    database: Database,
    source: AppointmentSource,
    *,
    settings: Settings,
    run_id: str,
    first_day: date,
    days: int,
    clock: Clock,
) -> dict[str, int]:
    """Fetch, check and load these days; gives the load's counts. Raises SourceError or LoadHeldError."""
    for day in start_load(database, run_id=run_id, first_day=first_day, days=days, clock=clock):
        fetch_day(database, source, run_id=run_id, day=day, clock=clock)
    fetch_updates(database, source, run_id=run_id, clock=clock)
    fetch_missing(database, source, run_id=run_id, timezone=settings.timezone, clock=clock)
    docs_path = Path(settings.data_docs_path)
    check_load(database, run_id=run_id, max_bad_share=settings.max_bad_share, docs_path=docs_path, clock=clock)
    return load_appointments(database, run_id=run_id, max_changes=settings.max_changes_per_load, clock=clock)
