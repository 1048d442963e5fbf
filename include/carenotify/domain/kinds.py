"""The registry of kinds: everything that is particular to one kind of notification, in one place.

A new kind is one entry in KINDS (and its template files under `templates/<template>/`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from carenotify.domain.appointment import Appointment, AppointmentStatus
from carenotify.domain.notification import Channel, Lane


class AppointmentLine(BaseModel):
    """One appointment as the wording tells it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: AwareDatetime
    venue: str = Field(min_length=1)

    @classmethod
    def of(cls, appointment: Appointment) -> AppointmentLine:
        """The line of an appointment as it stands."""
        return cls(start=appointment.start, venue=appointment.venue.name)


class ReminderData(BaseModel):
    """What the wording of a reminder may use. `appointments` are of one local day, earliest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    given_name: str | None
    appointments: tuple[AppointmentLine, ...] = Field(min_length=1)

    def ahead_of(self, now: datetime) -> ReminderData:
        """Without the appointments that have begun, as long as one is left."""
        ahead = tuple(line for line in self.appointments if line.start > now)
        return self.model_copy(update={"appointments": ahead or self.appointments})


class ChangeData(BaseModel):
    """What the wording of a change may use: how the appointment was, as far as it was known, and how it is now.

    A cancellation has no `new`, a booking no `old`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    given_name: str | None
    old: AppointmentLine | None
    new: AppointmentLine | None


class MessageData(BaseModel):
    """A message that another system words itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str = Field(min_length=1, max_length=120)
    text: str = Field(min_length=1, max_length=1000)


@dataclass(frozen=True, slots=True)
class Kind:
    """`windowed` kinds go out only inside the send window; `urgent` ones ignore it and do-not-disturb hours.

    `statuses` is the filter: only appointments that stand so are told about. A kind that `keeps_channel` goes out on
    the channels that were asked for and no other: who words it may have chosen them for what it says.
    """

    name: str
    data: type[BaseModel]
    template: str
    lane: Lane
    channels: tuple[Channel, ...]
    windowed: bool
    urgent: bool
    statuses: frozenset[AppointmentStatus]
    keeps_channel: bool = False

    def tells_about(self, status: AppointmentStatus, start: datetime, now: datetime) -> bool:
        """The filter of this kind, for one appointment."""
        return status in self.statuses and start > now


_BOTH = (Channel.SMS, Channel.EMAIL)

REMINDER = Kind(
    name="reminder",
    data=ReminderData,
    template="reminder",
    lane=Lane.LOW,
    channels=_BOTH,
    windowed=True,
    urgent=False,
    statuses=frozenset({AppointmentStatus.BOOKED}),
)


def _change(name: str, status: AppointmentStatus) -> Kind:
    return Kind(
        name=name,
        data=ChangeData,
        template=name,
        lane=Lane.HIGH,
        channels=_BOTH,
        windowed=False,
        urgent=True,
        statuses=frozenset({status}),
    )


RESCHEDULED = _change("rescheduled", AppointmentStatus.BOOKED)
VENUE_CHANGED = _change("venue_changed", AppointmentStatus.BOOKED)
CANCELLED = _change("cancelled", AppointmentStatus.CANCELLED)
BOOKED = _change("booked", AppointmentStatus.BOOKED)

MESSAGE = Kind(
    name="message",
    data=MessageData,
    template="message",
    lane=Lane.MEDIUM,
    channels=_BOTH,
    windowed=False,
    urgent=False,
    statuses=frozenset(),
    keeps_channel=True,
)

KINDS: dict[str, Kind] = {
    kind.name: kind for kind in (REMINDER, RESCHEDULED, VENUE_CHANGED, CANCELLED, BOOKED, MESSAGE)
}
