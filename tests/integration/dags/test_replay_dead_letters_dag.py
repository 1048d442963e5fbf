"""The replay DAG as Airflow runs it: a form in, counts out, and nothing personal in its log."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from carenotify.app import App
from carenotify.domain.window import local_day
from tests.integration.dags.conftest import PlayDag
from tests.integration.ward import Hospital, process_settings

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def settings(database_url: str) -> dict[str, str]:
    return process_settings(database_url) | {
        "CARENOTIFY_SEND_WINDOW": "00:00-24:00",
    }


@pytest.fixture
def hospital(app: App) -> Hospital:
    """Three SMS that failed, one of them of an appointment that has moved since."""
    hospital = Hospital(app.database)
    today = local_day(app.clock(), BERLIN)
    start = datetime.combine(today + timedelta(days=2), time(10), BERLIN)
    for number in range(3):
        hospital.add_patient(f"p{number}", given_name="Zebedaeus", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}", start=start)
    app.reminder_planner.plan(today)
    hospital.query("UPDATE notifications SET status = 'failed', reason = 'retries_spent' RETURNING 1")
    hospital.query(
        "INSERT INTO dead_letters (notification_id, reason, attempts, created_at)"
        " SELECT id, 'retries_spent', 6, now() FROM notifications RETURNING 1"
    )
    hospital.add_appointment("a0", "p0", start=start + timedelta(hours=1))
    return hospital


def test_a_run_replays_what_the_form_says_and_counts_it(
    dag_process: PlayDag, settings: dict[str, str], hospital: Hospital
) -> None:
    def play(**conf: Any) -> str:
        run = dag_process("play", "replay_dead_letters", conf, settings)
        assert run["state"] == "success", run["log"][-8000:]
        assert "Zebedaeus" not in run["log"]
        log: str = run["log"]
        return log

    counted = "'replayed': 2, 'appointment_changed': 1"
    assert counted in play(dry_run=True)
    assert hospital.statuses() == Counter(failed=3)
    assert counted in play(reasons=["retries_spent", "wording"], channel="sms")
    assert hospital.statuses() == Counter(pending=2, failed=1)
    [(by,)] = hospital.query("SELECT DISTINCT actor FROM audit_log WHERE action = 'dead_letter.replayed'")
    assert by.startswith("dag:replay_dead_letters:manual__")
