"""The DAG as Airflow runs it, from the patient API over HTTP to committed rows in PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest

from carenotify.sandbox.server import SandboxServer
from tests.integration.dags.conftest import PlayDag, query
from tests.integration.ward import process_settings

BERLIN = ZoneInfo("Europe/Berlin")
DAY = date(2027, 3, 28)  # the clocks change that night
ALERT_TO = "operations@hospital.example"


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(reminder_day=DAY, timezone=BERLIN, appointments=60) as server:
        yield server


@pytest.fixture
def settings(database_url: str, sandbox: SandboxServer, tmp_path: Any) -> dict[str, str]:
    database, mail = urlsplit(database_url), urlsplit(sandbox.smtp_url)
    return process_settings(database_url) | {
        "CARENOTIFY_SOURCE_ATTEMPTS": "3",
        "CARENOTIFY_MAX_BAD_SHARE": "0.2",
        "CARENOTIFY_DATA_DOCS_PATH": str(tmp_path / "docs"),
        "CARENOTIFY_ALERT_TO": ALERT_TO,
        "CARENOTIFY_PUBLIC_URL": "http://airflow.example",
        "AIRFLOW_CONN_PATIENT_API": json.dumps({"conn_type": "http", "host": sandbox.fhir_url}),
        "AIRFLOW_CONN_CARENOTIFY_DB": json.dumps(
            {
                "conn_type": "postgres",
                "host": database.hostname,
                "port": database.port,
                "login": database.username,
                "password": database.password,
                "schema": database.path.lstrip("/"),
            }
        ),
        "AIRFLOW_CONN_SMTP_DEFAULT": json.dumps(
            {
                "conn_type": "smtp",
                "host": mail.hostname,
                "port": mail.port,
                "extra": {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@hospital.example"},
            }
        ),
    }


def conf(**params: Any) -> dict[str, Any]:
    return {"first_day": (DAY - timedelta(days=1)).isoformat(), "days_ahead": 2} | params


def test_a_run_brings_the_days_of_the_hospital_into_the_tables(
    dag_process: PlayDag, settings: dict[str, str], database_url: str, sandbox: SandboxServer
) -> None:
    outcome = dag_process("play", "ingest_appointments", conf(), settings)
    assert outcome["state"] == "success", outcome["log"][-8000:]
    assert outcome["tasks"]["fetch_day"] == ["success"] * 3
    assert sorted(outcome["labels"]["fetch_day"]) == ["2027-03-27", "2027-03-28", "2027-03-29"]
    assert outcome["tasks"]["counts_agree"] == outcome["tasks"]["close_load"] == ["success"]
    assert outcome["tasks"]["release_load"] == ["skipped"]
    expected = sandbox.hospital.expected()
    bounds = "start_at >= '2027-03-28T00:00+01:00' AND start_at < '2027-03-29T00:00+02:00'"
    stored = {row[0] for row in query(database_url, f"SELECT id FROM appointments WHERE {bounds}")}
    served = {key for key, row in sandbox.hospital.rows_of(DAY) if "start" in row.resource}
    assert stored == served - set(expected.quarantined)
    rejected = {row[0] for row in query(database_url, "SELECT appointment_id FROM quarantine WHERE rejected")}
    assert rejected == set(expected.quarantined)
    names = {given for person in sandbox.hospital.patients.values() for given in person["name"][0]["given"]}
    assert [name for name in names if len(name) > 3 and name in outcome["log"]] == []


def test_html_instead_of_fhir_fails_the_run_without_retries_and_names_it(
    dag_process: PlayDag, settings: dict[str, str], database_url: str, sandbox: SandboxServer
) -> None:
    sandbox.faults.set({"mode": "html"})
    outcome = dag_process("play", "ingest_appointments", conf(days_ahead=0), settings)
    assert outcome["state"] == "failed"
    assert outcome["tasks"]["fetch_day"] == ["failed"]
    assert outcome["tasks"]["close_load"] == ["failed"]
    assert "expected a FHIR Bundle, the patient API answered HTTP" in outcome["log"]
    assert "text/html" in outcome["log"]


def test_a_held_load_fails_the_run_and_can_be_released_by_the_form(
    dag_process: PlayDag, settings: dict[str, str], database_url: str
) -> None:
    strict = settings | {"CARENOTIFY_MAX_BAD_SHARE": "0.001"}
    held = dag_process("play", "ingest_appointments", conf(), strict)
    assert held["state"] == "failed"
    assert held["tasks"]["check_load"] == ["failed"]
    assert query(database_url, "SELECT status FROM ingest_runs") == [("held",)]
    assert query(database_url, "SELECT count(*) FROM appointments") == [(0,)]
    released = dag_process("play", "ingest_appointments", conf(release_run_id=held["run_id"]), strict)
    assert released["state"] == "success"
    assert released["tasks"]["release_load"] == ["success"]
    assert released["tasks"]["start_load"] == ["skipped"]
    assert query(database_url, "SELECT status FROM ingest_runs") == [("loaded",)]
    assert query(database_url, "SELECT count(*) > 50 FROM appointments") == [(True,)]


def test_a_failed_run_is_mailed_with_what_to_do(
    dag_process: PlayDag, settings: dict[str, str], sandbox: SandboxServer
) -> None:
    run_id = "manual__2027-03-28T09:00:00+00:00"
    assert dag_process("fail", "ingest_appointments", {"run_id": run_id}, settings)["called"] == 1
    (mail,) = sandbox.ledger.messages("email")
    assert mail["to"] == [ALERT_TO]
    text = json.dumps(mail, default=str, ensure_ascii=False)
    assert "carenotify: ingest_appointments failed" in text
