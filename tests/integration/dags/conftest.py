"""An Airflow of the tests' own: a home with a migrated SQLite database, shared by the session."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PlayDag = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def airflow_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of an Airflow that has this checkout's DAGs and nothing else."""
    home = tmp_path_factory.mktemp("airflow")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "CARENOTIFY_"))}
    environment = inherited | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "GX_ANALYTICS_ENABLED": "false",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "include"), str(ROOT / "dags"), str(ROOT)]),
    }
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(command, env=environment, cwd=home, check=True, capture_output=True)
    return environment


@pytest.fixture
def dag_process(airflow_environment: dict[str, str]) -> PlayDag:
    """`dag_process("play" or "fail", dag_id, conf, settings)` gives the answer and what was logged under `log`."""

    def run(verb: str, dag_id: str, conf: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "tests.integration.dags.dag_process", verb, dag_id, json.dumps(conf)],
            env=airflow_environment | settings,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        log = done.stdout + done.stderr
        assert done.returncode == 0, log[-8000:]
        answer: dict[str, Any] = json.loads(done.stdout.rstrip().rpartition("\n")[2])
        return answer | {"log": log}

    return run
