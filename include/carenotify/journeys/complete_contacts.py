"""Find out from the source who the patient is whom an event spoke of before any load did."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import uuid6

from carenotify.config import Settings
from carenotify.domain.clock import Clock
from carenotify.domain.kinds import KINDS, ChangeData
from carenotify.domain.schedule import Candidate, ReminderRules, channels_of, skip_reason
from carenotify.domain.window import local_day
from carenotify.errors import SourceError
from carenotify.journeys.choose_wording import Wordings
from carenotify.journeys.take_apart_row import patients_of
from carenotify.sources.base import AppointmentSource, SourceRow
from carenotify.storage import awaiting_contact, change_events, notifications
from carenotify.storage.awaiting_contact import Awaiting
from carenotify.storage.database import Database, Transaction
from carenotify.storage.notifications import NewNotification
from carenotify.storage.patients import LoadedPatient, upsert_patients
from carenotify.storage.recipients import Recipient, read_recipient

log = logging.getLogger(__name__)

_AT_ONCE = 20
# Two seconds, doubling to five minutes: about half an hour, in which a registration reaches the source.
_TRIES = 14


@dataclass(frozen=True, slots=True)
class ContactCompleter:
    """Completes notifications that wait for a contact. Any number of workers may do so at once."""

    database: Database
    source: Callable[[], AppointmentSource]
    settings: Settings
    clock: Clock

    def complete(self) -> int:
        """Try everything that waits and whose turn it is; returns how many were settled."""
        with self.database.transaction() as transaction:
            waiting = awaiting_contact.lease(transaction, now=self.clock(), limit=_AT_ONCE)
        return sum(self._complete(one) for one in waiting)

    def _complete(self, awaiting: Awaiting) -> bool:
        if not self._is_known(awaiting.patient_id) and not self._fetch(awaiting):
            return self._give_up(awaiting) if awaiting.tries >= _TRIES else False
        with self.database.transaction() as transaction:
            recipient = read_recipient(transaction, awaiting.patient_id, sealer=self.database.sealer)
            if recipient is not None:
                self._settle(transaction, awaiting, recipient)
        return recipient is not None

    def _is_known(self, patient_id: str) -> bool:
        with self.database.transaction() as transaction:
            return read_recipient(transaction, patient_id, sealer=self.database.sealer) is not None

    def _fetch(self, awaiting: Awaiting) -> bool:
        """Copy the patient from the source. False when it does not know such a patient, or cannot say now."""
        try:
            given = self.source().patients(awaiting.patient_id)
        except SourceError as error:
            log.warning("notification %s still waits for a contact: %s", awaiting.id, error)
            return False
        now = self.clock()
        found = patients_of(SourceRow(awaiting.appointment_id, patients=given), bad_contacts=())
        with self.database.transaction() as transaction:
            upsert_patients(
                transaction, self.database.sealer, {patient.id: LoadedPatient(patient, now) for patient in found}
            )
        return bool(found)

    def _give_up(self, awaiting: Awaiting) -> bool:
        log.error("notification %s: the source knows no such patient; it is a dead letter", awaiting.id)
        with self.database.transaction() as transaction:
            awaiting_contact.give_up(transaction, awaiting, now=self.clock())
        return True

    def _settle(self, transaction: Transaction, awaiting: Awaiting, recipient: Recipient) -> None:
        now, zone, kind = self.clock(), self.settings.timezone, KINDS[awaiting.kind]
        known = change_events.known(transaction, awaiting.appointment_id)
        if known is None:
            return
        candidate = Candidate(known.appointment, recipient.patient, recipient.preferences, recipient.refused_addresses)
        rules = ReminderRules(kind, zone, self.settings.default_channels, local_day(now, zone), now)
        reason = skip_reason(candidate, rules)
        if reason is not None:
            awaiting_contact.suppress(transaction, awaiting, reason=reason, now=now)
            return
        wordings = Wordings.of(transaction, kind, default_language=self.settings.default_language)
        languages = (recipient.preferences.language, recipient.patient.language)
        sealer = self.database.sealer
        data = ChangeData.model_validate(sealer.open(awaiting.sealed_data)).model_copy(
            update={"given_name": recipient.patient.given_name}
        )
        told = data.model_dump(mode="json")
        first, *others = channels_of(candidate, rules)
        ours = awaiting_contact.complete(
            transaction,
            awaiting,
            patient_id=recipient.patient.id,
            channel=first,
            template_version_id=wordings.choose(first, *languages),
            sealed_data=sealer.seal(told),
            now=now,
        )
        rows = [
            NewNotification(
                id=uuid6.uuid7(),
                digest_key=f"{kind.name}:{awaiting.digest}:{channel.value}",
                kind=kind.name,
                lane=kind.lane,
                channel=channel,
                patient_id=recipient.patient.id,
                due_at=now,
                expires_at=awaiting.expires_at,
                template_version_id=wordings.choose(channel, *languages),
                data=told,
                created_at=now,
                appointments=(known.appointment,),
            )
            for channel in others
        ]
        if ours:
            notifications.insert(transaction, rows, sealer=sealer)
