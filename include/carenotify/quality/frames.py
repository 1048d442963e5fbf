"""The tables that the rules look at, made in memory from staged rows. Nothing here is written anywhere.

Yes-or-no columns hold "yes", "no" or nothing; nothing is for "another rule speaks about this row".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any

import pandas as pd
import phonenumbers

from carenotify.domain.appointment import AppointmentStatus
from carenotify.domain.instant import looks_like_instant, read_instant

# FHIR R4 Appointment, invariants app-2 and app-3: only these may have no time yet.
_WITHOUT_START = {
    status.value for status in (AppointmentStatus.PROPOSED, AppointmentStatus.CANCELLED, AppointmentStatus.WAITLIST)
}

_APPOINTMENT_COLUMNS = (
    "row_id",
    "appointment_id",
    "patient_id",
    "patient_known",
    "status",
    "start",
    "start_where_required",
    "start_exists",
    "days_ahead",
    "end_exists",
    "minutes",
    "venue_where_required",
)
_CONTACT_COLUMNS = ("row_id", "phone_valid", "mail", "period_valid")


class Frames:
    """Rows are added one by one, so that no more than these columns of a load is ever held in memory."""

    def __init__(self, *, now: datetime) -> None:
        self._now = now
        self._appointments: list[tuple[Any, ...]] = []
        self._contacts: list[tuple[Any, ...]] = []

    def add(self, row_id: int, content: Mapping[str, Any]) -> None:
        """One staged row: its appointment, and every address of its patient and of the records that replaced it."""
        self._appointments.append(_appointment(row_id, content, self._now))
        contacts = (contact for patient in content["patients"] for contact in patient["contacts"])
        for position, contact in enumerate(contacts):
            self._contacts.append(_contact(f"{row_id}:{position}", contact))

    def drop(self, row_ids: Collection[int]) -> None:
        """Leave these rows out."""
        self._appointments = [row for row in self._appointments if row[0] not in row_ids]
        self._contacts = [row for row in self._contacts if int(row[0].partition(":")[0]) not in row_ids]

    def appointments(self, *, stored_patients: Collection[str]) -> pd.DataFrame:
        """One line a row. A patient that the source did not give is known when it is stored."""
        frame = pd.DataFrame(self._appointments, columns=list(_APPOINTMENT_COLUMNS), dtype=object)
        stored = frame["patient_id"].isin(set(stored_patients))
        frame.loc[stored & (frame["patient_known"] == "no"), "patient_known"] = "yes"
        return frame.astype({"row_id": "int64", "days_ahead": "float64", "minutes": "float64"})

    def contacts(self) -> pd.DataFrame:
        """One line an address; its `row_id` is the row's id, a colon, and the address's position in the row."""
        return pd.DataFrame(self._contacts, columns=list(_CONTACT_COLUMNS), dtype=object)

    def patients_not_given(self) -> set[str]:
        """Ids of patients that the source referred to and did not give."""
        known = _APPOINTMENT_COLUMNS.index("patient_known")
        patient = _APPOINTMENT_COLUMNS.index("patient_id")
        return {row[patient] for row in self._appointments if row[known] == "no"}


def _appointment(row_id: int, content: Mapping[str, Any], now: datetime) -> tuple[Any, ...]:
    start, end = read_instant(content["start"]), read_instant(content["end"])
    patient_given = bool(content["patients"]) or content["gone"]
    waits_for_start = content["start"] is None and content["status"] in _WITHOUT_START
    # Whoever calls an appointment off, or ticks it off, often leaves out where it would have been and until when.
    booked = content["status"] == AppointmentStatus.BOOKED.value
    return (
        row_id,
        content["appointment_id"],
        content["patient_id"],
        None if content["patient_id"] is None else _yes(patient_given),
        content["status"],
        content["start"],
        "not required" if waits_for_start else content["start"],
        _start_exists(content["start"], start),
        None if start is None else (start - now).total_seconds() / 86_400,
        None if content["end"] is None or not booked else _yes(end is not None),
        None if start is None or end is None or not booked else (end - start).total_seconds() / 60,
        content["venue"] if booked else "not required",
    )


def _start_exists(given: str | None, start: datetime | None) -> str | None:
    """`start_has_offset` speaks about what does not look like an instant at all."""
    if start is not None:
        return "yes"
    return "no" if given is not None and looks_like_instant(given) else None


def _contact(row_id: str, contact: Mapping[str, Any]) -> tuple[Any, ...]:
    is_phone = contact["system"] == "phone"
    return (
        row_id,
        _yes(_is_e164(contact["value"])) if is_phone else None,
        None if is_phone else contact["value"],
        _yes(_is_day(contact["valid_from"]) and _is_day(contact["valid_until"])),
    )


def _is_e164(value: str) -> bool:
    try:
        number = phonenumbers.parse(value, None)
    except phonenumbers.NumberParseException:
        return False
    as_e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return as_e164 == value and phonenumbers.is_valid_number(number)


def _is_day(text: str | None) -> bool:
    if text is None:
        return True
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _yes(value: bool) -> str:  # noqa: FBT001 - it is the value
    return "yes" if value else "no"
