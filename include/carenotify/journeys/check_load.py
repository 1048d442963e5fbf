"""Pass a load through the quality gate: which rows may be loaded, which go to quarantine, or hold it back whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carenotify.domain.clock import Clock
from carenotify.domain.instant import read_instant
from carenotify.errors import LoadHeldError
from carenotify.storage.database import Database
from carenotify.storage.ingest_runs import read_run, settle_run
from carenotify.storage.patients import known_patient_ids
from carenotify.storage.quarantine import quarantine_rows
from carenotify.storage.staging import StagedRow, Verdict, judge_rows, staged_rows

if TYPE_CHECKING:
    from carenotify.quality.frames import Frames
    from carenotify.quality.gate import Findings

# Of so few, half may well be called off in one morning.
_TOO_FEW_TO_TELL = 50
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BadShares:
    """Shares, 0 to 1, of rejected rows and of addresses left out that a load may have."""

    rows: float
    addresses: float


def check_load(database: Database, *, run_id: str, allowed: BadShares, docs_path: Path, clock: Clock) -> dict[str, int]:
    """Judge every staged row; gives counts of rows, duplicates, rejected rows and addresses left out.

    A row that breaks an appointment rule is rejected; of a row with a bad address only the address is left out; both
    are kept in quarantine. Raises LoadHeldError, after marking the load held, when there are more of either than
    allowed, when a rule could not be run, or when most of what is known of the fetched days did not come; also when the
    load is discarded. One that is loaded already stays as it is. Great Expectations takes seconds to import.
    """
    with database.transaction() as transaction:
        run = read_run(transaction, run_id)
    if run.status == "loaded":
        return run.counts
    if run.status == "discarded":
        raise LoadHeldError(f"load {run_id} is discarded ({run.reason}); start it over")
    try:
        judged = _judge(database, run_id=run_id, docs_path=docs_path, clock=clock)
    except LoadHeldError as error:
        _hold(database, run_id=run_id, reason=str(error), clock=clock)
        raise
    with database.transaction() as transaction:
        judge_rows(transaction, run_id, judged.verdicts)
        quarantine_rows(transaction, run_id=run_id, now=clock(), renew=False)
        settle_run(transaction, run_id=run_id, status="running", now=clock(), counts=judged.counts)
    reason = _reason_of_shrinking(run.counts) or _reason_to_hold(judged, allowed)
    if reason is not None:
        _hold(database, run_id=run_id, reason=reason, clock=clock)
        raise LoadHeldError(f"load {run_id} is held: {reason}")
    return judged.counts


@dataclass(frozen=True, slots=True)
class _Judged:
    findings: Findings
    verdicts: list[Verdict]
    counts: dict[str, int]


def _judge(database: Database, *, run_id: str, docs_path: Path, clock: Clock) -> _Judged:
    """Run the rules. Raises LoadHeldError when one could not be run."""
    from carenotify.quality.frames import Frames
    from carenotify.quality.gate import Gate

    frames = Frames(now=clock())
    duplicates = _read(database, run_id, frames)
    with database.transaction() as transaction:
        stored = known_patient_ids(transaction, frames.patients_not_given())
    appointments, contacts = frames.appointments(stored_patients=stored), frames.contacts()
    findings = Gate(docs_path=docs_path).check(run_id=run_id, appointments=appointments, contacts=contacts)
    counts = {
        "rows": len(appointments),
        "duplicates": len(duplicates),
        "rejected": len(findings.appointments),
        "addresses": len(contacts),
        "addresses_left_out": sum(len(positions) for positions in findings.contacts.values()),
    }
    verdicts = [*_verdicts(appointments["row_id"].tolist(), findings), *_duplicates(duplicates)]
    return _Judged(findings, verdicts, counts)


def _read(database: Database, run_id: str, frames: Frames) -> set[int]:
    """Fill the frames with the newest version of each appointment; gives the row ids of the others."""
    newest: dict[object, tuple[tuple[Any, ...], int]] = {}
    older: set[int] = set()
    with database.transaction() as transaction:
        for row in staged_rows(transaction, database.sealer, run_id):
            frames.add(row.row_id, row.content)
            key, age = row.content["appointment_id"] or row.row_id, _age(row)
            if key not in newest:
                newest[key] = age, row.row_id
                continue
            loser = min(newest[key], (age, row.row_id))
            newest[key] = max(newest[key], (age, row.row_id))
            older.add(loser[1])
    frames.drop(older)
    return older


def _age(row: StagedRow) -> tuple[Any, ...]:
    """What orders versions of one appointment, the newest last: the source's own words first, then when it came."""
    version = row.content["version"] or ""
    return (
        read_instant(row.content["last_updated"]) or _NEVER,
        int(version) if version.isascii() and version.isdigit() and len(version) < 19 else -1,
        row.fetched_at,
    )


def _verdicts(row_ids: Iterable[int], findings: Findings) -> Iterator[Verdict]:
    for row_id in row_ids:
        bad = findings.contacts.get(row_id, {})
        address_rules = tuple(sorted({rule for rules in bad.values() for rule in rules}))
        if row_id in findings.appointments:
            yield Verdict(row_id, "rejected", (*findings.appointments[row_id], *address_rules), tuple(bad))
        else:
            yield Verdict(row_id, "address_left_out" if bad else "good", address_rules, tuple(bad))


def _duplicates(row_ids: Iterable[int]) -> Iterator[Verdict]:
    return (Verdict(row_id, "duplicate") for row_id in row_ids)


def _reason_of_shrinking(counts: Mapping[str, int]) -> str | None:
    """A source that forgot half of what it knew has lost its data, or shows us less of it; hospitals do not do that."""
    expected, missing = counts.get("expected", 0), counts.get("missing", 0)
    if expected <= _TOO_FEW_TO_TELL or missing * 2 <= expected:
        return None
    return f"{missing} of {expected} appointments that are known ahead on the fetched days did not come"


def _reason_to_hold(judged: _Judged, allowed: BadShares) -> str | None:
    counts, findings = judged.counts, judged.findings
    broken = Counter(rule for rules in findings.appointments.values() for rule in rules)
    if counts["rejected"] > allowed.rows * counts["rows"]:
        return _too_many("rows", counts["rejected"], counts["rows"], allowed.rows, broken)
    bad = Counter(rule for found in findings.contacts.values() for rules in found.values() for rule in rules)
    if counts["addresses_left_out"] > allowed.addresses * counts["addresses"]:
        return _too_many("addresses", counts["addresses_left_out"], counts["addresses"], allowed.addresses, bad)
    return None


def _too_many(what: str, bad: int, of: int, limit: float, broken: Counter[str]) -> str:
    rules = ", ".join(f"{rule} {count}" for rule, count in broken.most_common(5))
    return f"{bad} of {of} {what} broke a rule ({bad / of:.1%}, the limit is {limit:.1%}): {rules}"


def _hold(database: Database, *, run_id: str, reason: str, clock: Clock) -> None:
    with database.transaction() as transaction:
        settle_run(transaction, run_id=run_id, status="held", now=clock(), reason=reason)
