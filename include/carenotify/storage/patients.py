"""Patients: what of them is stored sealed, and how it is read back."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Any

from carenotify.domain.patient import ContactPoint, Patient
from carenotify.storage.sealed import Sealer


def seal_contact(patient: Patient, sealer: Sealer) -> bytes:
    """The column `sealed_contact`: given name and addresses."""
    return sealer.seal(
        {"given_name": patient.given_name, "contacts": [asdict(contact) for contact in patient.contacts]}
    )


def address_indexes(patient: Patient, sealer: Sealer) -> list[bytes]:
    """The column `address_indexes`: one blind index for every address, whatever it is used for."""
    return [sealer.index(contact.value) for contact in patient.contacts]


def open_patient(
    *,
    patient_id: str,
    sealed_contact: bytes,
    language: str | None,
    deceased: bool,
    merged_into: str | None,
    sealer: Sealer,
) -> Patient:
    """A patient from the columns of its row. Raises DecryptionError."""
    opened = sealer.open(sealed_contact)
    return Patient(
        id=patient_id,
        given_name=opened["given_name"],
        language=language,
        contacts=tuple(_contact(contact) for contact in opened["contacts"]),
        deceased=deceased,
        merged_into=merged_into,
    )


def _contact(stored: dict[str, Any]) -> ContactPoint:
    days = {name: _day(stored[name]) for name in ("valid_from", "valid_until")}
    return ContactPoint(**{**stored, **days})


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
