"""Changes of appointments, as the hospital's system tells them."""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus
from uuid import UUID

from flask import Blueprint
from pydantic import BaseModel, Field, ValidationInfo, field_validator

from carenotify.api.endpoint import endpoint
from carenotify.api.fields import FhirId, Instant, RequestModel, SendersId, VenueName
from carenotify.api.problems import wrong_field
from carenotify.api.wiring import wiring
from carenotify.domain.access import Scope
from carenotify.domain.appointment import Appointment, AppointmentStatus, Venue
from carenotify.domain.event import RESERVED_IDS, ChangeEvent, EventOutcome, EventType, default_status
from carenotify.journeys.accept_event import Accepted

events = Blueprint("events", __name__)

# Clocks differ; more than this is a mistake, and would make every later event look stale.
CLOCKS_DIFFER = timedelta(minutes=5)
# By whether an event is a cancellation: the status that it cannot have.
_OPPOSITE = {True: AppointmentStatus.BOOKED, False: AppointmentStatus.CANCELLED}


class ToldAppointment(RequestModel):
    """The appointment as it is now. `venue` is the name that patients know the place by."""

    id: FhirId
    patient_id: FhirId
    start: Instant
    end: Instant | None = None
    venue: VenueName
    status: AppointmentStatus | None = None

    @field_validator("end")
    @classmethod
    def _is_after_the_start(cls, end: datetime | None, others: ValidationInfo) -> datetime | None:
        start = others.data.get("start")
        if end is not None and start is not None and end <= start:
            raise ValueError("is not after the start")
        return end


class NewEvent(RequestModel):
    """One change. The same `event_id` again, with the same body, changes nothing and gets the same answer."""

    event_id: SendersId
    type: EventType
    occurred_at: Instant
    appointment: ToldAppointment

    @field_validator("event_id")
    @classmethod
    def _is_not_ours(cls, event_id: str) -> str:
        if event_id.startswith(RESERVED_IDS):
            raise ValueError(f"begins with {' or '.join(RESERVED_IDS)}, as only our own ids do")
        return event_id

    @field_validator("appointment")
    @classmethod
    def _agrees_with_the_type(cls, appointment: ToldAppointment, others: ValidationInfo) -> ToldAppointment:
        cancels = others.data.get("type") is EventType.CANCELLED
        if "type" in others.data and appointment.status is _OPPOSITE[cancels]:
            raise ValueError("has a status that contradicts the type")
        return appointment

    def as_change(self) -> ChangeEvent:
        """The event in our own terms."""
        told = self.appointment
        status = told.status or default_status(self.type)
        appointment = Appointment(told.id, told.patient_id, told.start, told.end, Venue(told.venue), status)
        return ChangeEvent(self.event_id, self.type, self.occurred_at, appointment)


class AcceptedEvent(BaseModel):
    """What comes of an event; `reason` says why nobody is told, or what the message waits for."""

    event_id: str
    notification_ids: list[UUID]
    outcome: EventOutcome
    reason: str | None = Field(None, exclude_if=lambda reason: reason is None)


@events.post("/events")
@endpoint(Scope.EVENTS_WRITE, tag="events", answers={HTTPStatus.ACCEPTED: AcceptedEvent})
def create_event(json: NewEvent) -> tuple[AcceptedEvent, int]:
    """Take in a change of an appointment, and tell its patient at once."""
    app = wiring().app
    refuse_future("occurred_at", json.occurred_at, now=app.clock())
    accepted = app.event_acceptor.accept(json.as_change(), body=json.model_dump(mode="json", exclude_none=True))
    return answer(accepted), HTTPStatus.ACCEPTED


def refuse_future(field: str, instant: datetime, *, now: datetime) -> None:
    """Raises ProblemError 422 when something is said to have happened later than now."""
    if instant > now + CLOCKS_DIFFER:
        raise wrong_field(field, "is in the future")


def answer(accepted: Accepted) -> AcceptedEvent:
    """What the sender is told, once whatever is due is on its way."""
    if accepted.notification_ids:
        wiring().app.prompt_publisher.wake()
    return AcceptedEvent(
        event_id=accepted.event_id,
        notification_ids=list(accepted.notification_ids),
        outcome=EventOutcome(accepted.outcome),
        reason=accepted.reason,
    )
