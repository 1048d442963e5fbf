"""What the tests of loads are played with: a patient API that says what it is told to, and the steps of a load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from carenotify.app import App
from carenotify.domain.window import local_day
from carenotify.errors import SourceError
from carenotify.journeys.check_load import BadShares, check_load
from carenotify.journeys.fetch_day import fetch_day
from carenotify.journeys.fetch_missing import fetch_missing
from carenotify.journeys.fetch_updates import fetch_updates
from carenotify.journeys.load_appointments import load_appointments
from carenotify.journeys.release_load import release_load
from carenotify.journeys.start_load import start_load
from carenotify.sources.base import AppointmentSource, Page, SourceContact, SourcePatient, SourceRow

DAY = date(2026, 11, 27)
START = "2026-11-27T10:00:00+01:00"
PHONE = SourceContact("phone", "+4915112345678", use="mobile", textable=True)
MAIL = SourceContact("email", "anna@example.org")


def make_patient(patient_id: str = "anna", *, contacts: Sequence[SourceContact] = (PHONE, MAIL)) -> SourcePatient:
    return SourcePatient(patient_id, given_name="Annegret", language="de", contacts=tuple(contacts))


def make_row(appointment_id: str | None = "a1", *, patient: SourcePatient | None = None, **fields: Any) -> SourceRow:
    patient = patient or make_patient()
    values: dict[str, Any] = {
        "patient_id": patient.id,
        "start": START,
        "end": "2026-11-27T10:20:00+01:00",
        "venue": "Building 2, room 12",
        "location_id": "loc-2",
        "status": "booked",
        "patients": (patient,),
    }
    return SourceRow(appointment_id, **(values | fields))


@dataclass
class ScriptedSource(AppointmentSource):
    """`days` and `updates` are lists of pages; an error among them is raised in its place. `asked`: ids asked for."""

    days: dict[date, list[Page | SourceError]] = field(default_factory=dict)
    updates: list[Page | SourceError] = field(default_factory=list)
    by_id: dict[str, SourceRow | SourceError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    updates_asked_since: datetime | None = None
    known_patients: dict[str, tuple[SourcePatient, ...]] = field(default_factory=dict)

    def says(self, *rows: SourceRow, day: date = DAY) -> None:
        """That day has these rows, on one page."""
        self.days[day] = [Page(rows, total=len({row.appointment_id for row in rows}))]

    def appointments_on(self, day: date) -> Iterator[Page]:
        return _pages(self.days.get(day, [Page((), total=0)]))

    def updated_since(self, instant: datetime) -> Iterator[Page]:
        self.updates_asked_since = instant
        return _pages(self.updates)

    def appointment(self, appointment_id: str) -> SourceRow | None:
        self.asked.append(appointment_id)
        found = self.by_id.get(appointment_id)
        if isinstance(found, SourceError):
            raise found
        return found

    def patients(self, patient_id: str) -> tuple[SourcePatient, ...]:
        self.asked.append(patient_id)
        return self.known_patients.get(patient_id, ())


def _pages(script: Sequence[Page | SourceError]) -> Iterator[Page]:
    for page in script:
        if isinstance(page, SourceError):
            raise page
        yield page


@dataclass
class Loads:
    """Runs loads of one day, or of several, through the journeys' own steps."""

    app: App
    source: AppointmentSource
    docs_path: Path
    max_bad_share: float = 0.5
    max_bad_address_share: float = 0.5
    max_changes: int = 100

    def fetch(self, run_id: str, *, first_day: date = DAY, days: int = 1) -> None:
        database, clock = self.app.database, self.app.clock
        for day in start_load(database, run_id=run_id, first_day=first_day, days=days, clock=clock):
            fetch_day(database, self.source, run_id=run_id, day=day, clock=clock)
        fetch_updates(database, self.source, run_id=run_id, clock=clock)
        fetch_missing(database, self.source, run_id=run_id, timezone=self.app.settings.timezone, clock=clock)

    def check(self, run_id: str) -> dict[str, int]:
        return check_load(
            self.app.database,
            run_id=run_id,
            allowed=BadShares(self.max_bad_share, self.max_bad_address_share),
            docs_path=self.docs_path,
            clock=self.app.clock,
        )

    def load(self, run_id: str) -> dict[str, int]:
        return load_appointments(
            self.app.database,
            run_id=run_id,
            max_changes=self.max_changes,
            acceptor=self.app.event_acceptor,
            clock=self.app.clock,
        )

    def release(self, run_id: str) -> dict[str, int]:
        """Let a held load in after all."""
        return release_load(self.app.database, run_id=run_id, acceptor=self.app.event_acceptor, clock=self.app.clock)

    def run(self, run_id: str, *, first_day: date = DAY, days: int = 1) -> dict[str, int]:
        """A whole load; gives its counts."""
        self.fetch(run_id, first_day=first_day, days=days)
        self.check(run_id)
        return self.load(run_id)

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.app.database.transaction() as transaction:
            return transaction.execute(statement, values).fetchall()  # type: ignore[arg-type]

    def stored(self, appointment_id: str = "a1") -> tuple[Any, ...]:
        """Local day, venue and status of a stored appointment."""
        ((start, venue, status),) = self.query(
            "SELECT start_at, venue, status FROM appointments WHERE id = %s", appointment_id
        )
        return local_day(start, self.app.settings.timezone), venue, status

    def snapshot(self) -> list[tuple[Any, ...]]:
        """Everything that a load may change, less the times of asking."""
        return self.query(
            "SELECT id, patient_id, start_at, end_at, venue, location_id, status, content_hash, load_hash, updated_at"
            " FROM appointments ORDER BY id"
        ) + self.query("SELECT id, sealed_contact, address_indexes, updated_at FROM patients ORDER BY id")
