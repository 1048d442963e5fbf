"""A FHIR R4 Appointment, reduced to who has to be where and when. `description` and `comment` are never read."""

from __future__ import annotations

from typing import Any

from carenotify.sources.base import SourceRow
from carenotify.sources.fhir_fields import member, members, reference_id, text


def read_appointment(resource: dict[str, Any]) -> SourceRow:
    """The row of an Appointment resource, without its patient's record; `venue` is what the appointment itself says."""
    actors = [member(participant, "actor") for participant in members(resource.get("participant"))]
    location = next((actor for actor in actors if reference_id(actor, "Location")), None)
    return SourceRow(
        appointment_id=text(resource.get("id")),
        patient_id=next((found for actor in actors if (found := reference_id(actor, "Patient"))), None),
        start=text(resource.get("start")),
        end=text(resource.get("end")),
        venue=text(member(location, "display")),
        location_id=reference_id(location, "Location"),
        status=text(resource.get("status")),
        last_updated=text(member(resource, "meta", "lastUpdated")),
        version=text(member(resource, "meta", "versionId")),
    )


def venue_name(location: dict[str, Any]) -> str | None:
    """The name that patients know a Location by."""
    return text(location.get("name")) or text(location.get("description"))
