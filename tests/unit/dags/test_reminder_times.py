"""When the reminder DAG begins and tries again follows from the settings, as Airflow reads it."""

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
assert not bag.import_errors, bag.import_errors
dag = bag.dags["send_reminders"]
publish = dag.get_task("publish")
counts_agree = bag.dags["ingest_appointments"].get_task("counts_agree")
print()
print(json.dumps({
    "dags": sorted(bag.dags),
    "cron": dag.timetable.expression,
    "immediately_seconds": dag.timetable.run_immediately.total_seconds(),
    "retry_seconds": publish.retry_delay.total_seconds(),
    "backoff": float(publish.retry_exponential_backoff or 0),
    "agree_sql": counts_agree.render_template(counts_agree.sql, {"run_id": "it's a run"}),
}))
"""


def described(home: Path, **changes: str) -> dict[str, Any]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "CARENOTIFY_"))}
    environment = kept | {
        "CARENOTIFY_DATABASE_URL": "postgresql://127.0.0.1:9/none",
        "CARENOTIFY_BROKER_URL": "amqp://127.0.0.1:9",
        "CARENOTIFY_TIMEZONE": "Europe/Berlin",
        "CARENOTIFY_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "CARENOTIFY_INDEX_KEY": "an index key for the tests",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "include"), str(ROOT / "dags")]),
    }
    command = [sys.executable, "-c", DESCRIBE]
    done = subprocess.run(command, env=kept | environment | changes, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.rstrip().rpartition("\n")[2])
    return found


@pytest.fixture(scope="module")
def early(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("airflow")
    return described(home, CARENOTIFY_SEND_WINDOW="06:30-08:00", CARENOTIFY_PUBLISH_LEASE_SECONDS="200")


def test_the_files_beside_the_dags_are_none_themselves(early: dict[str, Any]) -> None:
    assert early["dags"] == ["ingest_appointments", "send_reminders"]


def test_reminders_begin_when_the_window_opens(early: dict[str, Any]) -> None:
    assert early["cron"] == "30 6 * * *"


def test_an_airflow_that_is_installed_while_the_window_is_open_does_not_miss_it(early: dict[str, Any]) -> None:
    assert early["immediately_seconds"] == 90 * 60


def test_a_window_of_the_whole_day_opens_at_midnight(tmp_path: Path) -> None:
    assert described(tmp_path, CARENOTIFY_SEND_WINDOW="00:00-24:00")["cron"] == "0 0 * * *"


def test_a_batch_is_not_tried_again_while_the_first_try_holds_its_rows(early: dict[str, Any]) -> None:
    assert early["retry_seconds"] > 200
    assert early["backoff"] == 0  # which could only be capped to less


def test_a_run_id_with_a_quote_stays_inside_its_sql_text(early: dict[str, Any]) -> None:
    assert "run.id = 'it''s a run'" in early["agree_sql"]
