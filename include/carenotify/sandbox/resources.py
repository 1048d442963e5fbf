"""FHIR R4 resources as a hospital's system writes them (http://hl7.org/fhir/R4/appointment.html and its neighbours)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

Resource = dict[str, Any]

# What staff write into description and comment. None of it may ever reach a patient's telephone or mailbox.
CLINICAL_TEXTS = (
    "Verdacht auf Meniskusriss links, MRT in Hand",
    "Onkologische Nachsorge, Z.n. Chemotherapie FOLFOX",
    "HIV viral load control, discuss new regimen",
    "Psychiatric follow-up, medication review (lithium)",
    "Schwangerschaft 24. SSW, auffälliger Glukosetest",
    "Suspected melanoma, excision biopsy planned",
)

_PLACES = (
    ("Cardiology, Building A, Room 112", "Lindenallee 1"),
    ("Radiologie, Haus B, Ebene 0", "Lindenallee 3"),
    ("Augenklinik, Haus C, Raum 3.07", "Lindenallee 5"),
    ("Surgery, Building D, Desk 2", "Am Park 12"),
    ("Kinderambulanz, Haus E", "Am Park 14"),
    ("Orthopädie, Haus F, Raum 21", "Am Park 16"),
    ("Day clinic, Building G", "Hafenstraße 8"),
    ("Labor & Blutabnahme, Haus H", "Hafenstraße 10"),
)

NAMELESS_LOCATION = "loc-nameless"


def meta(version: int, updated: datetime) -> Resource:
    """Version and moment of the last change."""
    return {"versionId": str(version), "lastUpdated": updated.isoformat(timespec="milliseconds")}


def locations(updated: datetime) -> dict[str, Resource]:
    """Every place of the hospital, and one that somebody forgot to name."""
    places = {f"loc-{number:02d}": place for number, place in enumerate(_PLACES, start=1)}
    made = {key: _location(key, name, street, updated) for key, (name, street) in places.items()}
    nameless = {"resourceType": "Location", "id": NAMELESS_LOCATION, "meta": meta(1, updated), "status": "active"}
    return made | {NAMELESS_LOCATION: nameless}


def _location(location_id: str, name: str, street: str, updated: datetime) -> Resource:
    return {
        "resourceType": "Location",
        "id": location_id,
        "meta": meta(1, updated),
        "status": "active",
        "name": name,
        "mode": "instance",
        "address": {"use": "work", "line": [street], "city": "Musterstadt", "postalCode": "12345", "country": "DE"},
    }


def patient(
    patient_id: str,
    *,
    given: str,
    family: str,
    language: str,
    telecom: Sequence[Resource],
    birth_date: str,
    updated: datetime,
) -> Resource:
    """A living patient."""
    resource: Resource = {
        "resourceType": "Patient",
        "id": patient_id,
        "meta": meta(1, updated),
        "identifier": [{"system": "https://hospital.example/mrn", "value": patient_id.removeprefix("pat-")}],
        "active": True,
        "name": [{"use": "official", "text": f"{given} {family}", "family": family, "given": [given]}],
        "gender": "unknown",
        "birthDate": birth_date,
        "communication": [
            {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": language}]}, "preferred": True}
        ],
    }
    return resource | ({"telecom": list(telecom)} if telecom else {})


def appointment(
    appointment_id: str,
    *,
    patient_id: str,
    location: Resource,
    status: str,
    start: datetime,
    end: datetime,
    clinical: str,
    updated: datetime,
) -> Resource:
    """An appointment with a patient, a doctor, a place, and a participant that is only a role."""
    resource = {
        "resourceType": "Appointment",
        "id": appointment_id,
        "meta": meta(1, updated),
        "status": status,
        "serviceType": [{"text": "Consultation"}],
        "description": clinical,
        "start": start.isoformat(),
        "end": end.isoformat(),
        "minutesDuration": int((end - start).total_seconds() // 60),
        "created": updated.isoformat(),
        "comment": f"intern: {clinical}",
        "participant": [
            {"actor": {"reference": f"Patient/{patient_id}"}, "required": "required", "status": "accepted"},
            {"actor": {"reference": "Practitioner/prac-07", "display": "Dr. Beispiel"}, "status": "accepted"},
            {"type": [{"text": "Interpreter"}], "required": "optional", "status": "needs-action"},
            {"actor": _pointer(location), "required": "required", "status": "accepted"},
        ],
    }
    reason = {"coding": [{"code": "pat"}], "text": "Patient"}
    return resource | ({"cancelationReason": reason} if status in {"cancelled", "noshow"} else {})


def _pointer(location: Resource) -> Resource:
    reference = {"reference": f"Location/{location['id']}"}
    return reference | ({"display": location["name"]} if "name" in location else {})


def reference_of(resource: Resource, kind: str) -> str | None:
    """Id of the first participant of that type, for example of `Patient`."""
    for participant in resource.get("participant", ()):
        reference = str(participant.get("actor", {}).get("reference", ""))
        if reference.startswith(kind + "/"):
            return reference.partition("/")[2]
    return None


def move_to(resource: Resource, location: Resource) -> None:
    """Give an appointment another place."""
    for participant in resource["participant"]:
        if str(participant.get("actor", {}).get("reference", "")).startswith("Location/"):
            participant["actor"] = _pointer(location)


def operation_outcome(code: str, diagnostics: str) -> Resource:
    """What FHIR servers answer with when they cannot (http://hl7.org/fhir/R4/operationoutcome.html)."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": code, "diagnostics": diagnostics}],
    }
