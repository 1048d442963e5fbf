"""The replay DAG as Airflow reads it: it runs when a person says so, and its form takes what people choose by."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from carenotify.domain.notification import Channel

ROOT = Path(__file__).parents[3]
DESCRIBE = """
import json, os, warnings
warnings.simplefilter("ignore")
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
assert not bag.import_errors, bag.import_errors
dag = bag.dags["replay_dead_letters"]
DagSerialization.to_dict(dag)
print()
print(json.dumps({
    "schedule": type(dag.timetable).__name__,
    "max_active_runs": dag.max_active_runs,
    "tags": sorted(dag.tags),
    "doc": dag.doc_md,
    "callbacks": [type(callback).__name__ for callback in dag.on_failure_callback or []],
    "params": {name: param.schema | {"default": param.value} for name, param in dag.params.items()},
    "tasks": {task.task_id: [task.retries, task.execution_timeout.total_seconds()] for task in dag.tasks},
}, default=str))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "CARENOTIFY_"))}
    environment |= {
        "CARENOTIFY_DATABASE_URL": "postgresql://127.0.0.1:9/none",
        "CARENOTIFY_BROKER_URL": "amqp://127.0.0.1:9",
        "CARENOTIFY_TIMEZONE": "Europe/Berlin",
        "CARENOTIFY_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "CARENOTIFY_INDEX_KEY": "an index key for the tests",
        "CARENOTIFY_ALERT_TO": "operations@hospital.example",
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "include"), str(ROOT / "dags")]),
    }
    command = [sys.executable, "-c", DESCRIBE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    described: dict[str, Any] = json.loads(done.stdout.rstrip().rpartition("\n")[2])
    return described


def test_it_runs_only_when_somebody_starts_it_and_one_at_a_time(found: dict[str, Any]) -> None:
    assert (found["schedule"], found["max_active_runs"]) == ("NullTimetable", 1)
    assert found["tags"]
    assert "docs/dead-letters.md" in found["doc"]


def test_the_form_takes_reasons_a_channel_a_limit_and_a_dry_run(found: dict[str, Any]) -> None:
    params = found["params"]
    assert set(params) == {"reasons", "channel", "most", "dry_run"}
    assert params["reasons"]["default"] == ["retries_spent"]
    assert params["channel"]["enum"] == [None, *Channel]
    assert (params["most"]["minimum"], params["most"]["default"]) == (1, 1000)
    assert params["dry_run"]["default"] is False


def test_its_one_task_is_retried_and_bounded_and_a_failed_run_is_mailed(found: dict[str, Any]) -> None:
    assert found["tasks"] == {"replay": [3, 1200.0]}
    assert found["callbacks"] == ["SmtpNotifier"]
