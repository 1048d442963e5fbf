"""Tell a patient of a change: what is pending is superseded, and the new message takes its place."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from carenotify.config import Settings
from carenotify.domain.appointment import Appointment
from carenotify.domain.event import EventOutcome
from carenotify.domain.kinds import CANCELLED, REMINDER, AppointmentLine, ChangeData, Kind, ReminderData
from carenotify.domain.notification import Channel
from carenotify.domain.patient import Patient
from carenotify.domain.schedule import Candidate, ReminderRules, channels_of, digest_identity, skip_reason
from carenotify.domain.window import local_day
from carenotify.journeys.choose_wording import Wordings
from carenotify.journeys.tell_patient import Telling
from carenotify.storage import change_events, notifications
from carenotify.storage.database import Transaction
from carenotify.storage.notifications import Superseded
from carenotify.storage.recipients import candidate_for, read_recipient
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
        candidate = candidate_for(change.new, recipient)
        rules = rules_at(now, change.kind, self.settings)
        reason = skip_reason(candidate, rules)
        if reason is None:
            return self._tell(transaction, change, candidate, channels_of(candidate, rules), now=now)
        if reason == "patient_unknown":
            return self._tell_once_known(transaction, change, candidate, now=now)
        return Announcement(EventOutcome.NOT_TOLD, reason)

    def _tell(
        self,
        transaction: Transaction,
        change: Change,
        candidate: Candidate,
        channels: Sequence[Channel],
        *,
        now: datetime,
        waits_for: str | None = None,
    ) -> Announcement:
        telling = Telling(
            kind=change.kind,
            identity=_digest(change.event_id),
            patient_id=candidate.patient.id if candidate.patient else change.new.patient_id,
            data=change_data(change, candidate.patient),
            due_at=now,
            expires_at=change.new.start,
            created_at=now,
            appointments=(change.new,),
            languages=candidate.languages,
            reason=waits_for,
        )
        wordings = Wordings.of(transaction, change.kind, default_language=self.settings.default_language)
        rows = telling.on_each(channels, wordings)
        notifications.insert(transaction, rows, sealer=self.sealer)
        return Announcement(EventOutcome.NOTIFIED, waits_for, tuple(row.id for row in rows))

    def _tell_once_known(
        self, transaction: Transaction, change: Change, candidate: Candidate, *, now: datetime
    ) -> Announcement:
        """A row that waits for its patient's record; the channels that it will go out on are known only then."""
        channels = self.settings.default_channels[:1]
        told = self._tell(transaction, change, candidate, channels, now=now, waits_for=AWAITING_CONTACT)
        return replace(told, outcome=EventOutcome.AWAITING_CONTACT)

    def _tell_the_rest(self, transaction: Transaction, stopped: Superseded, *, without: str, now: datetime) -> None:
        """A superseded reminder of several appointments is replaced by one of those that stand as they stood."""
        others = [appointment_id for appointment_id in stopped.appointment_ids if appointment_id != without]
        if stopped.kind != REMINDER.name or not others:
            return
        kept = _still_reminded(transaction, others)
        recipient = read_recipient(transaction, stopped.patient_id, sealer=self.sealer)
        if not kept or recipient is None or recipient.unreadable:
            return
        telling = Telling(
            kind=REMINDER,
            identity=digest_identity(stopped.patient_id, local_day(kept[0].start, self.settings.timezone)),
            patient_id=stopped.patient_id,
            data=ReminderData(
                given_name=recipient.patient.given_name, appointments=tuple(AppointmentLine.of(one) for one in kept)
            ),
            due_at=stopped.due_at,
            expires_at=stopped.expires_at,
            created_at=now,
            appointments=kept,
        )
        row = telling.on(stopped.channel, template_version_id=stopped.template_version_id)
        notifications.insert(transaction, [row], sealer=self.sealer)


def rules_at(now: datetime, kind: Kind, settings: Settings) -> ReminderRules:
    """What decides who is told of a change that becomes known now."""
    return ReminderRules(kind, settings.timezone, settings.default_channels, local_day(now, settings.timezone), now)


def change_data(change: Change, patient: Patient | None) -> ChangeData:
    """The wording's data of a change. Of a cancellation, what is known last is what does not take place."""
    cancelled = change.kind is CANCELLED
    old = change.old or (change.new if cancelled else None)
    return ChangeData(
        given_name=patient.given_name if patient else None,
        old=AppointmentLine.of(old) if old else None,
        new=None if cancelled else AppointmentLine.of(change.new),
    )


def _still_reminded(transaction: Transaction, appointment_ids: Sequence[str]) -> tuple[Appointment, ...]:
    """Those of these appointments that a reminder would tell, the earliest first."""
    known = [change_events.known(transaction, appointment_id) for appointment_id in sorted(appointment_ids)]
    kept = [found.appointment for found in known if found and found.appointment.status in REMINDER.statuses]
    return tuple(sorted(kept, key=lambda appointment: (appointment.start, appointment.id)))


def _digest(event_id: str) -> str:
    """Event ids are the sender's, and may hold anything."""
    return hashlib.sha256(event_id.encode()).hexdigest()[:32]
