"""An appointment as the hospital's system tells it (FHIR R4 Appointment), reduced to what patients are told."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class AppointmentStatus(StrEnum):
    """FHIR R4 AppointmentStatus, http://hl7.org/fhir/R4/valueset-appointmentstatus.html."""

    PROPOSED = "proposed"
    PENDING = "pending"
    BOOKED = "booked"
    ARRIVED = "arrived"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"
    NO_SHOW = "noshow"
    ENTERED_IN_ERROR = "entered-in-error"
    CHECKED_IN = "checked-in"
    WAITLIST = "waitlist"


@dataclass(frozen=True, slots=True)
class Venue:
    """Where to go. Two venues are the same place when their Location ids are the same, whatever their names."""

    name: str
    location_id: str | None = None

    @property
    def key(self) -> str:
        """What venues are compared by: a renamed building must not message a town."""
        return self.location_id or self.name


@dataclass(frozen=True, slots=True)
class Appointment:
    """`start` and `end` are aware. `id` and `patient_id` are the source's."""

    id: str
    patient_id: str
    start: datetime
    end: datetime | None
    venue: Venue
    status: AppointmentStatus

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or (self.end is not None and self.end.tzinfo is None):
            raise ValueError(f"appointment {self.id}: a time without an offset")

    @property
    def content_hash(self) -> bytes:
        """Same hash, same thing to tell: patient, start, venue and status."""
        parts = (self.patient_id, self.start.astimezone(UTC).isoformat(), self.venue.key, self.status.value)
        return hashlib.sha256("\x1f".join(parts).encode()).digest()
