"""Say how a load ended, and whether all of it came."""

from __future__ import annotations

from datetime import date, timedelta

from carenotify.domain.clock import Clock
from carenotify.storage.database import Database
from carenotify.storage.ingest_runs import IngestRun, read_run, settle_run

# From the first day to the last: a week. A single day may well be a holiday.
_CANNOT_BE_FREE = timedelta(days=6)


def close_load(database: Database, *, run_id: str, clock: Clock) -> list[str]:
    """What a person should know of a load that is over, as sentences; empty when all is well.

    A load that got stuck on the way is marked failed. Raises NotFoundError.
    """
    run = fail_when_stuck(database, run_id=run_id, clock=clock)
    problems = [f"load {run_id} is {run.status}: {run.reason}"] if run.status in {"held", "discarded"} else []
    if run.status == "running":
        problems.append(f"load {run_id} did not come to its end; the last good copy stays")
    return problems + shortcomings(run)


def fail_when_stuck(database: Database, *, run_id: str, clock: Clock) -> IngestRun:
    """Mark a load failed that got stuck on the way; gives it as it stood. Raises NotFoundError."""
    with database.transaction() as transaction:
        run = read_run(transaction, run_id, lock=True)
        if run.status == "running":
            settle_run(transaction, run_id=run_id, status="failed", now=clock(), reason="a step of the load failed")
    return run


def shortcomings(run: IngestRun) -> list[str]:
    """What a load did not find out, whatever became of it, as sentences."""
    failed, unasked = run.counts.get("missing_failed", 0), run.counts.get("missing_unasked", 0)
    found, days = [], _incomplete_days(run)
    if days:
        found.append(f"days that did not come whole: {', '.join(day.isoformat() for day in days)}")
    if not run.updates_complete:
        found.append("changes since the last good load did not come whole; the next load asks for them again")
    if run.counts.get("rows") == 0 and run.last_day - run.first_day >= _CANNOT_BE_FREE:
        found.append("the patient API gave no appointment at all")
    if failed:
        found.append(f"{failed} appointments did not come and could not be asked for; they stay as known")
    if unasked:
        found.append(f"{unasked} appointments did not come and were too many to ask for; they stay as known")
    return found


def _incomplete_days(run: IngestRun) -> list[date]:
    wanted = [run.first_day + timedelta(days=ahead) for ahead in range((run.last_day - run.first_day).days + 1)]
    return [day for day in wanted if day not in run.complete_days]
