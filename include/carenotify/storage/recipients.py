"""A patient with the wishes and the suppressed addresses that decide how to tell them something."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from carenotify.domain.appointment import Appointment
from carenotify.domain.notification import Channel
from carenotify.domain.patient import Patient, Preferences
from carenotify.domain.schedule import Candidate
from carenotify.errors import DecryptionError
from carenotify.storage.database import Transaction
from carenotify.storage.patients import PERSON_JOINS, open_patient, suppressed_addresses
from carenotify.storage.sealed import Sealer


@dataclass(frozen=True, slots=True)
class Recipient:
    """`refused_addresses` stand on the suppression list. Of an `unreadable` one, name and addresses are not known."""

    patient: Patient
    preferences: Preferences
    refused_addresses: frozenset[str]
    unreadable: bool = False


# Of the surviving record, when the named one was merged into it, with what was wished under any record of the person:
# an opt-out, or a death, that was noted on another record counts. All null where nobody copied the patient yet.
RECIPIENT_COLUMNS = """
    p.id, p.sealed_contact, p.language,
    (SELECT bool_or(r.deceased) FROM patients r WHERE r.id = ANY(person.ids)), p.merged_into,
    COALESCE(
        (SELECT q.channels FROM preferences q WHERE q.patient_id = ANY(person.ids) AND q.channels <> '{}'
         ORDER BY q.patient_id <> p.id, q.updated_at DESC LIMIT 1), '{}'),
    (SELECT q.language FROM preferences q WHERE q.patient_id = ANY(person.ids) AND q.language IS NOT NULL
     ORDER BY q.patient_id <> p.id, q.updated_at DESC LIMIT 1),
    ARRAY(SELECT unnest(q.opted_out_channels) FROM preferences q WHERE q.patient_id = ANY(person.ids)),
    ARRAY(SELECT unnest(q.opted_out_kinds) FROM preferences q WHERE q.patient_id = ANY(person.ids)),
    ARRAY(SELECT s.address_index FROM suppressions s WHERE s.address_index = ANY(p.address_indexes))
"""
_BY_ID = f"SELECT named.id, {RECIPIENT_COLUMNS} FROM patients named {PERSON_JOINS} WHERE named.id = ANY (%s)"


def candidate_for(appointment: Appointment, recipient: Recipient | None, *, in_quarantine: bool = False) -> Candidate:
    """The appointment with whoever is to be told of it."""
    if recipient is None:
        return Candidate(appointment, None, Preferences(), in_quarantine=in_quarantine)
    return Candidate(
        appointment,
        recipient.patient,
        recipient.preferences,
        recipient.refused_addresses,
        in_quarantine=in_quarantine,
        unreadable=recipient.unreadable,
    )


def open_recipient(columns: Sequence[Any], sealer: Sealer) -> Recipient | None:
    """The recipient of RECIPIENT_COLUMNS; None when there is no such patient.

    A record that cannot be decrypted is the trouble of one patient, and no error here.
    """
    patient_id, sealed, language, deceased, merged_into, channels, wanted, no_channels, no_kinds, suppressed = columns
    if patient_id is None:
        return None
    preferences = Preferences(
        tuple(Channel(channel) for channel in channels),
        wanted,
        frozenset(Channel(channel) for channel in no_channels),
        frozenset(no_kinds),
    )
    try:
        patient = open_patient(
            patient_id=patient_id,
            sealed_contact=sealed,
            language=language,
            deceased=deceased,
            merged_into=merged_into,
            sealer=sealer,
        )
    except DecryptionError:
        patient = Patient(patient_id, None, language, deceased=deceased, merged_into=merged_into)
        return Recipient(patient, preferences, frozenset(), unreadable=True)
    return Recipient(patient, preferences, suppressed_addresses(patient, suppressed, sealer))


def read_recipient(transaction: Transaction, patient_id: str, *, sealer: Sealer) -> Recipient | None:
    """The recipient behind a patient id; None when nobody copied that patient yet."""
    return read_recipients(transaction, [patient_id], sealer=sealer).get(patient_id)


def read_recipients(transaction: Transaction, patient_ids: Collection[str], *, sealer: Sealer) -> dict[str, Recipient]:
    """The recipients behind these patient ids, without those whom nobody copied yet."""
    found = ((row[0], open_recipient(row[1:], sealer)) for row in transaction.execute(_BY_ID, (list(patient_ids),)))
    return {patient_id: recipient for patient_id, recipient in found if recipient is not None}
