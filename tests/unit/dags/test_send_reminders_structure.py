"""The reminder DAG as Airflow reads it, in a process that has no database: its schedule, its retries and its form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

ROOT = Path(__file__).parents[3]
# The timetable is the one that the scheduler uses, which is made from the DAG as it is stored.
DESCRIBE = """
import json, os, warnings
warnings.simplefilter("ignore")
import pendulum
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import TimeRestriction

bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
assert not bag.import_errors, bag.import_errors
dag = bag.dags["send_reminders"]
timetable = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable


def runs(first, number):
    restriction = TimeRestriction(earliest=pendulum.parse(first), latest=None, catchup=True)
    last = None
    for _ in range(number):
        run = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        last = run.data_interval
        yield run.run_after.isoformat()


print()
print(json.dumps({
    "spring": list(runs("2026-03-27T12:00:00Z", 4)),
    "autumn": list(runs("2026-10-23T12:00:00Z", 4)),
    "catchup": dag.catchup,
    "max_active_runs": dag.max_active_runs,
    "callbacks": [type(callback).__name__ for callback in dag.on_failure_callback or []],
    "params": {name: param.schema | {"default": param.value} for name, param in dag.params.items()},
    "tasks": {task.task_id: {
        "mapped": task.is_mapped, "rule": task.trigger_rule, "retries": task.retries,
        "upstream": sorted(task.upstream_task_ids), "timeout": task.execution_timeout.total_seconds(),
    } for task in dag.tasks},
}, default=str))
"""


def describe(home: Path, **changes: str) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "CARENOTIFY_"))}
    environment |= {
        "CARENOTIFY_DATABASE_URL": "postgresql://127.0.0.1:9/none",
        "CARENOTIFY_BROKER_URL": "amqp://127.0.0.1:9",
        "CARENOTIFY_TIMEZONE": "Europe/Berlin",
        "CARENOTIFY_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "CARENOTIFY_INDEX_KEY": "an index key for the tests",
        "CARENOTIFY_ALERT_TO": "operations@hospital.example",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "include"), str(ROOT / "dags")]),
    } | changes
    command = [sys.executable, "-c", DESCRIBE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.rstrip().rpartition("\n")[2])
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return describe(tmp_path_factory.mktemp("airflow"))


def test_it_runs_at_nine_in_the_hospital_also_when_the_clocks_change(found: dict[str, Any]) -> None:
    assert found["spring"] == [
        "2026-03-28T08:00:00+00:00",
        "2026-03-29T07:00:00+00:00",
        "2026-03-30T07:00:00+00:00",
        "2026-03-31T07:00:00+00:00",
    ]
    assert found["autumn"] == [
        "2026-10-24T07:00:00+00:00",
        "2026-10-25T08:00:00+00:00",
        "2026-10-26T08:00:00+00:00",
        "2026-10-27T08:00:00+00:00",
    ]


def test_it_runs_in_the_zone_that_is_set(tmp_path: Path) -> None:
    elsewhere = describe(tmp_path, CARENOTIFY_TIMEZONE="America/New_York")
    assert elsewhere["spring"][0] == "2026-03-27T13:00:00+00:00"


def test_days_that_were_missed_are_not_run_and_no_two_runs_overlap(found: dict[str, Any]) -> None:
    assert (found["catchup"], found["max_active_runs"]) == (False, 1)


def test_batches_are_mapped_and_retried_and_a_check_closes_the_run(found: dict[str, Any]) -> None:
    tasks = found["tasks"]
    assert set(tasks) == {"plan", "publish", "nothing_waits"}
    assert [tasks[name]["mapped"] for name in ("plan", "publish", "nothing_waits")] == [False, True, False]
    assert all(task["retries"] >= 3 for task in tasks.values())
    assert all(0 < task["timeout"] <= 3600 for task in tasks.values())
    assert tasks["publish"]["upstream"] == ["plan"]
    assert tasks["nothing_waits"]["upstream"] == ["publish"]
    # Nothing to publish is no failure, and is looked into all the same.
    assert tasks["nothing_waits"]["rule"] == "none_failed"


def test_the_form_takes_a_day_and_a_dry_run(found: dict[str, Any]) -> None:
    params = found["params"]
    assert set(params) == {"day", "dry_run"}
    assert (params["day"]["format"], params["day"]["default"]) == ("date", None)
    assert (params["dry_run"]["type"], params["dry_run"]["default"]) == ("boolean", False)


def test_a_failed_run_is_mailed(found: dict[str, Any]) -> None:
    assert found["callbacks"] == ["SmtpNotifier"]
