"""What a load fetched, sealed, until it is checked and loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from carenotify.storage.database import Transaction
from carenotify.storage.sealed import Sealer

_CHUNK = 2000
# FHIR's limit; what is longer is no id, and would not fit an index either.
_LONGEST_ID = 64


@dataclass(frozen=True, slots=True)
class StagedRow:
    """A row as the source gave it. `bad_contacts` are positions of addresses that the gate leaves out."""

    row_id: int
    content: dict[str, Any]
    fetched_at: datetime
    verdict: str | None
    bad_contacts: tuple[int, ...]

    def __repr__(self) -> str:
        return f"StagedRow(row_id={self.row_id})"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says of one row: good, address_left_out, rejected or duplicate, with the rules it broke."""

    row_id: int
    verdict: str
    rules: tuple[str, ...] = ()
    bad_contacts: tuple[int, ...] = ()


_COPY = """
COPY staging_appointments (run_id, part, appointment_id, row_key, sealed_row, fetched_at) FROM STDIN
"""

_READ = """
SELECT row_id, sealed_row, fetched_at, verdict, bad_contacts FROM staging_appointments
WHERE run_id = %(run_id)s AND (%(verdicts)s::text[] IS NULL OR verdict = ANY (%(verdicts)s))
ORDER BY row_id
"""

_JUDGE = """
UPDATE staging_appointments AS staged
SET verdict = judged.verdict, rules = string_to_array(judged.rules, ','),
    bad_contacts = string_to_array(judged.bad_contacts, ',')::int[]
FROM unnest(%(row_ids)s::bigint[], %(verdicts)s::text[], %(rules)s::text[], %(bad_contacts)s::text[])
    AS judged (row_id, verdict, rules, bad_contacts)
WHERE staged.run_id = %(run_id)s AND staged.row_id = judged.row_id
"""


def clear_part(transaction: Transaction, *, run_id: str, part: str) -> None:
    """Forget what a task staged before, because it is run again."""
    transaction.execute("DELETE FROM staging_appointments WHERE run_id = %s AND part = %s", (run_id, part))


def stage_rows(
    transaction: Transaction,
    sealer: Sealer,
    *,
    run_id: str,
    part: str,
    rows: Iterable[tuple[dict[str, Any], datetime]],
) -> int:
    """Add rows, sealed, each with when the source gave it; gives how many."""
    count = 0
    with transaction.cursor() as cursor, cursor.copy(_COPY) as copy:
        for content, fetched_at in rows:
            appointment_id = content["appointment_id"]
            if appointment_id is not None and len(appointment_id) > _LONGEST_ID:
                appointment_id = None
            row_key = appointment_id or sealer.fingerprint(content).hex()
            copy.write_row((run_id, part, appointment_id, row_key, sealer.seal(content), fetched_at))
            count += 1
    return count


def staged_rows(
    transaction: Transaction, sealer: Sealer, run_id: str, *, verdicts: Sequence[str] | None = None
) -> Iterator[StagedRow]:
    """Every row of a run, or those with one of the verdicts, in the order they were staged. Raises DecryptionError."""
    with transaction.cursor(name="staged_rows") as cursor:
        cursor.itersize = _CHUNK
        cursor.execute(_READ, {"run_id": run_id, "verdicts": None if verdicts is None else list(verdicts)})
        for row_id, sealed_row, fetched_at, verdict, bad_contacts in cursor:
            yield StagedRow(row_id, sealer.open(sealed_row), fetched_at, verdict, tuple(bad_contacts))


def staged_appointment_ids(transaction: Transaction, run_id: str) -> set[str]:
    """Which appointments a run brought."""
    found = transaction.execute(
        "SELECT DISTINCT appointment_id FROM staging_appointments WHERE run_id = %s AND appointment_id IS NOT NULL",
        (run_id,),
    )
    return {row[0] for row in found}


def judge_rows(transaction: Transaction, run_id: str, verdicts: Sequence[Verdict]) -> None:
    """Write the gate's verdicts down; rows that it names no verdict for keep none and are not loaded."""
    transaction.execute(
        _JUDGE,
        {
            "run_id": run_id,
            "row_ids": [verdict.row_id for verdict in verdicts],
            "verdicts": [verdict.verdict for verdict in verdicts],
            "rules": [",".join(verdict.rules) for verdict in verdicts],
            "bad_contacts": [",".join(map(str, verdict.bad_contacts)) for verdict in verdicts],
        },
    )


def count_by_verdict(transaction: Transaction, run_id: str) -> dict[str, int]:
    """How many rows of a run have which verdict; `unchecked` for none."""
    found = transaction.execute(
        "SELECT coalesce(verdict, 'unchecked'), count(*) FROM staging_appointments WHERE run_id = %s GROUP BY 1",
        (run_id,),
    )
    return {row[0]: row[1] for row in found}


def clear_run(transaction: Transaction, run_id: str) -> None:
    """Forget everything that a run staged: it is loaded, or nobody wants it."""
    transaction.execute("DELETE FROM staging_appointments WHERE run_id = %s", (run_id,))
