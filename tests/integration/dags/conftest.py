"""An Airflow of the tests' own: a home with a migrated SQLite database, shared by the session."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
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


@pytest.fixture(scope="session")
def dag_server(airflow_environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process that has imported what takes seconds, and plays each DAG in a fork of itself."""
    command = [sys.executable, "-m", "tests.integration.dags.dag_process"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=airflow_environment, cwd=ROOT, text=True, **pipes) as server:
        yield server
        server.kill()


@pytest.fixture
def dag_process(dag_server: subprocess.Popen[str], airflow_environment: dict[str, str], tmp_path: Path) -> PlayDag:
    """`dag_process("play" or "fail", dag_id, conf, settings)` gives the answer and what was logged under `log`."""
    log, answer = tmp_path / "dag.log", tmp_path / "dag.json"

    def run(verb: str, dag_id: str, conf: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
        request = {
            "verb": verb,
            "dag_id": dag_id,
            "conf": conf,
            "environment": airflow_environment | settings,
            "log": str(log),
            "answer": str(answer),
        }
        assert dag_server.stdin is not None
        assert dag_server.stdout is not None
        dag_server.stdin.write(json.dumps(request) + "\n")
        dag_server.stdin.flush()
        ended_with = dag_server.stdout.readline().strip()
        logged = log.read_text()
        assert ended_with == "0", logged[-8000:]
        told: dict[str, Any] = json.loads(answer.read_text())
        return told | {"log": logged}

    return run
