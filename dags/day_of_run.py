"""What DAGs ask of a run: the parts of carenotify to work with, and the hospital's day that it is for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from typing import Any

from airflow.sdk import Param, get_current_context

from carenotify.app import App, build_app
from carenotify.domain.window import local_day
from carenotify.tracing import span


@contextmanager
def opened_app(application: str) -> Iterator[App]:
    """The wired parts for as long as a task needs them; PostgreSQL shows them under the name `application`."""
    with closing(build_app(application=application)) as app, span(application, **_task()):
        yield app


def _task() -> dict[str, Any]:
    """Which run and task this is, for its trace."""
    try:
        context = get_current_context()
    except RuntimeError:  # a callback of Airflow's is no task
        return {}
    return {"run_id": context["run_id"], "task_id": context["ti"].task_id, "try_number": context["ti"].try_number}


def asked_day(description: str) -> Param:
    """The field of a DAG's form for the day; empty: the day of the run."""
    return Param(
        None,
        type=["null", "string"],
        format="date",
        title="Day",
        description=f"{description}; empty: the day of the run.",
    )


def day_of_run(context: Any, app: App, *, asked: str | None) -> date:
    """The asked-for day (ISO 8601), else the run's own: a manual run without a logical date is of when it was to begin.

    So a run has its day also when it is cleared on a later one.
    """
    if asked:
        return date.fromisoformat(asked)
    logical_date = context.get("logical_date")
    return local_day(logical_date or context["dag_run"].run_after, app.settings.timezone)
