"""Where a FHIR server's rest-hooks bring appointments that were created or changed."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

from flask import Blueprint
from pydantic import BaseModel, ConfigDict, Field

from carenotify.api.endpoint import endpoint
from carenotify.api.problems import wrong_field
from carenotify.api.routes.events import AcceptedEvent, answer, refuse_future
from carenotify.api.wiring import wiring
from carenotify.domain.access import Scope
from carenotify.domain.instant import read_instant
from carenotify.errors import FhirElementError
from carenotify.sources.fhir_fields import member, text

fhir = Blueprint("fhir", __name__)


class AppointmentResource(BaseModel):
    """An Appointment of FHIR R4, http://hl7.org/fhir/R4/appointment.html: `id`, `status`, `start` and `participant`
    with references to a Patient and a Location are read, and `end` and `meta` where they are there."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    resource_type: Literal["Appointment"] = Field(alias="resourceType")


@fhir.post("/fhir/Appointment")
@endpoint(Scope.EVENTS_WRITE, tag="events", answers={HTTPStatus.ACCEPTED: AcceptedEvent})
def hook_appointment(json: AppointmentResource) -> tuple[AcceptedEvent, int]:
    """Take in an appointment as it stands now, and tell its patient what differs from before."""
    return _taken_in(json), HTTPStatus.ACCEPTED


@fhir.put("/fhir/Appointment/<id>")
@endpoint(Scope.EVENTS_WRITE, tag="events", answers={HTTPStatus.ACCEPTED: AcceptedEvent})
def hook_appointment_by_id(id: str, json: AppointmentResource) -> tuple[AcceptedEvent, int]:  # noqa: A002
    """Take in an appointment as it stands now, at its own URL."""
    if (json.model_extra or {}).get("id") != id:
        raise wrong_field("id", "is not the id in the URL")
    return _taken_in(json), HTTPStatus.ACCEPTED


def _taken_in(resource: AppointmentResource) -> AcceptedEvent:
    app = wiring().app
    elements = resource.model_extra or {}
    updated = read_instant(text(member(elements, "meta", "lastUpdated")))
    if updated is not None:
        refuse_future("meta.lastUpdated", updated, now=app.clock())
    try:
        return answer(app.fhir_appointment_acceptor.accept(elements))
    except FhirElementError as error:
        raise wrong_field(error.element, error.problem) from None
