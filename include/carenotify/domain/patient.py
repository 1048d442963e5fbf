"""Who is told, and at which address."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from carenotify.domain.notification import Channel

_USE_ORDER = {"mobile": 0, "home": 1, "temp": 2, "work": 3, None: 4}
_UNRANKED = 1_000


@dataclass(frozen=True, slots=True)
class ContactPoint:
    """One address of a patient (FHIR R4 ContactPoint), already normalised by its source.

    `value` is an E.164 number when `system` is phone, else a mail address. `textable` says whether a phone can take
    an SMS. `valid_until` is the last day of its period, in the hospital's zone.
    """

    system: str
    value: str
    use: str | None = None
    rank: int | None = None
    textable: bool = False
    valid_from: date | None = None
    valid_until: date | None = None

    def usable_on(self, day: date) -> bool:
        """`old` is never used (FHIR R4 ContactPoint.use); outside its period an address belongs to somebody else."""
        started = self.valid_from is None or self.valid_from <= day
        return self.use != "old" and started and (self.valid_until is None or day <= self.valid_until)

    def serves(self, channel: Channel) -> bool:
        """Whether this kind of address takes messages of the channel."""
        return self.system == "email" if channel is Channel.EMAIL else self.system == "phone" and self.textable


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient as last told. `merged_into` names the surviving record (FHIR Patient.link of type replaced-by)."""

    id: str
    given_name: str | None
    language: str | None
    contacts: tuple[ContactPoint, ...] = ()
    deceased: bool = False
    merged_into: str | None = None


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a patient asked for. `channels` empty means: as the hospital's default. An opt-out forbids, order allows."""

    channels: tuple[Channel, ...] = ()
    language: str | None = None
    opted_out_channels: frozenset[Channel] = frozenset()
    opted_out_kinds: frozenset[str] = frozenset()


def addresses(patient: Patient, channel: Channel, day: date, refused: Collection[str] = ()) -> list[ContactPoint]:
    """Addresses of a patient for a channel, best first: rank 1 is best (FHIR), then the most personal use."""
    usable = [
        contact
        for contact in patient.contacts
        if contact.serves(channel) and contact.usable_on(day) and contact.value not in refused
    ]
    return sorted(usable, key=lambda contact: (contact.rank or _UNRANKED, _USE_ORDER.get(contact.use, 4)))


def channels_for(
    patient: Patient, preferences: Preferences, default_channels: Sequence[Channel], day: date
) -> tuple[Channel, ...]:
    """Channels to use for a patient: the wanted ones that have an address, else the first other one that has.

    A patient who wants SMS but gave only a mail address is told by mail, unless mail was opted out of.
    """
    allowed = [channel for channel in Channel if channel not in preferences.opted_out_channels]
    reachable = [channel for channel in allowed if addresses(patient, channel, day)]
    wanted = [channel for channel in preferences.channels or default_channels if channel in reachable]
    return tuple(dict.fromkeys(wanted)) or tuple(reachable[:1])
