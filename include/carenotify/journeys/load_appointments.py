"""Make a checked load true: patients and appointments, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from carenotify.domain.appointment import Appointment
from carenotify.domain.clock import Clock
from carenotify.domain.event import type_of_change
from carenotify.domain.instant import read_instant
from carenotify.errors import LoadHeldError
from carenotify.journeys.accept_event import EventAcceptor
from carenotify.journeys.take_apart_row import appointment_of, patients_of
from carenotify.sources.base import SourceRow
from carenotify.storage.appointments import (
    LoadedAppointment,
    bring_appointments,
    changed_ahead,
    count_changes,
    stored_appointments,
    take_over_appointments,
)
from carenotify.storage.database import Database, Transaction
from carenotify.storage.ingest_runs import IngestRun, read_run, settle_run
from carenotify.storage.patients import LoadedPatient, upsert_patients
from carenotify.storage.quarantine import quarantine_rows, resolve_rows
from carenotify.storage.staging import clear_run, count_by_verdict, staged_rows

_LOADABLE = ("good", "address_left_out")


@dataclass(slots=True)
class _Brought:
    """`unscheduled` counts rows without a time or a place of which none is known: nobody can be reminded of them."""

    appointments: list[LoadedAppointment] = field(default_factory=list)
    patients: dict[str, LoadedPatient] = field(default_factory=dict)
    unscheduled: int = 0


def load_appointments(
    database: Database, *, run_id: str, max_changes: int, acceptor: EventAcceptor, clock: Clock
) -> dict[str, int]:
    """Take over what the gate let through, and announce what changed ahead as events would; gives the run's counts.

    A run that is loaded already changes nothing.

    Raises LoadHeldError, after marking the load held and before anything is written, when it would tell patients of
    more than `max_changes` changes and no person has released it; also when it was not checked, is held or was
    discarded.
    """
    counts, held_for = database.run(
        lambda transaction: _load(
            transaction, database, run_id=run_id, max_changes=max_changes, acceptor=acceptor, now=clock()
        )
    )
    if held_for is not None:
        raise LoadHeldError(f"load {run_id} is held: {held_for}")
    return counts


def _load(
    transaction: Transaction,
    database: Database,
    *,
    run_id: str,
    max_changes: int,
    acceptor: EventAcceptor,
    now: datetime,
) -> tuple[dict[str, int], str | None]:
    """The run's counts, and why it is held, if it is."""
    run = read_run(transaction, run_id, lock=True)
    if run.status == "loaded":
        return run.counts, None
    _refuse(transaction, run)
    load = _read(transaction, database, run_id)
    bring_appointments(transaction, load.appointments)
    differences = changed_ahead(transaction, now)
    changes = count_changes(transaction, now) | {
        "unscheduled": load.unscheduled,
        "to_announce": sum(type_of_change(one.old, one.new) is not None for one in differences),
    }
    reason = None if run.status == "released" else _reason_to_hold(changes, max_changes)
    if reason is None:
        changes["patients_changed"] = upsert_patients(transaction, database.sealer, load.patients)
        take_over_appointments(transaction)
        changes["announced"] = acceptor.note_differences(transaction, differences, run_id=run_id)
        quarantine_rows(transaction, run_id=run_id, now=now, renew=True)
        changes["resolved"] = resolve_rows(transaction, run_id=run_id, now=now)
        clear_run(transaction, run_id)
    status = "loaded" if reason is None else "held"
    settle_run(transaction, run_id=run_id, status=status, now=now, reason=reason, counts=changes)
    return run.counts | changes, reason


def _refuse(transaction: Transaction, run: IngestRun) -> None:
    if run.status not in {"running", "released", "failed"}:
        raise LoadHeldError(f"load {run.id} is {run.status} ({run.reason}) and is not loaded")
    if "unchecked" in count_by_verdict(transaction, run.id) or "rows" not in run.counts:
        raise LoadHeldError(f"load {run.id} has not been through the quality gate")


def _reason_to_hold(changes: dict[str, int], max_changes: int) -> str | None:
    """Patients who checked in are changes too, and many on any morning; but nobody is told of them."""
    told = changes["to_announce"]
    if told <= max_changes:
        return None
    return f"patients would be told of {told} changes ahead, more than {max_changes}; look at them, then release it"


def _read(transaction: Transaction, database: Database, run_id: str) -> _Brought:
    load = _Brought()
    incomplete: list[tuple[SourceRow, datetime]] = []
    for row, fetched_at, bad_contacts in _rows(transaction, database, run_id):
        for patient in patients_of(row, bad_contacts=bad_contacts):
            earlier = load.patients.get(patient.id)
            if earlier is None or earlier.fetched_at <= fetched_at:
                load.patients[patient.id] = LoadedPatient(patient, fetched_at)
        if row.start is None or row.venue is None:
            incomplete.append((row, fetched_at))
        else:
            _add(load, row, fetched_at, None)
    known = stored_appointments(transaction, [row.appointment_id or "" for row, _ in incomplete])
    for row, fetched_at in incomplete:
        _add(load, row, fetched_at, known.get(row.appointment_id or ""))
    return load


def _rows(
    transaction: Transaction, database: Database, run_id: str
) -> Iterator[tuple[SourceRow, datetime, tuple[int, ...]]]:
    for staged in staged_rows(transaction, database.sealer, run_id, verdicts=_LOADABLE):
        yield SourceRow.from_dict(staged.content), staged.fetched_at, staged.bad_contacts


def _add(load: _Brought, row: SourceRow, fetched_at: datetime, known: Appointment | None) -> None:
    appointment = appointment_of(row, known=known)
    if appointment is None:
        load.unscheduled += 1
    else:
        load.appointments.append(
            LoadedAppointment(appointment, row.version, fetched_at, row.gone, read_instant(row.last_updated))
        )
