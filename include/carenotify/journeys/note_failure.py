"""What Airflow says of its runs, kept where it waits to be mailed: a mail server that is away only delays it."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from carenotify.domain.alert import AlertKind, NewAlert
from carenotify.journeys.find_states import held_back, loads_not_taken_over
from carenotify.storage import alerts, failures
from carenotify.storage.database import Database

# A scheduler may call twice; whoever fails again after that time has failed anew.
_SAME_WITHIN = timedelta(minutes=5)
# How long whoever noted it has for sending its mail, before watch_delivery does.
_OWN_MAIL_WITHIN = timedelta(minutes=5)


def note_run_failed(database: Database, dag_id: str, run_id: str, what_to_do: str, now: datetime) -> UUID | None:
    """A DAG run failed. Gives the id of the mail that tells it, for the caller to send within five minutes.

    None when it was noted before: then somebody else tells it. After sending call `note_mailed`; without that
    watch_delivery sends the mail, under the same Message-ID. Raises StorageError.
    """
    return _note(database, AlertKind.TASK_FAILED, dag_id, run_id, what_to_do, now)


def note_load_held(database: Database, run_id: str, now: datetime) -> bool:
    """Whether the load of that run is held. It is told as that then, which has an end, in place of the run's failure.

    The alert waits to be mailed, as if watch_delivery had raised it. Raises StorageError.
    """
    with database.transaction() as transaction:
        failures.take_turn(transaction)
        held = [
            one for one in loads_not_taken_over(transaction, now=now) if (one.run_id, one.status) == (run_id, "held")
        ]
        alerts.raise_alerts(transaction, [held_back(transaction, one) for one in held], now=now)
    return bool(held)


def note_deadline_missed(database: Database, dag_id: str, run_id: str, what_to_do: str, now: datetime) -> UUID | None:
    """A DAG run has not come to its end in time; otherwise as `note_run_failed`."""
    return _note(database, AlertKind.DEADLINE_MISSED, dag_id, run_id, what_to_do, now)


def note_mailed(database: Database, mail_id: UUID, now: datetime) -> None:
    """A mail server took that mail. Raises StorageError."""
    with database.transaction() as transaction:
        alerts.mark_mailed(transaction, mail_id, now=now)


def note_unmailed(database: Database, mail_id: UUID) -> None:
    """Surely nobody took that mail: watch_delivery tells of it together with what else waits. Raises StorageError."""
    with database.transaction() as transaction:
        alerts.give_back(transaction, mail_id)


def note_perhaps_mailed(database: Database, mail_id: UUID, now: datetime) -> None:
    """Nobody knows whether that mail was taken: watch_delivery's next run sends it again, under its Message-ID.

    Raises StorageError.
    """
    with database.transaction() as transaction:
        alerts.let_go(transaction, mail_id, now=now)


def _note(database: Database, kind: AlertKind, dag_id: str, run_id: str, what_to_do: str, now: datetime) -> UUID | None:
    new = NewAlert(
        kind,
        f"{dag_id} {run_id}",
        f"{kind}:{dag_id}:{run_id}",
        details={"dag_id": dag_id, "run": run_id, "what_to_do": what_to_do},
    )
    with database.transaction() as transaction:
        return alerts.raise_with_mail(
            transaction, new, unless_since=now - _SAME_WITHIN, until=now + _OWN_MAIL_WITHIN, now=now
        )
