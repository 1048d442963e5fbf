"""Tell patients of changes: what is pending is superseded, and the new message takes its place."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from carenotify.config import Settings
from carenotify.domain.appointment import Appointment
from carenotify.domain.event import EventOutcome
from carenotify.domain.kinds import CANCELLED, REMINDER, AppointmentLine, ChangeData, Kind, ReminderData
from carenotify.domain.patient import Patient
from carenotify.domain.schedule import Candidate, ReminderRules, channels_of, digest_identity, skip_reason
from carenotify.domain.window import local_day
from carenotify.journeys.choose_wording import Wordings
from carenotify.journeys.tell_patient import Telling
from carenotify.storage import change_events, notifications
from carenotify.storage.database import Transaction
from carenotify.storage.notifications import NewNotification, Superseded
from carenotify.storage.recipients import Recipient, candidate_for, read_recipients
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
class _Decision:
    """What is to come of a change: rows to insert, or a reason why there are none."""

    outcome: EventOutcome
    reason: str | None = None
    rows: Sequence[NewNotification] = ()


@dataclass(frozen=True, slots=True)
class ChangeAnnouncer:
    """Announces changes inside a transaction that somebody else opened."""

    settings: Settings
    sealer: Sealer

    def announce(self, transaction: Transaction, changes: Sequence[Change], *, now: datetime) -> list[Announcement]:
        """Supersede what is pending about these appointments, and insert what their patients are to be told instead.

        One answer for each change, in their order. The same few statements, however many changes there are.
        """
        stopped = notifications.supersede(transaction, [change.new.id for change in changes], now=now)
        rest = self._rest(transaction, stopped, without=frozenset(change.new.id for change in changes), now=now)
        patient_ids = {change.new.patient_id for change in changes}
        recipients = read_recipients(transaction, patient_ids, sealer=self.sealer)
        wordings = {kind: self._wordings(transaction, kind) for kind in {change.kind for change in changes}}
        decisions = [
            self._decide(change, recipients.get(change.new.patient_id), wordings[change.kind], now=now)
            for change in changes
        ]
        told = [row for decision in decisions for row in decision.rows]
        notifications.insert(transaction, [*rest, *told], sealer=self.sealer)
        return [
            Announcement(decision.outcome, decision.reason, tuple(row.id for row in decision.rows))
            for decision in decisions
        ]

    def _wordings(self, transaction: Transaction, kind: Kind) -> Wordings:
        return Wordings.of(transaction, kind, default_language=self.settings.default_language)

    def _decide(self, change: Change, recipient: Recipient | None, wordings: Wordings, *, now: datetime) -> _Decision:
        candidate = candidate_for(change.new, recipient)
        rules = rules_at(now, change.kind, self.settings)
        reason = skip_reason(candidate, rules)
        telling = _telling(change, candidate, now=now)
        if reason is None:
            return _Decision(EventOutcome.NOTIFIED, rows=telling.on_each(channels_of(candidate, rules), wordings))
        if reason == "patient_unknown":
            # On which channels is known only when the patient is; until then one row waits.
            waiting = replace(telling, reason=AWAITING_CONTACT).on_each(self.settings.default_channels[:1], wordings)
            return _Decision(EventOutcome.AWAITING_CONTACT, AWAITING_CONTACT, waiting)
        return _Decision(EventOutcome.NOT_TOLD, reason)

    def _rest(
        self, transaction: Transaction, stopped: Sequence[Superseded], *, without: frozenset[str], now: datetime
    ) -> list[NewNotification]:
        """A superseded reminder of several appointments is replaced by one of those that stand as they stood."""
        cut = [one for one in stopped if one.kind == REMINDER.name and not without.issuperset(one.appointment_ids)]
        if not cut:
            return []
        others = {appointment_id for one in cut for appointment_id in one.appointment_ids} - without
        known = change_events.all_known(transaction, others)
        kept = {key: found.appointment for key, found in known.items() if found.appointment.status in REMINDER.statuses}
        recipients = read_recipients(transaction, {one.patient_id for one in cut}, sealer=self.sealer)
        found = [self._shortened(one, kept, recipients.get(one.patient_id), now=now) for one in cut]
        return [row for row in found if row is not None]

    def _shortened(
        self, stopped: Superseded, kept: Mapping[str, Appointment], recipient: Recipient | None, *, now: datetime
    ) -> NewNotification | None:
        """A reminder of those of its appointments that are kept."""
        ours = sorted(
            (kept[appointment_id] for appointment_id in stopped.appointment_ids if appointment_id in kept),
            key=lambda appointment: (appointment.start, appointment.id),
        )
        if not ours or recipient is None or recipient.unreadable:
            return None
        telling = Telling(
            kind=REMINDER,
            identity=digest_identity(stopped.patient_id, local_day(ours[0].start, self.settings.timezone)),
            patient_id=stopped.patient_id,
            data=ReminderData(
                given_name=recipient.patient.given_name, appointments=tuple(AppointmentLine.of(one) for one in ours)
            ),
            due_at=stopped.due_at,
            expires_at=stopped.expires_at,
            created_at=now,
            appointments=tuple(ours),
        )
        return telling.on(stopped.channel, template_version_id=stopped.template_version_id)


def _telling(change: Change, candidate: Candidate, *, now: datetime) -> Telling:
    return Telling(
        kind=change.kind,
        identity=_digest(change.event_id),
        patient_id=candidate.patient.id if candidate.patient else change.new.patient_id,
        data=change_data(change, candidate.patient),
        due_at=now,
        expires_at=change.new.start,
        created_at=now,
        appointments=(change.new,),
        languages=candidate.languages,
    )


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


def _digest(event_id: str) -> str:
    """Event ids are the sender's, and may hold anything."""
    return hashlib.sha256(event_id.encode()).hexdigest()[:32]
