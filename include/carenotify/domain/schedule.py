"""Who is reminded of what: one digest for a patient, a day and a channel, or a reason why not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from carenotify.domain.appointment import Appointment, AppointmentStatus
from carenotify.domain.kinds import Kind
from carenotify.domain.notification import Channel
from carenotify.domain.patient import Patient, Preferences, addresses, channels_for
from carenotify.domain.window import local_day


@dataclass(frozen=True, slots=True)
class Candidate:
    """An appointment that nobody was reminded of as it stands now. `patient` is None when it was never copied.

    `in_quarantine`: the source said something newer of it that could not be read. `unreadable`: of the patient no more
    is known than the id and what was wished, for the stored record cannot be decrypted.
    """

    appointment: Appointment
    patient: Patient | None
    preferences: Preferences
    refused_addresses: frozenset[str] = frozenset()
    in_quarantine: bool = False
    unreadable: bool = False

    @property
    def languages(self) -> tuple[str | None, ...]:
        """The languages to tell the patient in, best first."""
        return (self.preferences.language, self.patient.language if self.patient else None)


@dataclass(frozen=True, slots=True)
class Digest:
    """One message to plan: every appointment of one patient on one local day, earliest first."""

    patient: Patient
    appointment_day: date
    channel: Channel
    wanted_language: str | None
    appointments: tuple[Appointment, ...]

    @property
    def identity(self) -> str:
        """What makes it this digest and no other, whatever its channel."""
        return digest_identity(self.patient.id, self.appointment_day)


def digest_identity(patient_id: str, appointment_day: date) -> str:
    """The digest of a patient's local day; generations of it are told apart when it is stored."""
    return f"{patient_id}:{appointment_day.isoformat()}"


@dataclass(frozen=True, slots=True)
class Skip:
    """Appointments of a patient's day that are not told about, and why."""

    patient_id: str
    appointment_day: date
    reason: str
    appointments: int


@dataclass(slots=True)
class Plan:
    """`due` counts appointments, `patient_days` what should be told once skips are taken away."""

    digests: list[Digest] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    due: int = 0
    patient_days: int = 0

    @property
    def skipped(self) -> Counter[str]:
        """Appointments by the reason for which they are not told about."""
        counts: Counter[str] = Counter()
        for skip in self.skips:
            counts[skip.reason] += skip.appointments
        return counts


@dataclass(frozen=True, slots=True)
class ReminderRules:
    """What the hospital decided, and the moment of planning."""

    kind: Kind
    timezone: ZoneInfo
    default_channels: Sequence[Channel]
    day: date
    now: datetime


_NOT_TOLD = {
    AppointmentStatus.CANCELLED: "cancelled",
    AppointmentStatus.NO_SHOW: "no_show",
    AppointmentStatus.ENTERED_IN_ERROR: "entered_in_error",
    AppointmentStatus.PROPOSED: "not_booked",
    AppointmentStatus.PENDING: "not_booked",
    AppointmentStatus.WAITLIST: "not_booked",
}
UNREADABLE = "unreadable"
# Reasons that cannot explain why a booked appointment still to come is not told about; all others can.
REASONS_OF_APPOINTMENTS = frozenset({*_NOT_TOLD.values(), "past"})


def plan_digests(candidates: Iterable[Candidate], rules: ReminderRules) -> Plan:
    """Gather candidates into digests, and count what is left out by reason."""
    by_patient_day: defaultdict[tuple[str, date], list[Candidate]] = defaultdict(list)
    skips: Counter[tuple[str, date, str]] = Counter()
    for candidate in candidates:
        patient_id = candidate.patient.id if candidate.patient else candidate.appointment.patient_id
        patient_day = (patient_id, local_day(candidate.appointment.start, rules.timezone))
        reason = skip_reason(candidate, rules)
        if reason is None:
            by_patient_day[patient_day].append(candidate)
        else:
            skips[(*patient_day, reason)] += 1
    plan = Plan(skips=[Skip(*key, appointments) for key, appointments in skips.items()])
    for (_, appointment_day), told in by_patient_day.items():
        plan.digests.extend(_digests(told, appointment_day, rules))
        plan.due += len(told)
        plan.patient_days += 1
    return plan


def skip_reason(candidate: Candidate, rules: ReminderRules) -> str | None:
    """Why nobody is told about this appointment, or None when somebody should be."""
    appointment, patient = candidate.appointment, candidate.patient
    if not rules.kind.tells_about(appointment.status, appointment.start, rules.now):
        return _NOT_TOLD.get(appointment.status, "past")
    if candidate.in_quarantine:
        return "in_quarantine"
    if patient is None:
        return "patient_unknown"
    if patient.deceased:
        return "deceased"
    if candidate.preferences.opted_out_kinds & {rules.kind.name, "*"}:
        return "opted_out"
    if candidate.unreadable:
        return UNREADABLE
    if channels_of(candidate, rules):
        return None
    return _why_unreachable(patient, rules)


def _why_unreachable(patient: Patient, rules: ReminderRules) -> str:
    if not patient.contacts:
        return "no_contact"
    usable = [channel for channel in Channel if addresses(patient, channel, rules.day)]
    return "opted_out" if usable else "no_usable_address"


def channels_of(candidate: Candidate, rules: ReminderRules) -> tuple[Channel, ...]:
    """Channels of the kind that the patient can be reached on, with an address that is not suppressed."""
    if candidate.patient is None:
        return ()
    reachable = without_addresses(candidate.patient, candidate.refused_addresses)
    channels = channels_for(reachable, candidate.preferences, rules.default_channels, rules.day)
    return tuple(channel for channel in channels if channel in rules.kind.channels)


def without_addresses(patient: Patient, refused: frozenset[str]) -> Patient:
    """The patient as if the refused addresses were not there."""
    if not refused:
        return patient
    kept = tuple(contact for contact in patient.contacts if contact.value not in refused)
    return Patient(patient.id, patient.given_name, patient.language, kept, patient.deceased, patient.merged_into)


def _digests(told: list[Candidate], appointment_day: date, rules: ReminderRules) -> list[Digest]:
    first = told[0]
    if first.patient is None:
        return []
    appointments = tuple(
        sorted(
            (candidate.appointment for candidate in told), key=lambda appointment: (appointment.start, appointment.id)
        )
    )
    return [
        Digest(
            first.patient,
            appointment_day,
            channel,
            first.preferences.language or first.patient.language,
            appointments,
        )
        for channel in channels_of(first, rules)
    ]
