"""The promise of every source of appointments, and the neutral row that it gives.

A row keeps what the source said as text, however broken, so that the quality gate can name the rule that it breaks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class SourceContact:
    """One address. `value` is E.164 or a mail address where it could be read, else the text as given.

    `system` is phone or email. `valid_from` and `valid_until` are ISO dates in the hospital's zone, or the text as
    given when it is not a date.
    """

    system: str
    value: str
    use: str | None = None
    rank: int | None = None
    textable: bool = False
    valid_from: str | None = None
    valid_until: str | None = None


@dataclass(frozen=True, slots=True)
class SourcePatient:
    """A patient as given. `merged_into` is the id of the record that replaces this one."""

    id: str
    given_name: str | None = None
    language: str | None = None
    contacts: tuple[SourceContact, ...] = ()
    deceased: bool = False
    merged_into: str | None = None

    def __repr__(self) -> str:
        return f"SourcePatient(id={self.id!r})"


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One appointment as given, with its patient and the records that replaced the patient's.

    `version` orders what the same source said about the same appointment: instant of the last update and number.
    `gone` says that the source no longer knows the appointment.
    """

    appointment_id: str | None
    patient_id: str | None = None
    start: str | None = None
    end: str | None = None
    venue: str | None = None
    location_id: str | None = None
    status: str | None = None
    last_updated: str | None = None
    version: str | None = None
    gone: bool = False
    patients: tuple[SourcePatient, ...] = ()

    def __repr__(self) -> str:
        return f"SourceRow(appointment_id={self.appointment_id!r})"

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, for staging and quarantine."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> SourceRow:
        """What `as_dict` made."""
        patients = tuple(
            SourcePatient(**{**patient, "contacts": tuple(SourceContact(**contact) for contact in patient["contacts"])})
            for patient in stored["patients"]
        )
        return cls(**{**stored, "patients": patients})


@dataclass(frozen=True, slots=True)
class Page:
    """One page of an answer. `total` is how many appointments the source says the whole answer has, if it says."""

    rows: tuple[SourceRow, ...]
    total: int | None = None


class AppointmentSource(ABC):
    """A hospital's appointment system. Safe to call from several threads.

    Each method retries what may pass by itself, and raises SourceUnavailableError once the retries are spent, or
    SourceAnswerError when the answer is not what this source can read. Pages that came before an error stay good.
    """

    @abstractmethod
    def appointments_on(self, day: date) -> Iterator[Page]:
        """Every appointment that starts on a local day of the hospital, whatever its status."""

    @abstractmethod
    def updated_since(self, instant: datetime) -> Iterator[Page]:
        """Every appointment that the source changed since an instant, whatever its day."""

    @abstractmethod
    def appointment(self, appointment_id: str) -> SourceRow | None:
        """One appointment as it stands now, or None when the source does not know it (any more)."""

    @abstractmethod
    def patients(self, patient_id: str) -> tuple[SourcePatient, ...]:
        """One patient and the records that replaced it, one after the other; empty when the source knows none."""
