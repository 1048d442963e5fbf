"""Find out from the source who the patient is whom an event spoke of before any load did."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from carenotify.config import Settings
from carenotify.domain.clock import Clock
from carenotify.domain.kinds import KINDS, ChangeData
from carenotify.domain.patient import Patient
from carenotify.domain.schedule import Candidate, channels_of, skip_reason
from carenotify.errors import SourceError
from carenotify.journeys.announce_change import rules_at
from carenotify.journeys.choose_wording import Wordings
from carenotify.journeys.take_apart_row import patients_of
from carenotify.journeys.tell_patient import Telling
from carenotify.sources.base import AppointmentSource, SourceRow
from carenotify.storage import awaiting_contact, change_events, notifications
from carenotify.storage.awaiting_contact import Awaiting
from carenotify.storage.database import Database, Transaction
from carenotify.storage.patients import LoadedPatient, upsert_patients
from carenotify.storage.recipients import Recipient, candidate_for, read_recipient

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
        now, kind = self.clock(), KINDS[awaiting.kind]
        known = change_events.known(transaction, awaiting.appointment_id)
        if known is None:
            return
        candidate = candidate_for(known.appointment, recipient)
        rules = rules_at(now, kind, self.settings)
        reason = skip_reason(candidate, rules)
        if reason is not None:
            awaiting_contact.suppress(transaction, awaiting, reason=reason, now=now)
            return
        wordings = Wordings.of(transaction, kind, default_language=self.settings.default_language)
        telling = self._telling(awaiting, candidate, recipient.patient, now=now)
        first, *others = telling.on_each(channels_of(candidate, rules), wordings)
        if awaiting_contact.complete(transaction, awaiting, first, sealer=self.database.sealer):
            notifications.insert(transaction, others, sealer=self.database.sealer)

    def _telling(self, awaiting: Awaiting, candidate: Candidate, patient: Patient, *, now: datetime) -> Telling:
        data = ChangeData.model_validate(self.database.sealer.open(awaiting.sealed_data))
        return Telling(
            kind=KINDS[awaiting.kind],
            identity=awaiting.digest,
            patient_id=patient.id,
            data=data.model_copy(update={"given_name": patient.given_name}),
            due_at=now,
            expires_at=awaiting.expires_at,
            created_at=now,
            appointments=(candidate.appointment,),
            languages=candidate.languages,
        )
