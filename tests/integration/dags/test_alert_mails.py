"""What Airflow does when a run fails or is late, by Airflow's own code, with a real mail server and database."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from carenotify.app import App
from carenotify.domain.alert_mail import AlertMail
from carenotify.storage.ingest_runs import settle_run, start_run
from stack import airflow
from tests.integration.dags.conftest import Mailbox, PlayDag, query
from tests.integration.ward import process_settings

RUN = "scheduled__2026-11-24T08:00:00+00:00"
LINK = "http://airflow.example/dags/replay_dead_letters/runs/scheduled__2026-11-24T08%3A00%3A00%2B00%3A00"
DAG = "replay_dead_letters"
LATE: dict[str, Any] = {"dag_run_id": RUN, "state": "running", "run_type": "scheduled"}


@pytest.fixture
def settings(database_url: str, mailbox: Mailbox) -> dict[str, str]:
    return process_settings(database_url) | {
        "CARENOTIFY_ALERT_TO": "operations@hospital.example, nights@hospital.example",
        "CARENOTIFY_EMAIL_FROM": "Klinikum Süd <info@hospital.example>",
        "CARENOTIFY_PUBLIC_URL": "http://airflow.example/",
        "AIRFLOW_CONN_SMTP_DEFAULT": mailbox.connection,
    }


def noted(settings: dict[str, str]) -> list[tuple[Any, ...]]:
    told = "SELECT kind, subject, mail_id IS NOT NULL, mailed_at IS NOT NULL FROM alerts ORDER BY id"
    return query(settings["CARENOTIFY_DATABASE_URL"], told)


def test_a_run_that_failed_is_mailed_at_once_and_once(
    dag_process: PlayDag, settings: dict[str, str], mailbox: Mailbox
) -> None:
    assert dag_process("fail", DAG, {"run_id": RUN}, settings)["called"] == 1
    (mail,) = mailbox.mails
    assert mailbox.recipients == [["operations@hospital.example", "nights@hospital.example"]]
    assert mail["Subject"] == "carenotify: replay_dead_letters failed"
    assert mail["From"] == "Klinikum Süd <info@hospital.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert f'<a href="{LINK}">' in mailbox.html()
    assert "What to do: Nothing is half done" in mailbox.html()
    assert "docs/operations.md#task_failed" in mailbox.html()
    assert noted(settings) == [("task_failed", f"{DAG} {RUN}", True, True)]
    ((mail_id,),) = query(settings["CARENOTIFY_DATABASE_URL"], "SELECT mail_id FROM alerts")
    assert mail["Message-ID"] == f"<carenotify-{mail_id}@hospital.example>"

    dag_process("fail", DAG, {"run_id": RUN}, settings)  # as a DAG processor does that was ended in between
    assert len(mailbox.mails) == 1


def test_a_run_that_takes_too_long_is_mailed_by_what_the_executor_calls(
    dag_process: PlayDag, settings: dict[str, str], mailbox: Mailbox
) -> None:
    assert dag_process("be_late", DAG, LATE, settings)["done"]
    (mail,) = mailbox.mails
    assert mail["Subject"] == "carenotify: replay_dead_letters takes too long"
    assert f'<a href="{LINK}">' in mailbox.html()
    assert "docs/operations.md#deadline_missed" in mailbox.html()
    assert noted(settings) == [("deadline_missed", f"{DAG} {RUN}", True, True)]


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(LATE | {"state": "failed"}, id="it has failed, of which they were told"),
        pytest.param(LATE | {"run_type": "backfill"}, id="it waits for the others of its backfill"),
    ],
)
def test_nobody_is_told_that_a_run_is_late_when(
    dag_process: PlayDag, settings: dict[str, str], mailbox: Mailbox, run: dict[str, Any]
) -> None:
    assert dag_process("be_late", DAG, run, settings)["done"]
    assert mailbox.mails == []
    assert noted(settings) == []


def test_without_our_database_the_mail_goes_out_all_the_same_and_is_one_for_both_calls(
    dag_process: PlayDag, settings: dict[str, str], mailbox: Mailbox
) -> None:
    away = settings | {"CARENOTIFY_DATABASE_URL": "postgresql://someone:hush-hush@127.0.0.1:9/none"}
    for _ in range(2):  # as a scheduler may call
        assert "hush-hush" not in dag_process("fail", DAG, {"run_id": RUN}, away)["log"]
    failed, again = mailbox.mails
    assert failed["Subject"] == "carenotify: replay_dead_letters failed"
    assert failed["Message-ID"] == again["Message-ID"]


def test_with_nobody_to_mail_it_stands_on_the_page(
    dag_process: PlayDag, settings: dict[str, str], mailbox: Mailbox
) -> None:
    dag_process("fail", DAG, {"run_id": RUN}, settings | {"CARENOTIFY_ALERT_TO": ""})
    assert mailbox.mails == []
    assert noted(settings) == [("task_failed", f"{DAG} {RUN}", False, False)]


def test_what_the_mail_server_refused_waits_and_its_answer_is_not_logged(
    dag_process: PlayDag, settings: dict[str, str], mailbox: Mailbox
) -> None:
    mailbox.refuses = True
    log = dag_process("fail", DAG, {"run_id": RUN}, settings)["log"]
    assert "no mail server took the mail (SMTPRecipientsRefused)" in log
    assert "@hospital.example" not in log
    assert noted(settings) == [("task_failed", f"{DAG} {RUN}", False, False)]


def test_a_receiver_whom_the_server_refuses_is_counted_in_the_log_and_keeps_it_from_nobody(
    dag_process: PlayDag, settings: dict[str, str], mailbox: Mailbox
) -> None:
    mailbox.refuses = "nights@hospital.example"
    logs = [dag_process("fail", DAG, {"run_id": RUN}, settings)["log"]]
    query(settings["CARENOTIFY_DATABASE_URL"], "UPDATE alerts SET mailed_at = NULL, mail_until = now() RETURNING 1")
    logs.append(dag_process("play", "watch_delivery", {}, settings)["log"])
    assert mailbox.recipients == [["operations@hospital.example"]] * 2
    for log in logs:
        assert "1 receivers of alerts got no mail: 550" in log
        assert "nights@" not in log


def test_a_silent_mail_server_makes_the_task_fail_long_before_it_is_cut_off(
    dag_process: PlayDag, settings: dict[str, str]
) -> None:
    dag_process("fail", DAG, {"run_id": RUN}, settings | {"CARENOTIFY_ALERT_TO": ""})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        extra = {"disable_ssl": True, "disable_tls": True, "timeout": 1, "retry_limit": 100}
        port = silent.getsockname()[1]
        there = {"AIRFLOW_CONN_SMTP_DEFAULT": airflow.connection("smtp", host="127.0.0.1", port=port, extra=extra)}
        played = dag_process("play_without_retries", "watch_delivery", {}, settings | there)
    assert played["tasks"]["mail"] == ["failed"]
    assert noted(settings) == [("task_failed", f"{DAG} {RUN}", False, False)]


@pytest.mark.parametrize(
    ("smtp", "aws", "waits"),
    [
        ({}, {}, [15, 1]),
        ({"timeout": 90, "retry_limit": 9}, {"read_timeout": 90}, [15, 1]),
        ({"timeout": 5}, {}, [5, 1]),
    ],
    ids=["nothing named", "too much named", "less named"],
)
def test_no_way_to_mail_waits_longer_than_a_task_has_time(
    dag_process: PlayDag, settings: dict[str, str], smtp: dict[str, Any], aws: dict[str, Any], waits: list[int]
) -> None:
    ways = {
        "AIRFLOW_CONN_SMTP_DEFAULT": airflow.connection("smtp", host="mail.example", extra=smtp),
        "AIRFLOW_CONN_AWS_DEFAULT": airflow.connection(
            "aws",
            extra={"region_name": "eu-central-1", "config_kwargs": {"proxies": {"https": "proxy.example"}, **aws}},
        ),
    }
    answer = dag_process("bounds", "", {}, settings | ways)
    assert answer["smtp"] == waits
    assert answer["ses"] == [15, 15, 2]
    assert answer["ses proxies"] == {"https": "proxy.example"}  # the rest of the connection stands


def test_a_mail_that_was_perhaps_taken_keeps_its_message_id(
    dag_process: PlayDag, settings: dict[str, str], mailbox: Mailbox
) -> None:
    mailbox.breaks_off = True
    dag_process("fail", DAG, {"run_id": RUN}, settings)
    ((mail_id,),) = query(settings["CARENOTIFY_DATABASE_URL"], "SELECT mail_id FROM alerts WHERE mailed_at IS NULL")
    assert {mail["Message-ID"] for mail in mailbox.mails} == {f"<carenotify-{mail_id}@hospital.example>"}

    mailbox.breaks_off = False
    assert dag_process("play", "watch_delivery", {}, settings)["state"] == "success"  # the next one, two minutes later
    assert len({mail["Message-ID"] for mail in mailbox.mails}) == 1
    assert noted(settings) == [("task_failed", f"{DAG} {RUN}", True, True)]


def test_what_no_mail_server_took_waits_to_be_mailed_with_the_rest(
    dag_process: PlayDag, settings: dict[str, str], mailbox: Mailbox
) -> None:
    mailbox.close()
    dag_process("fail", DAG, {"run_id": RUN}, settings)
    answer = dag_process("be_late", DAG, LATE, settings)
    assert not answer["done"]
    assert noted(settings) == [
        ("task_failed", f"{DAG} {RUN}", False, False),
        ("deadline_missed", f"{DAG} {RUN}", False, False),
    ]


# --- a load that is held ---------------------------------------------------------------------


def load_is(app: App, status: str, reason: str) -> None:
    now = app.clock()
    with app.database.transaction() as transaction:
        start_run(transaction, run_id=RUN, now=now, first_day=now.date(), last_day=now.date())
        settle_run(transaction, run_id=RUN, status=status, now=now, reason=reason)


def told_by_watch_delivery(app: App) -> list[AlertMail]:
    """Its next look, and what it mails."""
    assert app.delivery_watch.look() == {}
    mails: list[AlertMail] = []
    app.alert_mailer.mail(mails.append)
    return mails


def test_a_held_load_is_told_at_once_with_its_reason_then_its_end_and_nothing_twice(
    dag_process: PlayDag, settings: dict[str, str], mailbox: Mailbox, app: App
) -> None:
    load_is(app, "held", "patients would be told of 612 changes ahead")
    for _ in range(2):  # as a scheduler may call
        dag_process("fail", "ingest_appointments", {"run_id": RUN}, settings)
    (mail,) = mailbox.mails
    assert mail["Subject"] == "carenotify: 1 load held"
    run = LINK.replace(DAG, "ingest_appointments")
    for told in ("is held", "612 changes ahead", "release_run_id", run, "docs/operations.md#load_held"):
        assert told in mailbox.html()
    assert noted(settings) == [("load_held", RUN, True, True)]
    assert told_by_watch_delivery(app) == []

    with app.database.transaction() as transaction:
        settle_run(transaction, run_id=RUN, status="discarded", now=app.clock(), reason="discarded by a person")
    (end,) = told_by_watch_delivery(app)
    assert end.subject == "carenotify: over: 1 load held"
    assert told_by_watch_delivery(app) == []


def test_a_held_load_whose_mail_nobody_took_is_mailed_by_watch_delivery(
    dag_process: PlayDag, settings: dict[str, str], mailbox: Mailbox, app: App
) -> None:
    load_is(app, "held", "612 changes")
    mailbox.refuses = True
    dag_process("fail", "ingest_appointments", {"run_id": RUN}, settings)
    assert noted(settings) == [("load_held", RUN, False, False)]
    (mail,) = told_by_watch_delivery(app)
    assert mail.subject == "carenotify: 1 load held"


def test_a_load_that_failed_is_told_as_its_run(
    dag_process: PlayDag, settings: dict[str, str], mailbox: Mailbox, app: App
) -> None:
    load_is(app, "failed", "a step of the load failed")
    dag_process("fail", "ingest_appointments", {"run_id": RUN}, settings)
    assert [mail["Subject"] for mail in mailbox.mails] == ["carenotify: ingest_appointments failed"]
    assert noted(settings) == [("task_failed", f"ingest_appointments {RUN}", True, True)]


def test_a_held_load_is_told_as_a_failed_run_without_our_database_and_as_held_once_it_is_back(
    dag_process: PlayDag, settings: dict[str, str], mailbox: Mailbox, app: App
) -> None:
    load_is(app, "held", "612 changes")
    away = {"CARENOTIFY_DATABASE_URL": "postgresql://someone@127.0.0.1:9/none"}
    dag_process("fail", "ingest_appointments", {"run_id": RUN}, settings | away)
    assert [mail["Subject"] for mail in mailbox.mails] == ["carenotify: ingest_appointments failed"]
    assert "a load that is held a mail of its own says why" in mailbox.html()
    assert app.delivery_watch.look() == {"load_held": 1}
    mails: list[AlertMail] = []
    app.alert_mailer.mail(mails.append)
    assert [mail.subject for mail in mails] == ["carenotify: 1 load held"]
