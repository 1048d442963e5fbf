"""What a change event says, and what it means beside what is known already."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from carenotify.domain.appointment import Appointment, AppointmentStatus, Venue
from carenotify.domain.kinds import BOOKED, CANCELLED, RESCHEDULED, VENUE_CHANGED, Kind


class EventType(StrEnum):
    """What happened to an appointment."""

    RESCHEDULED = "appointment.rescheduled"
    VENUE_CHANGED = "appointment.venue_changed"
    CANCELLED = "appointment.cancelled"
    BOOKED = "appointment.booked"


class EventOutcome(StrEnum):
    """What came of an event that was accepted."""

    NOTIFIED = "notified"
    AWAITING_CONTACT = "awaiting_contact"
    ALREADY_KNOWN = "already_known"
    IGNORED_STALE = "ignored_stale"
    NOT_TOLD = "not_told"


KIND_OF: dict[EventType, Kind] = {
    EventType.RESCHEDULED: RESCHEDULED,
    EventType.VENUE_CHANGED: VENUE_CHANGED,
    EventType.CANCELLED: CANCELLED,
    EventType.BOOKED: BOOKED,
}


# Ids of the events that we make ourselves, from loads and FHIR hooks. Senders of events keep away from them.
RESERVED_IDS = ("load:", "fhir:")


@dataclass(frozen=True, slots=True)
class ChangeEvent:
    """One change, as the hospital's system or a load tells it. `source` is api, fhir or load."""

    event_id: str
    type: EventType
    occurred_at: datetime
    appointment: Appointment
    source: str = "api"

    def __post_init__(self) -> None:
        if self.occurred_at.tzinfo is None:
            raise ValueError(f"event {self.event_id}: occurred_at has no offset")


@dataclass(frozen=True, slots=True)
class Known:
    """An appointment as it stands here. `known_at` is when it became so in the hospital, as far as that is known."""

    appointment: Appointment
    known_at: datetime | None


@dataclass(frozen=True, slots=True)
class Difference:
    """An appointment before and after a load. `known_at` is since when it is so, as far as the source says."""

    old: Appointment
    new: Appointment
    known_at: datetime


def default_status(event_type: EventType) -> AppointmentStatus:
    """The status that an event implies when it does not say one."""
    return AppointmentStatus.CANCELLED if event_type is EventType.CANCELLED else AppointmentStatus.BOOKED


def standing_against(event: ChangeEvent, known: Known | None) -> EventOutcome | None:
    """Why an event changes nothing, or None when it does."""
    if known is None:
        return None
    if known.appointment.content_hash == event.appointment.content_hash:
        return EventOutcome.ALREADY_KNOWN
    if known.known_at is not None and event.occurred_at < known.known_at:
        return EventOutcome.IGNORED_STALE
    return None


def type_of_change(old: Appointment, new: Appointment) -> EventType | None:
    """Which event a difference amounts to; None when patients are not told of it (arrived, fulfilled, a no-show)."""
    if new.status is AppointmentStatus.CANCELLED:
        return EventType.CANCELLED if old.status is not AppointmentStatus.CANCELLED else None
    if new.status is not AppointmentStatus.BOOKED:
        return None
    if old.status is not AppointmentStatus.BOOKED:
        return EventType.BOOKED
    if new.start != old.start:
        return EventType.RESCHEDULED
    return EventType.VENUE_CHANGED if new.venue.key != old.venue.key else None


def same_place(told: Venue, known: Venue) -> Venue:
    """The venue as it is known, when what was told means the same place; else as told.

    Senders of events know venues by name, loads by the Location's id as well.
    """
    same_name = told.name == known.name and None in (told.location_id, known.location_id)
    return known if same_name else told
