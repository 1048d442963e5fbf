"""docker-compose.yml fits the settings, the locks and the processes of the native stack."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from carenotify.config import PREFIX, Settings
from stack import airflow, settings
from stack.checkout import Checkout

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
REQUIRED = set(re.findall(r"\$\{(\w+):\?", TEXT))


def environment(file: str) -> dict[str, str]:
    lines = (ROOT / "docker" / file).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def made_secrets() -> set[str]:
    return set(re.findall(r"^(\w+)=\$\(", (ROOT / "docker" / "make-secrets").read_text(), re.MULTILINE))


def test_every_airflow_process_of_the_native_stack_is_a_service() -> None:
    assert airflow.PROCESSES.keys() <= SERVICES.keys()
    for name, words in airflow.PROCESSES.items():
        assert SERVICES[name]["command"][: 3 + len(words)] == ["python", "-m", "airflow", *words]


@pytest.mark.parametrize("service", [*airflow.PROCESSES, "worker"])
def test_each_service_has_every_setting_that_it_cannot_start_without(service: str) -> None:
    required = {PREFIX + name.upper() for name, field in Settings.model_fields.items() if field.is_required()}
    needed = required | {name for names in settings._PROVIDER_NEEDS.values() for name in names}
    assert needed <= SERVICES[service]["environment"].keys()


@pytest.mark.parametrize("service", SERVICES)
def test_only_settings_that_exist_are_given(service: str) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    given = {name for name in SERVICES[service].get("environment", {}) if name.startswith(PREFIX)}
    assert given <= known


@pytest.mark.parametrize("service", [*airflow.PROCESSES, "worker"])
def test_every_setting_can_be_set(service: str) -> None:
    """But for what only clients and Airflow's own file system are told."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    elsewhere = {PREFIX + name for name in ("API_KEY", "API_URL", "DATA_DOCS_PATH")}
    assert known - SERVICES[service]["environment"].keys() <= elsewhere


@pytest.mark.parametrize("file", ["example.env", "demo.env"])
def test_an_example_with_new_secrets_names_every_variable_that_is_required(file: str) -> None:
    assert environment(file).keys() | made_secrets() >= REQUIRED


@pytest.mark.parametrize("service", airflow.PROCESSES)
def test_airflow_can_be_given_a_connection_to_mail_by_and_is_asked_for_none_that_it_does_not_need(service: str) -> None:
    mail = {"AIRFLOW_CONN_SMTP_DEFAULT", "AIRFLOW_CONN_AWS_DEFAULT"}
    given = SERVICES[service]["environment"]
    assert {name: given[name] for name in mail} == dict.fromkeys(mail)  # what is not set stays unset
    assert not mail & REQUIRED


def test_dag_files_are_read_as_seldom_as_by_the_native_stack() -> None:
    name = "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL"
    native = airflow.settings(
        Checkout(ROOT), port=1, database_url="postgresql://x", timezone="UTC", credentials=defaultdict(str)
    )
    assert SERVICES["dag-processor"]["environment"][name] == native[name] == "60"


def test_no_secret_is_in_the_files_that_are_committed() -> None:
    assert not made_secrets() & (environment("example.env").keys() | environment("demo.env").keys())
    assert made_secrets() - {"GRAFANA_PASSWORD"} <= REQUIRED


def test_what_only_a_profile_needs_is_not_required_of_everybody() -> None:
    """Compose looks for every variable of the file, whatever is started."""
    for name, service in SERVICES.items():
        if "profiles" in service:
            others = {name: one for name, one in SERVICES.items() if "profiles" not in one}
            required = set(re.findall(r"\$\{(\w+):\?", yaml.safe_dump(service)))
            assert required <= set(re.findall(r"\$\{(\w+):\?", yaml.safe_dump(others))), name


def test_every_long_running_service_has_a_health_check_and_starts_again() -> None:
    for name, service in SERVICES.items():
        assert "restart" in service, name
        assert name == "init" or "healthcheck" in service, name


def test_every_port_is_opened_on_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_file_that_the_containers_are_built_from_is_there() -> None:
    for name in ("airflow.Dockerfile", "worker.Dockerfile"):
        text = (ROOT / "docker" / name).read_text()
        for line in re.findall(r"^COPY (.+)$", text, re.MULTILINE):
            assert all((ROOT / source).exists() for source in line.split()[:-1]), line
    for volume in SERVICES["postgres"]["volumes"]:
        if volume.startswith("./"):
            assert (ROOT / volume.split(":")[0]).exists()


def test_help_lists_every_target_with_what_it_does() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    explained = set(re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE))
    assert targets == explained
    assert {"demo", "up", "test", "lint", "bench", "drill", "down", "status", "clean", "help", "lock"} <= targets
