"""Real workers, a real mail server, and no Airflow at all: that a day has no plan is mailed all the same."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from carenotify.app import App, build_app
from carenotify.config import load_settings
from carenotify.sandbox.mail import readable
from carenotify.sandbox.server import SandboxServer
from tests.integration.alerting import all_alerts
from tests.integration.ward import process_settings, wait_for
from tests.integration.worker.worker_process import running_worker, sandbox_settings


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(reminder_day=date(2026, 11, 27), timezone=ZoneInfo("Europe/Berlin"), appointments=1) as server:
        yield server


@pytest.fixture
def settings(database_url: str, broker_url: str, sandbox: SandboxServer) -> dict[str, str]:
    return process_settings(database_url, broker_url) | {
        **sandbox_settings(sandbox),
        "CARENOTIFY_SEND_WINDOW": "00:00-24:00",
        "CARENOTIFY_ALERT_PLAN_GRACE_MINUTES": "0.02",
    }


@pytest.fixture
def app(settings: dict[str, str]) -> Iterator[App]:
    app = build_app(load_settings(settings))
    yield app
    app.close()


def mails_of(sandbox: SandboxServer) -> list[dict[str, Any]]:
    return [readable(dict(kept)) for kept in sandbox.sandbox.ledger.messages("email")]


def test_two_workers_without_airflow_mail_once_that_nothing_was_planned(
    app: App, sandbox: SandboxServer, settings: dict[str, str], tmp_path: Path
) -> None:
    told = settings | {"CARENOTIFY_ALERT_TO": "staff@hospital.example"}
    with ExitStack() as running:
        workers = [
            running.enter_context(running_worker(told, tmp_path / f"log {number}", "--channels", "email"))
            for number in range(2)
        ]
        wait_for(lambda: bool(mails_of(sandbox)), seconds=40)
        wait_for(lambda: all("delivering" in worker.log for worker in workers))
        wait_for(lambda: all(alert.mailed_at is not None for alert in all_alerts(app)))
        for worker in workers:
            assert worker.end(signal.SIGTERM) == 0
    (mail,) = mails_of(sandbox)
    (alert,) = all_alerts(app)
    assert mail["subject"] == f"carenotify: no plan for {alert.subject}"
    assert mail["to"] == ["staff@hospital.example"]
    assert all("cannot mail staff" not in worker.log for worker in workers)


def test_a_worker_of_a_hospital_that_named_nobody_says_so_at_its_start_and_keeps_its_alerts(
    app: App, sandbox: SandboxServer, settings: dict[str, str], tmp_path: Path
) -> None:
    with running_worker(settings, tmp_path / "log", "--channels", "email") as worker:
        wait_for(lambda: bool(all_alerts(app)), seconds=40)
        assert worker.end(signal.SIGTERM) == 0
        assert worker.log.count("CARENOTIFY_ALERT_TO: is not set") == 1
    assert mails_of(sandbox) == []
