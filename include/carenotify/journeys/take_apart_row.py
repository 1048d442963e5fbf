"""Make domain values of a row that the quality gate let through."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from carenotify.domain.appointment import Appointment, AppointmentStatus, Venue
from carenotify.domain.instant import read_instant
from carenotify.domain.patient import ContactPoint, Patient
from carenotify.sources.base import SourceContact, SourceRow


def appointment_of(row: SourceRow, *, known: Appointment | None) -> Appointment | None:
    """The row's appointment, with the known time or place where it has none (proposed, waiting, cancelled).

    None when none is known either.
    """
    start = read_instant(row.start) or (known.start if known else None)
    venue = Venue(row.venue, row.location_id) if row.venue else (known.venue if known else None)
    if start is None or venue is None or row.appointment_id is None or row.patient_id is None or row.status is None:
        return None
    return Appointment(
        id=row.appointment_id,
        patient_id=row.patient_id,
        start=start,
        end=read_instant(row.end),
        venue=venue,
        status=AppointmentStatus(row.status),
    )


def patients_of(row: SourceRow, *, bad_contacts: Collection[int]) -> list[Patient]:
    """The row's patient and the records that replaced it, without the addresses at these positions of the row."""
    patients, position = [], 0
    for given in row.patients:
        contacts = [
            _contact(contact)
            for place, contact in enumerate(given.contacts, start=position)
            if place not in bad_contacts
        ]
        position += len(given.contacts)
        patients.append(
            Patient(
                id=given.id,
                given_name=given.given_name,
                language=given.language,
                contacts=tuple(contacts),
                deceased=given.deceased,
                merged_into=given.merged_into,
            )
        )
    return patients


def _contact(contact: SourceContact) -> ContactPoint:
    return ContactPoint(
        system=contact.system,
        value=contact.value,
        use=contact.use,
        rank=contact.rank,
        textable=contact.textable,
        valid_from=_day(contact.valid_from),
        valid_until=_day(contact.valid_until),
    )


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
