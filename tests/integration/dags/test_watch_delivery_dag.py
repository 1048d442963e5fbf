"""The DAG that watches delivery as Airflow runs it: failures in, one mail out, on real PostgreSQL and a mail server."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from carenotify.app import App
from carenotify.domain.window import local_day
from tests.integration.dags.conftest import Mailbox, PlayDag
from tests.integration.ward import Hospital, process_settings

BERLIN = ZoneInfo("Europe/Berlin")
PERSONAL = ("Zebedaeus", "15112345678", "anna@example.org")


@pytest.fixture
def settings(database_url: str, mailbox: Mailbox) -> dict[str, str]:
    return process_settings(database_url) | {
        "CARENOTIFY_SEND_WINDOW": "00:00-24:00",
        "CARENOTIFY_ALERT_TO": "operations@hospital.example, nights@hospital.example",
        "CARENOTIFY_EMAIL_FROM": "Klinikum Süd <info@hospital.example>",
        "CARENOTIFY_PUBLIC_URL": "http://airflow.example",
        "AIRFLOW_CONN_SMTP_DEFAULT": mailbox.connection,
    }


@pytest.fixture
def hospital(app: App) -> Hospital:
    """Six SMS, of which five failed for two reasons."""
    hospital = Hospital(app.database)
    today = local_day(app.clock(), BERLIN)
    start = datetime.combine(today + timedelta(days=2), time(10), BERLIN)
    for number in range(6):
        hospital.add_patient(f"p{number}", given_name="Zebedaeus", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}", start=start)
    app.reminder_planner.plan(today)
    for patients, reason in ((("p0", "p1", "p2"), "retries_spent"), (("p3", "p4"), "address_rejected")):
        hospital.query(
            f"UPDATE notifications SET status = 'failed', reason = '{reason}', finished_at = now() - interval '5 min'"
            f" WHERE patient_id IN {patients} RETURNING 1"
        )
    return hospital


def test_failures_are_mailed_once_in_groups_and_then_there_is_silence(
    dag_process: PlayDag, settings: dict[str, str], hospital: Hospital, mailbox: Mailbox
) -> None:
    def play() -> dict[str, Any]:
        run = dag_process("play", "watch_delivery", {}, settings)
        assert run["state"] == "success", run["log"][-8000:]
        assert [personal for personal in PERSONAL if personal in run["log"]] == []
        return run

    assert "'delivery_failed': 5" in play()["log"]
    (mail,) = mailbox.mails
    assert mailbox.recipients == [["operations@hospital.example", "nights@hospital.example"]]
    assert mail["From"] == "Klinikum Süd <info@hospital.example>"
    ((mail_id,),) = hospital.query("SELECT DISTINCT mail_id FROM alerts WHERE mailed_at IS NOT NULL")
    assert mail["Message-ID"] == f"<carenotify-{mail_id}@hospital.example>"
    plain = mail.get_body(("plain",))
    assert plain is not None
    for told in (plain.get_content(), mailbox.html()):
        assert "retries_spent" in told
        assert "address_rejected" in told
        assert "http://airflow.example/carenotify/page#" in told
        assert [personal for personal in PERSONAL if personal in told] == []
    assert hospital.query("SELECT count(*), max(count) FROM alerts") == [(2, 3)]

    again = play()
    assert again["tasks"] == {"look": ["success"], "mail": ["success"]}
    assert len(mailbox.mails) == 1


def test_a_mail_server_that_is_down_delays_everything_to_one_mail(
    dag_process: PlayDag, settings: dict[str, str], hospital: Hospital, mailbox: Mailbox
) -> None:
    mailbox.close()
    dag_process("fail", "replay_dead_letters", {"run_id": "manual__2026-11-24T08:00:00+00:00"}, settings)
    for _ in range(2):
        run = dag_process("play_without_retries", "watch_delivery", {}, settings)
        assert (run["state"], run["tasks"]) == ("failed", {"look": ["success"], "mail": ["failed"]})
        assert "no mail server took the mail (ConnectionRefusedError)" in run["log"]
        dag_process("fail", "watch_delivery", {"run_id": run["run_id"]}, settings)
    waiting = "SELECT kind, count(*)::int FROM alerts WHERE mailed_at IS NULL AND mail_id IS NULL GROUP BY 1 ORDER BY 1"
    assert hospital.query(waiting) == [("delivery_failed", 2), ("task_failed", 3)]

    mailbox.open()
    reached = settings | {"AIRFLOW_CONN_SMTP_DEFAULT": mailbox.connection}
    assert dag_process("play", "watch_delivery", {}, reached)["state"] == "success"
    assert len(mailbox.mails) == 1
    for told in ("retries_spent", "replay_dead_letters", "watch_delivery"):
        assert told in mailbox.html()
    assert hospital.query(waiting) == []


def test_with_nobody_to_mail_the_alerts_are_kept_and_the_mail_is_skipped(
    dag_process: PlayDag, settings: dict[str, str], hospital: Hospital, mailbox: Mailbox
) -> None:
    run = dag_process("play", "watch_delivery", {}, settings | {"CARENOTIFY_ALERT_TO": ""})
    assert (run["state"], run["tasks"]) == ("success", {"look": ["success"], "mail": ["skipped"]})
    assert hospital.query("SELECT count(*) FROM alerts WHERE mailed_at IS NULL") == [(2,)]
    assert mailbox.mails == []
