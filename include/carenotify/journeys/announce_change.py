"""Tell a patient of a change: what is pending is superseded, and the new message takes its place."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import uuid6

from carenotify.config import Settings
from carenotify.domain.appointment import Appointment
from carenotify.domain.event import EventOutcome
from carenotify.domain.kinds import CANCELLED, REMINDER, AppointmentLine, ChangeData, Kind, ReminderData
from carenotify.domain.notification import Channel
from carenotify.domain.patient import Patient, Preferences
from carenotify.domain.schedule import Candidate, ReminderRules, channels_of, skip_reason
from carenotify.domain.window import local_day
from carenotify.journeys.choose_wording import Wordings
from carenotify.storage import change_events, notifications
from carenotify.storage.database import Transaction
from carenotify.storage.notifications import NewNotification, Superseded
from carenotify.storage.recipients import Recipient, read_recipient
from carenotify.storage.sealed import Sealer

AWAITING_CONTACT = "awaiting_contact"


@dataclass(frozen=True, slots=True)
class Announcement:
    """What came of a change. `reason` says why nobody is told, or what the message waits for."""

    outcome: EventOutcome
    reason: str | None = None
    notification_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What changed. `event_id` makes its notifications the only ones of that change."""

    event_id: str
    kind: Kind
    old: Appointment | None
    new: Appointment


@dataclass(frozen=True, slots=True)
class ChangeAnnouncer:
    """Announces changes inside a transaction that somebody else opened."""

    settings: Settings
    sealer: Sealer

    def announce(self, transaction: Transaction, change: Change, *, now: datetime) -> Announcement:
        """Supersede what is pending about the appointment, and insert what its patient is to be told instead."""
        for stopped in notifications.supersede(transaction, change.new.id, now=now):
            self._tell_the_rest(transaction, stopped, without=change.new.id, now=now)
        recipient = read_recipient(transaction, change.new.patient_id, sealer=self.sealer)
        rules = ReminderRules(
            change.kind,
            self.settings.timezone,
            self.settings.default_channels,
            local_day(now, self.settings.timezone),
            now,
        )
        candidate = _candidate(change.new, recipient)
        reason = skip_reason(candidate, rules)
        wordings = Wordings.of(transaction, change.kind, default_language=self.settings.default_language)
        if reason == "patient_unknown":
            channels: Sequence[Channel] = self.settings.default_channels[:1]
            outcome = Announcement(EventOutcome.AWAITING_CONTACT, AWAITING_CONTACT)
        elif reason is not None:
            return Announcement(EventOutcome.NOT_TOLD, reason)
        else:
            channels = channels_of(candidate, rules)
            outcome = Announcement(EventOutcome.NOTIFIED)
        rows = [self._row(change, channel, candidate, wordings, reason=outcome.reason, now=now) for channel in channels]
        notifications.insert(transaction, rows, sealer=self.sealer)
        return Announcement(outcome.outcome, outcome.reason, tuple(row.id for row in rows))

    def _row(
        self,
        change: Change,
        channel: Channel,
        candidate: Candidate,
        wordings: Wordings,
        *,
        reason: str | None,
        now: datetime,
    ) -> NewNotification:
        patient = candidate.patient
        return NewNotification(
            id=uuid6.uuid7(),
            digest_key=f"{change.kind.name}:{_digest(change.event_id)}:{channel.value}",
            kind=change.kind.name,
            lane=change.kind.lane,
            channel=channel,
            patient_id=change.new.patient_id if patient is None else patient.id,
            due_at=now,
            expires_at=change.new.start,
            template_version_id=wordings.choose(channel, *_languages(candidate)),
            data=change_data(change, patient),
            created_at=now,
            appointments=(change.new,),
            reason=reason,
        )

    def _tell_the_rest(self, transaction: Transaction, stopped: Superseded, *, without: str, now: datetime) -> None:
        """A superseded reminder of several appointments is replaced by one of those that stand as they stood."""
        others = [appointment_id for appointment_id in stopped.appointment_ids if appointment_id != without]
        if stopped.kind != REMINDER.name or not others:
            return
        known = [change_events.known(transaction, appointment_id) for appointment_id in sorted(others)]
        kept = tuple(
            sorted(
                (found.appointment for found in known if found and found.appointment.status in REMINDER.statuses),
                key=lambda appointment: (appointment.start, appointment.id),
            )
        )
        recipient = read_recipient(transaction, stopped.patient_id, sealer=self.sealer)
        if not kept or recipient is None:
            return
        day = local_day(kept[0].start, self.settings.timezone).isoformat()
        data = ReminderData(given_name=recipient.patient.given_name, appointments=tuple(_line(one) for one in kept))
        row = NewNotification(
            id=uuid6.uuid7(),
            digest_key=f"{REMINDER.name}:{stopped.patient_id}:{day}:{stopped.channel.value}",
            kind=REMINDER.name,
            lane=REMINDER.lane,
            channel=stopped.channel,
            patient_id=stopped.patient_id,
            due_at=stopped.due_at,
            expires_at=stopped.expires_at,
            template_version_id=stopped.template_version_id,
            data=data.model_dump(mode="json"),
            created_at=now,
            appointments=kept,
        )
        notifications.insert(transaction, [row], sealer=self.sealer)


def change_data(change: Change, patient: Patient | None) -> dict[str, Any]:
    """The wording's data of a change. Of a cancellation, what is known last is what does not take place."""
    cancelled = change.kind is CANCELLED
    old = change.old or (change.new if cancelled else None)
    data = ChangeData(
        given_name=patient.given_name if patient else None,
        old=_line(old) if old else None,
        new=None if cancelled else _line(change.new),
    )
    return data.model_dump(mode="json")


def _candidate(appointment: Appointment, recipient: Recipient | None) -> Candidate:
    if recipient is None:
        return Candidate(appointment, None, Preferences())
    return Candidate(appointment, recipient.patient, recipient.preferences, recipient.refused_addresses)


def _languages(candidate: Candidate) -> tuple[str | None, ...]:
    return (candidate.preferences.language, candidate.patient.language if candidate.patient else None)


def _line(appointment: Appointment) -> AppointmentLine:
    return AppointmentLine(start=appointment.start, venue=appointment.venue.name)


def _digest(event_id: str) -> str:
    """Event ids are the sender's, and may hold anything."""
    return hashlib.sha256(event_id.encode()).hexdigest()[:32]
