"""The DAGs as Airflow reads them, in a process that has no database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from cryptography.fernet import Fernet

from tests.conftest import ROOT

# What is set otherwise, or not at all, and under which name the tests ask for what came of it.
VARIANTS: dict[str, dict[str, str | None]] = {
    "as set": {},
    "nobody to mail": {"CARENOTIFY_ALERT_TO": None},
    "mail by SES": {"CARENOTIFY_EMAIL_PROVIDERS": "ses,smtp", "CARENOTIFY_EMAIL_FROM": "info@hospital.example"},
    "in New York": {"CARENOTIFY_TIMEZONE": "America/New_York"},
    "an early window": {
        "CARENOTIFY_SEND_WINDOW": "06:30-08:00",
        "CARENOTIFY_PUBLISH_LEASE_SECONDS": "200",
        "CARENOTIFY_REPORT_TIME": "20:45",
    },
    "a whole day": {"CARENOTIFY_SEND_WINDOW": "00:00-24:00"},
    "no time zone": {"CARENOTIFY_TIMEZONE": None},
    "a wrong time zone": {"CARENOTIFY_TIMEZONE": "Europe/Atlantis", "CARENOTIFY_REPORT_TIME": "six"},
}


@pytest.fixture(scope="session")
def dags_by_variant(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """For each variant: `errors`, and `dags` by name with their schedule, form, retries and tasks."""
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
        "PYTHONPATH": os.pathsep.join([str(ROOT / "include"), str(ROOT / "dags"), str(ROOT)]),
    }
    command = [sys.executable, "-m", "tests.unit.dags.describe_dags", json.dumps(VARIANTS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.rstrip().rpartition("\n")[2])
    return found


@pytest.fixture(scope="session")
def dags(dags_by_variant: dict[str, Any]) -> dict[str, Any]:
    """The DAGs by name, with everything set as usual."""
    found: dict[str, Any] = dags_by_variant["as set"]["dags"]
    return found
