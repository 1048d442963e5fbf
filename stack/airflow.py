"""Airflow's four processes: their settings, their database, and when they are ready."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping

from stack.checkout import Checkout
from stack.errors import StackError
from stack.loopback import get_json

PROCESSES: dict[str, list[str]] = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],  # the log servers would listen on every interface
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
ADMIN = "admin"
_HEALTHY_PARTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")
_AUTH_MANAGER = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"


def settings(
    checkout: Checkout, *, port: int, database_url: str, timezone: str, credentials: Mapping[str, str]
) -> dict[str, str]:
    """Airflow's environment for this checkout."""
    home = checkout.run / "airflow"
    address = f"http://127.0.0.1:{port}"
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "16",
        "AIRFLOW__CORE__AUTH_MANAGER": _AUTH_MANAGER,
        "AIRFLOW__CORE__DAGS_FOLDER": str(checkout.root / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(checkout.root / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "120",  # a busy machine needs more than the usual 30 s
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DEFAULT_TIMEZONE": timezone,
        "AIRFLOW__CORE__FERNET_KEY": credentials["airflow_fernet_key"],
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url.replace("postgresql://", "postgresql+psycopg2://"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": credentials["airflow_secret_key"],
        "AIRFLOW__API_AUTH__JWT_SECRET": credentials["airflow_jwt_secret"],
        "AIRFLOW__LOGGING__JSON_LOGS": "True",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(checkout.run / "logs" / "airflow"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(checkout.run / "logs" / "dag-files"),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",  # the usual 30 s cost 6 % of a core
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(home / "bundles"),
        "AIRFLOW_API_URL": f"{address}/api/v2",
        "AIRFLOW_USERNAME": ADMIN,
        "AIRFLOW_PASSWORD": credentials["airflow_password"],
        "SCARF_ANALYTICS": "false",
        "GX_ANALYTICS_ENABLED": "false",
    }


def command(checkout: Checkout, *words: str) -> list[str]:
    """The command line of `airflow …` in this checkout, which works when its path has a space too."""
    return [str(checkout.python), "-m", "airflow", *words]


def prepare_database(checkout: Checkout, environment: Mapping[str, str]) -> None:
    """Create or upgrade Airflow's tables and its administrator. Done once for each set of packages."""
    stamp = checkout.run / "airflow" / "prepared"
    wanted = (checkout.venv / ".installed").read_text()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    stamp.parent.mkdir(exist_ok=True)
    _run(checkout, environment, "db", "migrate")
    password = environment["AIRFLOW_PASSWORD"]
    user = ["--username", ADMIN, "--role", "Admin", "--firstname", "carenotify", "--lastname", "administrator"]
    _run(
        checkout,
        environment,
        "users",
        "create",
        *user,
        "--email",
        "admin@localhost",
        answer=f"{password}\n{password}\n",
    )
    stamp.write_text(wanted)


def _run(checkout: Checkout, environment: Mapping[str, str], *words: str, answer: str = "") -> None:
    log = checkout.run / "logs" / "airflow-setup.log"
    with log.open("a") as file:
        done = subprocess.run(
            command(checkout, *words),
            env=environment,
            cwd=checkout.root,
            input=answer,  # the password, which must not be seen among the arguments
            text=True,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # without a terminal of its own it asks standard input
            check=False,
        )
    if done.returncode != 0:
        raise StackError(f"airflow {' '.join(words[:2])} failed; see {log}")


def is_healthy(port: int) -> bool:
    """Whether the API server, the scheduler, the DAG processor and the triggerer all report that they are well."""
    try:
        health = get_json(f"http://127.0.0.1:{port}/api/v2/monitor/health", timeout_seconds=10)
    except (OSError, ValueError):
        return False
    return all((health.get(part) or {}).get("status") == "healthy" for part in _HEALTHY_PARTS)


def connection(kind: str, **parts: object) -> str:
    """One AIRFLOW_CONN_ value."""
    return json.dumps({"conn_type": kind, **{name: value for name, value in parts.items() if value not in (None, "")}})
