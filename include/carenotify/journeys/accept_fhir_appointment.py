"""Take in an Appointment as a FHIR server's rest-hook brings it (http://hl7.org/fhir/R4/subscription.html).

A hook says how an appointment stands, not what happened to it: that is found by comparing it with what is known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import uuid6

from carenotify.domain.appointment import Appointment, AppointmentStatus
from carenotify.domain.event import ChangeEvent, EventType
from carenotify.domain.instant import read_instant
from carenotify.errors import FhirElementError
from carenotify.journeys.accept_event import Accepted, EventAcceptor
from carenotify.journeys.take_apart_row import appointment_of
from carenotify.sources.base import SourceRow
from carenotify.sources.fhir_appointment import read_appointment
from carenotify.storage import change_events
from carenotify.storage.appointments import name_of_location

_FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_YEARS = range(2000, 2200)
_LONGEST_VENUE = 200


@dataclass(frozen=True, slots=True)
class FhirAppointmentAcceptor:
    """Accepts resources as events."""

    acceptor: EventAcceptor

    def accept(self, resource: Mapping[str, Any]) -> Accepted:
        """Take in one Appointment resource; `meta.versionId` or `meta.lastUpdated` tells its repetitions.

        A Location that is referred to without its `display` goes by the name that loads know it by: an id tells nobody
        where to go.

        Raises FhirElementError, and EventConflictError when a version is known with another content.
        """
        row = _checked(read_appointment(dict(resource)))
        appointment = self._appointment(row)
        event = ChangeEvent(
            event_id=f"fhir:{appointment.id}:{row.version or row.last_updated or uuid6.uuid7()}",
            type=EventType.CANCELLED if appointment.status is AppointmentStatus.CANCELLED else EventType.BOOKED,
            occurred_at=read_instant(row.last_updated) or self.acceptor.clock(),
            appointment=appointment,
            source="fhir",
        )
        return self.acceptor.accept(event, body=row.as_dict())

    def _appointment(self, row: SourceRow) -> Appointment:
        """The row's appointment, with what is known of it where the row has no time or no name of its place."""
        known = None
        if row.start is None or row.venue is None:
            with self.acceptor.database.transaction() as transaction:
                known = change_events.known(transaction, row.appointment_id or "")
                row = replace(row, venue=row.venue or name_of_location(transaction, row.location_id))
        if row.venue is None and row.location_id is not None and row.status == AppointmentStatus.BOOKED:
            # The place that is known of this appointment may be another one.
            raise FhirElementError(*_NO_NAME)
        appointment = appointment_of(row, known=known.appointment if known else None)
        if appointment is None:
            raise FhirElementError(*(("start", "is missing") if row.start is None else _NO_PLACE))
        return appointment


_NO_PLACE = ("participant.actor", "has no reference to a Location, and none is known")
_NO_NAME = ("participant.actor.display", "is missing, and no load has brought a name of that Location")


def _checked(row: SourceRow) -> SourceRow:
    """The row, when each of its elements is what FHIR says."""
    _check_id(row.appointment_id, "id")
    _check_id(row.patient_id, "participant.actor", "has no reference to a Patient")
    if row.version is not None:
        _check_id(row.version, "meta.versionId")
    for element, value in (("start", row.start), ("end", row.end), ("meta.lastUpdated", row.last_updated)):
        _check_instant(value, element)
    if row.status not in set(AppointmentStatus):
        raise FhirElementError("status", "is missing" if row.status is None else "is not an AppointmentStatus")
    return replace(row, venue=row.venue[:_LONGEST_VENUE] if row.venue else None)


def _check_id(value: str | None, element: str, missing: str = "is missing") -> None:
    if value is None:
        raise FhirElementError(element, missing)
    if not _FHIR_ID.fullmatch(value):
        raise FhirElementError(element, "is not a FHIR id")


def _check_instant(value: str | None, element: str) -> datetime | None:
    found = read_instant(value)
    if value is not None and (found is None or found.year not in _YEARS):
        raise FhirElementError(element, "is not an instant with its offset, of this century or the next")
    return found
