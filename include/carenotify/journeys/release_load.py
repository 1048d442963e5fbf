"""A person's word on a load that is held: take it over after all, or throw it away."""

from __future__ import annotations

from carenotify.domain.clock import Clock
from carenotify.errors import LoadHeldError
from carenotify.journeys.accept_event import EventAcceptor
from carenotify.journeys.load_appointments import load_appointments
from carenotify.storage.database import Database, Transaction
from carenotify.storage.ingest_runs import read_run, settle_run
from carenotify.storage.staging import clear_run, count_by_verdict


def release_load(database: Database, *, run_id: str, acceptor: EventAcceptor, clock: Clock) -> dict[str, int]:
    """Load what the gate let through of a held load, however many changes it has; gives its counts.

    What a newer load has said since stays. Raises NotFoundError, or LoadHeldError when the load is not held or its
    rules could not be run.
    """
    with database.transaction() as transaction:
        _expect_held(transaction, run_id)
        if "unchecked" in count_by_verdict(transaction, run_id):
            raise LoadHeldError(f"load {run_id} could not be checked, so it cannot be released; run it again")
        settle_run(transaction, run_id=run_id, status="released", now=clock())
    return load_appointments(database, run_id=run_id, max_changes=0, acceptor=acceptor, clock=clock)


def discard_load(database: Database, *, run_id: str, clock: Clock) -> None:
    """Throw a held load away; the last good copy stays. Raises NotFoundError, or LoadHeldError when it is not held."""
    with database.transaction() as transaction:
        _expect_held(transaction, run_id)
        clear_run(transaction, run_id)
        settle_run(transaction, run_id=run_id, status="discarded", now=clock(), reason="discarded by a person")


def _expect_held(transaction: Transaction, run_id: str) -> None:
    status = read_run(transaction, run_id, lock=True).status
    if status not in {"held", "released"}:
        raise LoadHeldError(f"load {run_id} is {status}; only a load that is held can be released or discarded")
