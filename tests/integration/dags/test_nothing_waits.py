"""The reminder DAG's closing check, on real rows: what nobody published is found, what a worker put off is not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from carenotify.app import App, build_app
from carenotify.domain.window import local_day
from tests.integration.ward import Hospital, make_settings

DAG_FILE = Path(__file__).parents[3] / "dags" / "send_reminders.py"
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def app(database_url: str) -> Iterator[App]:
    app = build_app(make_settings(database_url, CARENOTIFY_SEND_WINDOW="00:00-24:00"))
    yield app
    app.close()


@pytest.fixture
def hospital(app: App) -> Hospital:
    """One reminder that waits to be published."""
    hospital = Hospital(app.database)
    hospital.add_patient("anna", mail=None)
    today = local_day(app.clock(), BERLIN)
    hospital.add_appointment("a1", "anna", start=datetime.combine(today + timedelta(days=2), time(10), BERLIN))
    app.reminder_planner.plan(today)
    return hospital


def nothing_waits(hospital: Hospital) -> bool:
    (sql,) = (
        ast.literal_eval(line.value)
        for line in ast.parse(DAG_FILE.read_text()).body
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "NOTHING_WAITS"
    )
    ((answer,),) = hospital.query(sql)
    return bool(answer)


def test_a_reminder_that_nobody_published_fails_the_check(hospital: Hospital) -> None:
    assert not nothing_waits(hospital)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("status = 'queued'", id="published"),
        pytest.param("reason = 'throttled'", id="put off by a busy provider, which costs no attempt"),
        pytest.param("attempts = 1, reason = 'temporary_failure'", id="to be tried again"),
        pytest.param("due_at = now() + interval '1 hour'", id="not due yet"),
        pytest.param("expires_at = now()", id="over"),
    ],
)
def test_what_has_left_or_was_put_off_does_not(hospital: Hospital, change: str) -> None:
    hospital.query(f"UPDATE notifications SET {change} RETURNING 1")
    assert nothing_waits(hospital)


def test_a_paused_channel_is_not_waited_for(hospital: Hospital) -> None:
    hospital.query("INSERT INTO pauses (channel, paused_at, paused_by) VALUES ('sms', now(), 'a test') RETURNING 1")
    assert nothing_waits(hospital)
