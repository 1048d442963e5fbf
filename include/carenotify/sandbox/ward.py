"""The pen that writes a synthetic hospital: admits patients, books appointments, notes what each should lead to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from carenotify.sandbox import resources
from carenotify.sandbox.people import Registry, Telecom
from carenotify.sandbox.resources import Resource

_LANGUAGES = ("de", "en", "fr", "tr")
_LANGUAGE_WEIGHTS = (0.78, 0.16, 0.03, 0.03)

# Statuses that an appointment may still have before its day, and why such a one is not told about.
NOT_TOLD = {
    "booked": None,
    "cancelled": "cancelled",
    "noshow": "no_show",
    "entered-in-error": "entered_in_error",
    "proposed": "not_booked",
    "pending": "not_booked",
    "waitlist": "not_booked",
}


@dataclass(slots=True)
class Row:
    """One appointment. `indexed_at` is what date searches go by, also when the start itself is broken.

    `reason` is why nobody should be told about it (None: tell), in the words of the plan; `defect` names what is dirty.
    """

    resource: Resource
    patient_id: str | None
    indexed_at: datetime
    reason: str | None = None
    defect: str | None = None
    deleted: bool = False
    served: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What a patient asked for: one line of the preferences file."""

    channels: tuple[str, ...] = ()
    language: str = ""
    opted_out_channels: tuple[str, ...] = ()
    opted_out_kinds: tuple[str, ...] = ()


@dataclass(slots=True)
class Ward:
    """Everything written so far. `day` is the local day on which `book` books."""

    rng: Random
    timezone: ZoneInfo
    day: date
    registry: Registry = field(init=False)
    updated: datetime = field(init=False)
    places: dict[str, Resource] = field(init=False)
    patients: dict[str, Resource] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    wishes: dict[str, Wish] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    survivors: dict[str, str] = field(default_factory=dict)
    cases: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.registry = Registry(self.rng)
        self.updated = datetime.combine(self.day, time(6), tzinfo=UTC) - timedelta(days=10)
        self.places = resources.locations(self.updated)

    def admit(self, *telecom: Telecom, reason: str | None = None, **changes: Any) -> str:
        """A new patient; `changes` are laid over the resource. `reason`: why this patient is never told."""
        patient_id = f"pat-{len(self.patients) + 1:06d}"
        script, given, family = self.registry.name()
        language = script.language if script.language != "de" else self._language()
        birth_date = date(1930, 1, 1) + timedelta(days=self.rng.randrange(34_000))
        self.patients[patient_id] = (
            resources.patient(
                patient_id,
                given=given,
                family=family,
                language=language,
                telecom=telecom,
                birth_date=birth_date.isoformat(),
                updated=self.updated,
            )
            | changes
        )
        if reason is not None:
            self.reasons[patient_id] = reason
        return patient_id

    def book(self, patient_id: str, *, status: str = "booked", at: time | None = None) -> Row:
        """An appointment of this patient on the ward's day; any status but booked is a reason not to tell."""
        appointment_id = f"apt-{len(self.rows) + 1:06d}"
        start = self._instant(at or time(self.rng.randrange(7, 18), self.rng.randrange(0, 60, 5)))
        resource = resources.appointment(
            appointment_id,
            patient_id=patient_id,
            location=self.rng.choice([place for place in self.places.values() if "name" in place]),
            status=status,
            start=start,
            end=start + timedelta(minutes=self.rng.choice((15, 20, 30, 45, 60))),
            clinical=self.rng.choice(resources.CLINICAL_TEXTS),
            updated=self.updated + timedelta(seconds=len(self.rows)),
        )
        reason = NOT_TOLD[status] or self.reasons.get(patient_id)
        row = Row(resource, patient_id, start.astimezone(UTC), reason)
        self.rows[appointment_id] = row
        return row

    def _instant(self, at: time) -> datetime:
        """Most rows carry the hospital's offset, some are written in UTC; a time that the clocks skip moves on."""
        instant = datetime.combine(self.day, at, tzinfo=self.timezone).astimezone(UTC)
        return instant if self.rng.random() < 0.1 else instant.astimezone(self.timezone)

    def _language(self) -> str:
        return self.rng.choices(_LANGUAGES, weights=_LANGUAGE_WEIGHTS)[0]
