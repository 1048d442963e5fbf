"""The reminder DAG as Airflow runs it, on real PostgreSQL and RabbitMQ."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest

from carenotify.app import App
from carenotify.domain.window import local_day
from carenotify.messaging import topology
from carenotify.sandbox.mail import readable
from carenotify.sandbox.server import SandboxServer
from tests.integration.dags.conftest import PlayDag
from tests.integration.ward import Hospital, process_settings

BERLIN = ZoneInfo("Europe/Berlin")
ALERT_TO = "operations@hospital.example"
PATIENTS = 30


@pytest.fixture
def settings(database_url: str, broker_url: str) -> dict[str, str]:
    database = urlsplit(database_url)
    connection = {
        "conn_type": "postgres",
        "host": database.hostname,
        "port": database.port,
        "login": database.username,
        "password": database.password,
        "schema": database.path.lstrip("/"),
    }
    return process_settings(database_url, broker_url) | {
        "CARENOTIFY_SEND_WINDOW": "00:00-24:00",
        "CARENOTIFY_PUBLISH_BATCH": "40",
        "CARENOTIFY_ALERT_TO": ALERT_TO,
        "CARENOTIFY_PUBLIC_URL": "http://airflow.example",
        "AIRFLOW_CONN_CARENOTIFY_DB": json.dumps(connection),
    }


@pytest.fixture
def today(app: App) -> date:
    return local_day(app.clock(), BERLIN)


@pytest.fixture
def hospital(app: App, today: date) -> Hospital:
    """Patients with an appointment in two days, each told by SMS and mail."""
    hospital = Hospital(app.database)
    start = datetime.combine(today + timedelta(days=2), time(10), BERLIN)
    for number in range(PATIENTS):
        hospital.add_patient(f"p{number}", given_name="Zebedaeus")
        hospital.add_appointment(f"a{number}", f"p{number}", start=start)
    return hospital


def states(run: dict[str, Any]) -> dict[str, Counter[str]]:
    return {task: Counter(state.rpartition(".")[2].lower() for state in found) for task, found in run["tasks"].items()}


def test_a_day_is_planned_and_published_once_also_after_the_broker_was_away(
    dag_process: PlayDag, settings: dict[str, str], hospital: Hospital, today: date, broker_url: str
) -> None:
    def play(broker: str = broker_url, **conf: Any) -> dict[str, Any]:
        run = dag_process("play_without_retries", "send_reminders", conf, settings | {"CARENOTIFY_BROKER_URL": broker})
        for personal in ("Zebedaeus", "15112345678", "anna@example.org", "hush-hush"):
            assert personal not in run["log"]
        return run

    away = play("amqp://someone:hush-hush@127.0.0.1:9/")
    assert states(away) == {"plan": {"success": 1}, "publish": {"failed": 2}, "nothing_waits": {"upstream_failed": 1}}
    assert away["state"] == "failed"
    assert "RabbitMQ cannot be reached; what was to be published stays pending" in away["log"]
    assert hospital.statuses() == Counter(pending=2 * PATIENTS)

    retried = play()
    assert retried["state"] == "success", retried["log"][-8000:]
    assert states(retried) == {"plan": {"success": 1}, "publish": {"success": 2}, "nothing_waits": {"success": 1}}
    assert sorted(retried["labels"]["publish"]) == ["batch 1: 40 reminders", "batch 2: 20 reminders"]
    assert sorted(away["labels"]["publish"]) == sorted(retried["labels"]["publish"])  # also where it failed
    assert hospital.statuses() == Counter(queued=2 * PATIENTS)

    again = play()
    assert states(again) == {"plan": {"success": 1}, "publish": {"skipped": 1}, "nothing_waits": {"success": 1}}

    yesterday = (today - timedelta(days=1)).isoformat()
    past = play(day=yesterday)
    assert past["state"] == "success"
    assert states(past) == {"plan": {"skipped": 1}, "publish": {"skipped": 1}, "nothing_waits": {"success": 1}}
    assert f"of {yesterday} is over" in past["log"]

    assert hospital.statuses() == Counter(queued=2 * PATIENTS)
    assert sum(topology.ready_counts(broker_url).values()) == 2 * PATIENTS


def test_a_failed_run_is_mailed_with_what_to_do_and_nothing_personal(
    dag_process: PlayDag, settings: dict[str, str]
) -> None:
    with SandboxServer(reminder_day=date(2026, 11, 27), timezone=BERLIN, appointments=5) as sandbox:
        mail = urlsplit(sandbox.smtp_url)
        connection = {
            "conn_type": "smtp",
            "host": mail.hostname,
            "port": mail.port,
            "extra": {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@hospital.example"},
        }
        reached = settings | {"AIRFLOW_CONN_SMTP_DEFAULT": json.dumps(connection)}
        run_id = "scheduled__2026-11-24T08:00:00+00:00"
        assert dag_process("fail", "send_reminders", {"run_id": run_id}, reached)["called"] == 1
        (mailed,) = sandbox.ledger.messages("email")
    assert mailed["to"] == [ALERT_TO]
    told = readable(mailed)
    assert told["subject"] == "carenotify: send_reminders failed"
    link = "http://airflow.example/dags/send_reminders/runs/scheduled__2026-11-24T08%3A00%3A00%2B00%3A00"
    assert f'<a href="{link}">' in told["html"]
    assert "Reminders that were planned are not lost" in told["html"]
