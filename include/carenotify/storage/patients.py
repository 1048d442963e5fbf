"""Patients: what of them is stored sealed, and how it is read back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from carenotify.domain.patient import ContactPoint, Patient
from carenotify.errors import DecryptionError
from carenotify.storage.database import Transaction
from carenotify.storage.sealed import Sealer

# The surviving record `p` of the person behind the record `named`, and the ids of all of their records in `person`.
# Most records were never merged, and spare the function's price. OFFSET 0: it is called once a row, and not once for
# each place that names its answer.
PERSON_JOINS = """
    LEFT JOIN LATERAL (
        SELECT CASE
            WHEN named.merged_into IS NULL AND NOT EXISTS (SELECT FROM patients r WHERE r.merged_into = named.id)
            THEN ARRAY[named.id] ELSE person_records(named.id)
        END AS ids OFFSET 0
    ) person ON true
    LEFT JOIN patients p ON p.id = person.ids[1]
"""


def seal_contact(patient: Patient, sealer: Sealer) -> bytes:
    """The column `sealed_contact`: given name and addresses."""
    return sealer.seal(
        {"given_name": patient.given_name, "contacts": [asdict(contact) for contact in patient.contacts]}
    )


def address_indexes(patient: Patient, sealer: Sealer) -> list[bytes]:
    """The column `address_indexes`: one blind index for every address, whatever it is used for."""
    return [sealer.index(contact.value) for contact in patient.contacts]


def open_patient(
    *,
    patient_id: str,
    sealed_contact: bytes,
    language: str | None,
    deceased: bool,
    merged_into: str | None,
    sealer: Sealer,
) -> Patient:
    """A patient from the columns of its row. Raises DecryptionError."""
    opened = sealer.open(sealed_contact)
    return Patient(
        id=patient_id,
        given_name=opened["given_name"],
        language=language,
        contacts=tuple(_contact(contact) for contact in opened["contacts"]),
        deceased=deceased,
        merged_into=merged_into,
    )


def _contact(stored: dict[str, Any]) -> ContactPoint:
    days = {name: _day(stored[name]) for name in ("valid_from", "valid_until")}
    return ContactPoint(**{**stored, **days})


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


@dataclass(frozen=True, slots=True)
class LoadedPatient:
    """A patient as a load brings it. `fetched_at` is when the source answered."""

    patient: Patient
    fetched_at: datetime


_INCOMING = """
CREATE TEMP TABLE incoming_patients (
    id text PRIMARY KEY, sealed_contact bytea, language text, deceased boolean, merged_into text,
    address_indexes bytea[], content_hash bytea, fetched_at timestamptz
) ON COMMIT DROP
"""

_COPY = """
COPY incoming_patients
    (id, sealed_contact, language, deceased, merged_into, address_indexes, content_hash, fetched_at)
FROM STDIN
"""

_UPSERT = """
INSERT INTO patients AS known
    (id, sealed_contact, language, deceased, merged_into, address_indexes, content_hash, fetched_at)
SELECT id, sealed_contact, language, deceased, merged_into, address_indexes, content_hash, fetched_at
FROM incoming_patients
WHERE sealed_contact IS NOT NULL
ON CONFLICT (id) DO UPDATE
SET sealed_contact = excluded.sealed_contact, language = excluded.language, deceased = excluded.deceased,
    merged_into = excluded.merged_into, address_indexes = excluded.address_indexes,
    content_hash = excluded.content_hash, fetched_at = excluded.fetched_at, updated_at = now()
WHERE known.fetched_at < excluded.fetched_at AND known.content_hash <> excluded.content_hash
"""

_SEEN_AGAIN = """
UPDATE patients AS known SET fetched_at = incoming.fetched_at
FROM incoming_patients AS incoming
WHERE known.id = incoming.id AND known.content_hash = incoming.content_hash
  AND known.fetched_at < incoming.fetched_at
"""

_LATEST = "SELECT sealed_contact FROM patients ORDER BY updated_at DESC LIMIT 100"


def upsert_patients(transaction: Transaction, sealer: Sealer, loaded: Mapping[str, LoadedPatient]) -> int:
    """Take over what a load says of patients; gives how many are new or changed.

    An older answer never overwrites a newer one. Only what changed is sealed again.
    """
    found = transaction.execute("SELECT id, content_hash FROM patients WHERE id = ANY (%s)", (list(loaded),))
    known: dict[str, bytes] = dict(found.fetchall())
    transaction.execute(_INCOMING)
    with transaction.cursor() as cursor, cursor.copy(_COPY) as copy:
        for row in loaded.values():
            copy.write_row(_columns(row, sealer, known.get(row.patient.id)))
    changed = transaction.execute(_UPSERT).rowcount
    transaction.execute(_SEEN_AGAIN)
    return changed


def refuse_wrong_keys(transaction: Transaction, sealer: Sealer) -> None:
    """Raise DecryptionError when none of the records written last can be opened.

    Whoever finds nothing but records that cannot be opened asks here before they are given up: one spoilt record is
    nobody's trouble but its patient's, but with the wrong keys everybody would be given up.
    """
    for (sealed,) in transaction.execute(_LATEST):
        with suppress(DecryptionError):
            sealer.open(sealed)
            return
    raise DecryptionError("no patient's record can be opened; is CARENOTIFY_ENCRYPTION_KEYS the list that it was?")


def known_patient_ids(transaction: Transaction, patient_ids: Collection[str]) -> set[str]:
    """Which of these patients are stored."""
    found = transaction.execute("SELECT id FROM patients WHERE id = ANY (%s)", (list(patient_ids),))
    return {row[0] for row in found}


def _columns(row: LoadedPatient, sealer: Sealer, known_hash: bytes | None) -> tuple[object, ...]:
    patient = row.patient
    content_hash = sealer.fingerprint(asdict(patient))
    unchanged = content_hash == known_hash
    return (
        patient.id,
        None if unchanged else seal_contact(patient, sealer),
        patient.language,
        patient.deceased,
        patient.merged_into,
        None if unchanged else address_indexes(patient, sealer),
        content_hash,
        row.fetched_at,
    )


def suppressed_addresses(patient: Patient, suppressed: Sequence[bytes], sealer: Sealer) -> frozenset[str]:
    """Which of a patient's addresses stand on the suppression list, given the list's entries that are theirs."""
    if not suppressed:
        return frozenset()
    return frozenset(contact.value for contact in patient.contacts if sealer.index(contact.value) in suppressed)
