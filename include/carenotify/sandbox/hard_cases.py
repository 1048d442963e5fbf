"""Every hard case that a hospital's data holds; those of the appointments themselves stand here.

Dirty rows are apart, in dirty_rows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import time

from carenotify.sandbox.case import Case, reachable
from carenotify.sandbox.contact_cases import CONTACT_CASES
from carenotify.sandbox.patient_cases import PATIENT_CASES
from carenotify.sandbox.ward import Ward


def _same_day_double(ward: Ward) -> None:
    """Two appointments, or now and then three."""
    patient = reachable(ward)
    for at in (time(9, 10), time(14, 30), time(16, 20))[: ward.rng.choice((2,) * 9 + (3,))]:
        ward.book(patient, at=at)


def _double_with_one_cancelled(ward: Ward) -> None:
    patient = reachable(ward)
    ward.book(patient)
    ward.book(patient, status="cancelled")


def _of_status(status: str) -> Callable[[Ward], None]:
    def write(ward: Ward) -> None:
        ward.book(reachable(ward), status=status)

    return write


def _waitlist_without_start(ward: Ward) -> None:
    """FHIR's app-3 allows it: who waits has no time yet."""
    resource = ward.book(reachable(ward), status="waitlist").resource
    del resource["start"], resource["end"]


def _around_midnight(ward: Ward) -> None:
    """Local day and UTC day differ for at least one of them, east and west of Greenwich."""
    ward.book(reachable(ward), at=time(0, 15))
    ward.book(reachable(ward), at=time(23, 45))


def _while_the_clocks_change(ward: Ward) -> None:
    """02:30 does not exist on one Sunday a year and comes twice on another."""
    ward.book(reachable(ward), at=time(2, 30))


CASES = (
    *CONTACT_CASES,
    *PATIENT_CASES,
    Case("same_day_double", 0.055, _same_day_double),
    Case("double_with_one_cancelled", 0.004, _double_with_one_cancelled),
    Case("cancelled", 0.030, _of_status("cancelled")),
    Case("noshow", 0.002, _of_status("noshow")),
    Case("entered_in_error", 0.003, _of_status("entered-in-error")),
    Case("proposed", 0.004, _of_status("proposed")),
    Case("pending", 0.003, _of_status("pending")),
    Case("waitlist", 0.002, _of_status("waitlist")),
    Case("waitlist_without_start", 0.001, _waitlist_without_start),
    Case("around_midnight", 0.002, _around_midnight),
    Case("while_the_clocks_change", 0.001, _while_the_clocks_change),
)
