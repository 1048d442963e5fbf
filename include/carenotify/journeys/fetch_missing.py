"""Ask by id for appointments that we know and the load did not bring, before they are believed gone."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from zoneinfo import ZoneInfo

from carenotify.domain.appointment import AppointmentStatus
from carenotify.domain.clock import Clock
from carenotify.domain.window import day_bounds
from carenotify.errors import SourceError
from carenotify.sources.base import AppointmentSource, SourceRow
from carenotify.storage.appointments import StoredAppointment, absent_appointments
from carenotify.storage.database import Database
from carenotify.storage.ingest_runs import add_counts, read_run, reopen_run
from carenotify.storage.staging import clear_part, stage_rows

_log = logging.getLogger(__name__)

_PART = "missing"
_THREADS = 4
# More than this did not vanish one by one: the last good copy stays for the rest, and the count says so.
_MOST_ASKED = 2000


def fetch_missing(
    database: Database, source: AppointmentSource, *, run_id: str, timezone: ZoneInfo, clock: Clock
) -> dict[str, int]:
    """Stage what stands now where an appointment ahead, on a day that came whole, is missing from the load.

    Gives `expected` (known on those days), `missing` of them, and of these `missing_gone` (the source no longer knows
    them; staged as entered in error), `missing_failed` (no answer; the last good copy stays) and `missing_unasked`
    (beyond the bound); the run's counts keep them too. Called again, it replaces what it staged, and a run that is
    loaded is to be checked and loaded again.
    """
    with database.transaction() as transaction:
        reopen_run(transaction, run_id)
        clear_part(transaction, run_id=run_id, part=_PART)
        run = read_run(transaction, run_id)
        days = [day_bounds(day, timezone) for day in run.complete_days]
        absent, expected = absent_appointments(
            transaction, run_id=run_id, asked_since=run.started_at, days=days, now=clock()
        )
    asked = absent[:_MOST_ASKED]
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="ask-by-id") as threads:
        answers = list(threads.map(lambda known: _ask(source, known, clock), asked))
    found = [answer for answer in answers if answer is not None]
    counts = {
        "expected": expected,
        "missing": len(absent),
        "missing_gone": sum(row.gone for row, _ in found),
        "missing_failed": len(asked) - len(found),
        "missing_unasked": len(absent) - len(asked),
    }
    with database.transaction() as transaction:
        rows = ((row.as_dict(), asked_at) for row, asked_at in found)
        stage_rows(transaction, database.sealer, run_id=run_id, part=_PART, rows=rows)
        add_counts(transaction, run_id=run_id, counts=counts)
    return counts


def _ask(source: AppointmentSource, known: StoredAppointment, clock: Clock) -> tuple[SourceRow, datetime] | None:
    asked_at = clock()
    try:
        row = source.appointment(known.id)
    except SourceError as error:
        _log.warning("appointment %s is missing from the load and could not be asked for: %s", known.id, error)
        return None
    return _gone(known) if row is None else row, asked_at


def _gone(known: StoredAppointment) -> SourceRow:
    return SourceRow(
        appointment_id=known.id,
        patient_id=known.patient_id,
        start=known.start_at.isoformat(),
        end=None if known.end_at is None else known.end_at.isoformat(),
        venue=known.venue,
        location_id=known.location_id,
        status=AppointmentStatus.ENTERED_IN_ERROR.value,
        gone=True,
    )
