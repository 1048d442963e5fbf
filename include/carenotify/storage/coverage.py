"""The patients who have an appointment ahead, with what is known of how to reach them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from carenotify.domain.patient import Patient
from carenotify.errors import DecryptionError
from carenotify.storage.database import Transaction
from carenotify.storage.patients import PERSON_JOINS, open_patient, suppressed_addresses
from carenotify.storage.sealed import Sealer

_CHUNK = 500

# Whose records were merged is one patient, and nobody is counted twice; of one whom nobody copied, nothing is known.
# Most records were never merged, and the survivor is not looked for in each.
_AHEAD = f"""
WITH ahead AS MATERIALIZED (
    SELECT DISTINCT patient_id FROM appointments WHERE status = 'booked' AND start_at > %(now)s
),
patient AS MATERIALIZED (
    SELECT ahead.patient_id AS id
    FROM ahead
    LEFT JOIN patients named ON named.id = ahead.patient_id
    WHERE named.merged_into IS NULL
    UNION
    SELECT COALESCE(p.id, named.id)
    FROM ahead
    JOIN patients named ON named.id = ahead.patient_id AND named.merged_into IS NOT NULL
    {PERSON_JOINS}
)
SELECT patient.id, p.sealed_contact,
       ARRAY(SELECT s.address_index FROM suppressions s WHERE s.address_index = ANY(p.address_indexes))
FROM patient
LEFT JOIN patients p ON p.id = patient.id
"""


class Ahead(NamedTuple):
    """A patient with an appointment ahead; None when nothing of them can be known. Nothing is sent to `refused`."""

    patient: Patient | None
    refused: frozenset[str]


def patients_ahead(transaction: Transaction, *, now: datetime, sealer: Sealer) -> Iterator[Ahead]:
    """Every patient with an appointment that is booked and ahead, a few hundred at a time."""
    with transaction.cursor(name="patients_ahead") as cursor:
        cursor.itersize = _CHUNK
        for patient_id, sealed, suppressed in cursor.execute(_AHEAD, {"now": now}):
            patient = None if sealed is None else _open(patient_id, sealed, sealer)
            refused = frozenset() if patient is None else suppressed_addresses(patient, suppressed, sealer)
            yield Ahead(patient, refused)


def _open(patient_id: str, sealed: bytes, sealer: Sealer) -> Patient | None:
    try:
        return open_patient(
            patient_id=patient_id, sealed_contact=sealed, language=None, deceased=False, merged_into=None, sealer=sealer
        )
    except DecryptionError:
        return None
