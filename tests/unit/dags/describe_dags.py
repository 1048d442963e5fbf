"""Runs in a process of its own: reads the DAGs under several sets of settings, and prints what each set makes of them.

Airflow takes seconds to import, so it is imported once; each set is then read in a fork, where nothing was read before.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")

import pendulum  # noqa: E402
from airflow.dag_processing.dagbag import DagBag  # noqa: E402
from airflow.sdk._shared.module_loading import import_string  # noqa: E402
from airflow.serialization.serialized_objects import DagSerialization  # noqa: E402
from airflow.timetables.base import TimeRestriction  # noqa: E402


def describe(folder: str) -> dict[str, Any]:
    """The errors of a folder's files, and each of its DAGs."""
    bag = DagBag(folder)
    return {
        "errors": list(bag.import_errors.values()),
        "dags": {name: _dag(dag) for name, dag in bag.dags.items()},
    }


def _dag(dag: Any) -> dict[str, Any]:
    # The timetable is the one that the scheduler uses, which is made from the DAG as it is stored.
    timetable = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable
    immediately = getattr(dag.timetable, "run_immediately", None)
    return {
        "schedule": timetable.summary,
        "timetable": type(dag.timetable).__name__,
        "tags": sorted(dag.tags),
        "doc": dag.doc_md,
        "title": dag.dag_display_name,
        "deadlines": [_deadline(alert) for alert in dag.deadline or []],
        "run_timeout_seconds": dag.dagrun_timeout and dag.dagrun_timeout.total_seconds(),
        "zone": str(getattr(timetable, "_timezone", None) or getattr(timetable, "timezone", None)),
        "spring": list(_runs(timetable, "2026-03-27T12:00:00Z", 4)),
        "autumn": list(_runs(timetable, "2026-10-23T12:00:00Z", 4)),
        "immediately_seconds": immediately.total_seconds() if isinstance(immediately, timedelta) else None,
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "callbacks": [type(callback).__name__ for callback in dag.on_failure_callback or []],
        "params": {
            name: param.schema | {"default": param.value, "description": param.description}
            for name, param in dag.params.items()
        },
        "tasks": {task.task_id: _task(task) for task in dag.tasks},
    }


def _deadline(alert: Any) -> dict[str, Any]:
    return {
        "reference": type(alert.reference).__name__,
        "seconds": alert.interval.total_seconds(),
        "callback": alert.callback.path,
        "arguments": alert.callback.kwargs,
        "callable": callable(import_string(alert.callback.path)),
    }


def _runs(timetable: Any, first: str, number: int) -> Iterator[str]:
    restriction = TimeRestriction(earliest=pendulum.parse(first), latest=None, catchup=True)  # type: ignore[arg-type]
    last = None
    for _ in range(number):
        run = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        if run is None:
            return
        last = run.data_interval
        yield run.run_after.isoformat()


def _task(task: Any) -> dict[str, Any]:
    return {
        "mapped": task.is_mapped,
        "title": task.task_display_name,
        "doc": task.doc_md,
        "owner": task.owner,
        "label": task.map_index_template if task.is_mapped else None,
        "rule": task.trigger_rule,
        "retries": task.retries,
        "retry_seconds": task.retry_delay.total_seconds(),
        "backoff": float(task.retry_exponential_backoff or 0),
        "upstream": sorted(task.upstream_task_ids),
        "timeout": task.execution_timeout and task.execution_timeout.total_seconds(),
        "at_once": task.max_active_tis_per_dagrun,
        "private": _is_private(task),
        "sql": task.render_template(task.sql, {"run_id": "it's a run"}) if hasattr(task, "sql") else None,
    }


def _is_private(task: Any) -> bool:
    """Whether what it does, or what is given to it to do, was decorated so that no foreign error's text leaves it."""
    doing: Any = getattr(task, "python_callable", None)
    if doing is None:
        doing = (task.operator_class if task.is_mapped else type(task)).execute
    while doing is not None:
        if Path(doing.__code__.co_filename).name == "private_errors.py":
            return True
        doing = getattr(doing, "__wrapped__", None)
    return False


def _in_a_fork(changes: dict[str, str | None]) -> dict[str, Any]:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        for name, value in changes.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        with os.fdopen(writer, "w") as answer:
            json.dump(describe(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]), answer, default=str)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        found = answer.read()
    os.waitpid(child, 0)
    told: dict[str, Any] = json.loads(found)
    return told


if __name__ == "__main__":
    variants: dict[str, dict[str, str | None]] = json.loads(sys.argv[1])
    answers = {name: _in_a_fork(changes) for name, changes in variants.items()}
    sys.stdout.write("\n" + json.dumps(answers) + "\n")
