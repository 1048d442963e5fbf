"""The DAG that mails the day's report as Airflow runs it, on real PostgreSQL and a mail server."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from carenotify.app import App
from carenotify.domain.window import local_day
from tests.integration.dags.conftest import Mailbox, PlayDag
from tests.integration.ward import Hospital, process_settings

BERLIN = ZoneInfo("Europe/Berlin")
DAG = "mail_delivery_report"
PERSONAL = ("Zebedaeus", "15112345678", "anna@example.org")


@pytest.fixture
def settings(module_database_url: str, mailbox: Mailbox) -> dict[str, str]:
    return process_settings(module_database_url) | {
        "CARENOTIFY_SEND_WINDOW": "00:00-24:00",
        "CARENOTIFY_HOSPITAL_NAME": "St. Mary",
        "CARENOTIFY_REPORT_TO": "head@hospital.example",
        "CARENOTIFY_ALERT_TO": "operations@hospital.example",
        "CARENOTIFY_EMAIL_FROM": "Klinikum Süd <info@hospital.example>",
        "CARENOTIFY_SMTP_URL": mailbox.url,
    }


def test_the_day_that_is_asked_for_is_mailed_and_the_counts_alone_are_left_in_airflow(
    dag_process: PlayDag, settings: dict[str, str], app: App, mailbox: Mailbox
) -> None:
    hospital, today = Hospital(app.database), local_day(app.clock(), BERLIN)
    for patient in ("anna", "berta"):
        hospital.add_patient(patient, given_name="Zebedaeus")
        start = datetime.combine(today + timedelta(days=2), time(10), BERLIN)
        hospital.add_appointment(f"of-{patient}", patient, start=start)
    app.reminder_planner.plan(today)
    hospital.query(
        "UPDATE notifications SET status = CASE patient_id WHEN 'anna' THEN 'delivered' ELSE 'failed' END RETURNING 1"
    )
    run = dag_process("play", DAG, {"day": today.isoformat()}, settings)
    assert (run["state"], run["tasks"]) == ("success", {"mail": ["success"]}), run["log"][-8000:]
    (mail,) = mailbox.mails
    assert mailbox.recipients == [["head@hospital.example"]]
    assert mail["Subject"].strip().startswith("so far 50.0 % of 2 reached: report of ")
    assert [part.get_filename() for part in mail.iter_attachments()] == [f"delivery-{today}.csv"]
    assert "'patient_days_not_reached': 1" in run["log"]
    assert [personal for personal in PERSONAL if personal in run["log"] or personal in mailbox.html()] == []


def test_a_mail_server_that_is_down_fails_the_run_and_the_log_names_no_receiver(
    dag_process: PlayDag, settings: dict[str, str], mailbox: Mailbox
) -> None:
    mailbox.close()
    run = dag_process("play_without_retries", DAG, {}, settings)
    assert (run["state"], run["tasks"]) == ("failed", {"mail": ["failed"]})
    assert "the mail server cannot be reached: connection-refused" in run["log"]
    assert "head@hospital.example" not in run["log"]


def test_a_day_that_is_asked_for_is_refused_while_it_is_still_to_come(
    dag_process: PlayDag, settings: dict[str, str], mailbox: Mailbox
) -> None:
    run = dag_process("play", DAG, {"day": "2199-01-01"}, settings)
    assert (run["state"], run["tasks"]) == ("failed", {"mail": ["failed"]})
    assert "2199-01-01 is still to come" in run["log"]
    assert mailbox.mails == []
