"""What every DAG file keeps to, read from its source's own import in a process that has no database."""

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
DESCRIBE = """
import json, os, warnings
warnings.simplefilter("ignore")
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
dag = bag.dags.get("ingest_appointments")
print()
print(json.dumps({
    "errors": list(bag.import_errors.values()),
    "dags": sorted(bag.dags),
    "catchup": dag and dag.catchup,
    "max_active_runs": dag and dag.max_active_runs,
    "schedule": dag and [dag.timetable.expression, str(dag.timetable.timezone)],
    "callbacks": dag and len(dag.on_failure_callback or []),
    "params": dag and sorted(dag.params),
    "tasks": dag and {task.task_id: {
        "mapped": task.is_mapped, "rule": task.trigger_rule, "retries": task.retries,
        "backoff": bool(task.retry_exponential_backoff), "upstream": sorted(task.upstream_task_ids),
        "at_once": task.max_active_tis_per_dagrun,
    } for task in dag.tasks},
}, default=str))
"""


def describe(tmp_path: Path, **changes: str | None) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "CARENOTIFY_"))}
    settings: dict[str, str | None] = {
        "CARENOTIFY_DATABASE_URL": "postgresql://127.0.0.1:9/none",
        "CARENOTIFY_BROKER_URL": "amqp://127.0.0.1:9",
        "CARENOTIFY_TIMEZONE": "Europe/Berlin",
        "CARENOTIFY_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "CARENOTIFY_INDEX_KEY": "an index key for tests",
        "CARENOTIFY_ALERT_TO": "operations@hospital.example",
    } | changes
    environment |= {name: value for name, value in settings.items() if value is not None} | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "include"), str(ROOT / "dags")]),
    }
    command = [sys.executable, "-c", DESCRIBE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.rstrip().rpartition("\n")[2])
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return describe(tmp_path_factory.mktemp("airflow"))


def test_every_dag_file_can_be_imported_without_a_database(found: dict[str, Any]) -> None:
    assert found["errors"] == []
    assert "ingest_appointments" in found["dags"]


def test_ingesting_runs_every_half_hour_one_at_a_time_without_catching_up(found: dict[str, Any]) -> None:
    assert (found["catchup"], found["max_active_runs"]) == (False, 1)
    assert found["schedule"] == ["*/30 * * * *", "Europe/Berlin"]
    assert found["params"] == ["days_ahead", "first_day", "release_run_id"]


def test_days_are_mapped_and_retried_with_growing_delays(found: dict[str, Any]) -> None:
    task = found["tasks"]["fetch_day"]
    assert task["mapped"]
    assert (task["retries"], task["backoff"], task["at_once"]) == (3, True, 4)


def test_a_failed_day_stops_neither_the_load_nor_the_closing_check(found: dict[str, Any]) -> None:
    tasks = found["tasks"]
    assert tasks["fetch_missing"]["upstream"] == ["fetch_day", "fetch_updates"]
    assert tasks["fetch_missing"]["rule"] == tasks["close_load"]["rule"] == "all_done_min_one_success"
    assert tasks["load_appointments"]["rule"] == tasks["check_load"]["rule"] == "all_success"
    assert tasks["close_load"]["retries"] == 0


def test_failures_are_mailed_once_a_run_when_there_is_somebody_to_mail(found: dict[str, Any], tmp_path: Path) -> None:
    assert found["callbacks"] == 1
    assert describe(tmp_path, CARENOTIFY_ALERT_TO=None)["callbacks"] == 0


def test_a_missing_setting_is_an_import_error_that_names_it(tmp_path: Path) -> None:
    (error, *_) = describe(tmp_path, CARENOTIFY_TIMEZONE=None)["errors"]
    assert "CARENOTIFY_TIMEZONE: is not set" in error


def test_a_wrong_time_zone_is_an_import_error_that_names_it(tmp_path: Path) -> None:
    (error, *_) = describe(tmp_path, CARENOTIFY_TIMEZONE="Europe/Atlantis")["errors"]
    assert "CARENOTIFY_TIMEZONE: 'Europe/Atlantis' is not a time zone" in error
