"""Rows that no gate should let through as they are, and contacts that nobody can use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from carenotify.sandbox import resources
from carenotify.sandbox.ward import Row, Ward


def _missing_start(row: Row) -> None:
    del row.resource["start"]


def _unparsable_start(row: Row) -> None:
    row.resource["start"] = "2026-13-45T25:61:00+02:00"


def _end_before_start(row: Row) -> None:
    row.resource["end"] = (row.indexed_at - timedelta(hours=1)).isoformat()


def _start_without_offset(row: Row) -> None:
    row.resource["start"] = row.indexed_at.replace(tzinfo=None).isoformat()


def _missing_patient(row: Row) -> None:
    row.resource["participant"] = row.resource["participant"][1:]


def _patient_nowhere(row: Row) -> None:
    row.resource["participant"][0]["actor"] = {"reference": "Patient/pat-nowhere"}


def _unknown_status(row: Row) -> None:
    row.resource["status"] = "confirmed"


def _missing_venue(row: Row) -> None:
    row.resource["participant"] = row.resource["participant"][:3]


def _nameless_venue(row: Row) -> None:
    row.resource["participant"][3]["actor"] = {"reference": f"Location/{resources.NAMELESS_LOCATION}"}


BROKEN_ROWS: dict[str, Callable[[Row], None]] = {
    "missing_start": _missing_start,
    "unparsable_start": _unparsable_start,
    "end_before_start": _end_before_start,
    "start_without_offset": _start_without_offset,
    "missing_patient": _missing_patient,
    "patient_nowhere": _patient_nowhere,
    "unknown_status": _unknown_status,
    "missing_venue": _missing_venue,
    "nameless_venue": _nameless_venue,
}

# The appointment is right, the address is not: whoever has another good address is told there.
BROKEN_CONTACTS: dict[str, tuple[str, str]] = {
    "phone_is_a_remark": ("phone", "n/a"),
    "phone_is_garbage": ("phone", "000000000000"),
    "email_is_garbage": ("email", "foo@"),
}

DEFECTS = (*BROKEN_ROWS, *BROKEN_CONTACTS, "bad_phone_good_email")


def write_dirty_row(ward: Ward, defect: str) -> None:
    """One row with that defect on the ward's day."""
    if defect in BROKEN_ROWS:
        row = ward.book(ward.admit(ward.registry.mobile(), ward.registry.email()))
        BROKEN_ROWS[defect](row)
        row.reason = "quarantined"
        row.patient_id = resources.reference_of(row.resource, "Patient")
    elif defect in BROKEN_CONTACTS:
        system, value = BROKEN_CONTACTS[defect]
        row = ward.book(ward.admit({"system": system, "value": value, "use": "home"}, reason="no_contact"))
    else:
        row = ward.book(ward.admit({"system": "phone", "value": "012", "use": "mobile"}, ward.registry.email()))
    row.defect = defect
