"""The worker as it is deployed: a process, real servers, providers over the network, and signals."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cryptography.fernet import Fernet

from carenotify.app import App, build_app
from carenotify.config import load_settings
from carenotify.domain.notification import Lane
from carenotify.domain.window import local_day
from carenotify.journeys import relay_due
from carenotify.sandbox.server import SandboxServer
from tests.integration.ward import Hospital, process_settings, wait_for
from tests.integration.worker.worker_process import ROOT, clean_environment, running_worker, sandbox_settings

BERLIN = ZoneInfo("Europe/Berlin")
CLAIM_SECONDS = 2
THREADS = 8


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(reminder_day=date(2026, 11, 27), timezone=BERLIN, appointments=5) as server:
        yield server


@pytest.fixture
def settings(database_url: str, broker_url: str, sandbox: SandboxServer) -> dict[str, str]:
    return process_settings(database_url, broker_url) | {
        **sandbox_settings(sandbox),
        "CARENOTIFY_SEND_WINDOW": "00:00-24:00",
        "CARENOTIFY_PUBLIC_URL": sandbox.url,
        "CARENOTIFY_SEND_THREADS": str(THREADS),
        "CARENOTIFY_CLAIM_SECONDS": str(CLAIM_SECONDS),
        "CARENOTIFY_RELAY_INTERVAL_SECONDS": "0.1",
    }


@pytest.fixture
def app(settings: dict[str, str]) -> Iterator[App]:
    app = build_app(load_settings(settings))
    yield app
    app.close()


@pytest.fixture
def hospital(app: App) -> Hospital:
    return Hospital(app.database)


def add_reminders(app: App, hospital: Hospital, patients: int) -> None:
    """Plan and publish two messages for each patient. Numbers end in digits that the sandbox has no fault for."""
    today = local_day(app.clock(), BERLIN)
    start = datetime.combine(today + timedelta(days=2), datetime.min.time(), BERLIN).replace(hour=10)
    first = hospital.add_patient("p0", phone="+4915110000100", mail="p0@example.org")
    hospital.add_appointment("a0", first.id, start=start)
    for number in range(1, patients):
        hospital.add_patient(f"p{number}", phone=f"+49151{10000100 + number}", mail=f"p{number}@example.org")
        hospital.add_appointment(f"a{number}", f"p{number}", start=start)
    planned = app.reminder_planner.plan(today)
    assert planned.planned == 2 * patients
    assert app.due_publisher.publish_due(Lane.LOW).confirmed == 2 * patients


def sent_ids(hospital: Hospital) -> set[str]:
    return {str(row[0]) for row in hospital.query("SELECT id FROM notifications WHERE status = 'sent'")}


def waiting_for(number: signal.Signals, threads: Path) -> set[str]:
    """The threads to which this signal may be delivered: those that do not block it (`SigBlk` of proc(5))."""
    masks = {
        thread.name: next(line for line in (thread / "status").read_text().splitlines() if line.startswith("SigBlk"))
        for thread in threads.iterdir()
    }
    return {thread for thread, mask in masks.items() if not int(mask.split()[1], 16) >> (number - 1) & 1}


def test_every_message_of_both_channels_is_delivered_once_and_sigterm_drains(
    app: App, hospital: Hospital, sandbox: SandboxServer, settings: dict[str, str], tmp_path: Path
) -> None:
    add_reminders(app, hospital, 150)
    with running_worker(settings, tmp_path / "log") as worker, worker.scraped_all_the_time() as scraped:
        wait_for(lambda: worker.ask("/ready")[0] == 200)
        wait_for(lambda: hospital.statuses() == Counter(sent=300), seconds=60)
        status, answer = worker.ask("/health")
        assert status == 200
        assert {name: counts["sent"] for name, counts in answer["channels"].items()} == {"sms": 150, "email": 150}  # type: ignore[attr-defined]
        told = worker.scrape()
        assert told is not None
        assert told.total("carenotify_delivery_attempts_total", outcome="sent", provider="twilio") == 150
        assert told.total("carenotify_delivery_attempts_total", outcome="sent", provider="smtp") == 150
        assert told.total("carenotify_provider_call_seconds_count") == 300
        assert told.value("process_open_fds") > 3
        assert told.total("carenotify_loop_rounds_total", loop="valve", outcome="done") > 0
        assert worker.end() == 0
        assert "stopped" in worker.log
        assert "@example.org" not in worker.log
        assert "+49151" not in worker.log
    assert len(scraped) > 3  # each of them whole, from its start to its end
    counts = sandbox.counts()
    assert {one["times"] for one in counts.values()} == {1}
    assert set(counts) == sent_ids(hospital)
    assert Counter(one["channel"] for one in counts.values()) == {"sms": 150, "email": 150}
    assert not sandbox.ledger.without_id


def test_whose_number_is_out_of_use_is_told_by_mail_without_anybody_stepping_in(
    app: App, hospital: Hospital, sandbox: SandboxServer, settings: dict[str, str], tmp_path: Path
) -> None:
    hospital.add_patient("anna", phone="+4915110000001", mail="anna@example.org")  # 0001: no such number
    hospital.set_preferences("anna", channels=["sms"])
    today = local_day(app.clock(), BERLIN)
    noon = datetime.combine(today + timedelta(days=2), datetime.min.time(), BERLIN).replace(hour=12)
    hospital.add_appointment("a1", "anna", start=noon)
    app.reminder_planner.plan(today)
    with running_worker(settings, tmp_path / "log") as worker:
        wait_for(lambda: hospital.statuses() == Counter(failed=1, sent=1), seconds=60)
        assert worker.end() == 0
        assert "anna@example.org" not in worker.log
    [identity] = sent_ids(hospital)
    assert sandbox.counts() == {identity: {"channel": "email", "times": 1}}
    assert hospital.query("SELECT resolution FROM dead_letters") == [("fallback",)]
    assert hospital.query("SELECT reason FROM suppressions") == [("rejected",)]


def test_sigterm_in_the_middle_finishes_what_was_begun_and_leaves_the_rest(
    app: App, hospital: Hospital, sandbox: SandboxServer, settings: dict[str, str], tmp_path: Path
) -> None:
    sandbox.faults.set({"latency_ms": 50})
    add_reminders(app, hospital, 150)
    with running_worker(settings, tmp_path / "log") as worker:
        wait_for(lambda: len(sandbox.counts()) > 20, seconds=40)
        assert worker.end() == 0
    statuses = hospital.statuses()
    assert statuses["sending"] == 0
    assert 20 < statuses["sent"] < 300
    assert statuses["sent"] + statuses["queued"] + statuses["pending"] == 300
    assert set(sandbox.counts()) == sent_ids(hospital)


def test_a_worker_that_is_killed_loses_nothing_and_repeats_no_more_than_it_had_claimed(
    app: App,
    hospital: Hospital,
    sandbox: SandboxServer,
    settings: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_reminders(app, hospital, 750)
    sandbox.faults.set({"latency_ms": 30})
    with running_worker(settings, tmp_path / "killed", "--no-relay") as worker:
        wait_for(lambda: len(sandbox.counts()) >= 100, seconds=40)
        assert worker.end(signal.SIGKILL) == -signal.SIGKILL
    claimed = {str(row[0]) for row in hospital.query("SELECT id FROM notifications WHERE status = 'sending'")}
    assert 0 < len(claimed) <= 2 * 2 * THREADS
    assert hospital.statuses()["sent"] < 1400
    sandbox.faults.set({"latency_ms": 0})
    with running_worker(settings, tmp_path / "next") as worker:
        # The grace before a relay takes over is for senders that may still live; this one is dead.
        monkeypatch.setattr(relay_due, "GRACE", timedelta(0))
        wait_for(lambda: app.relay.sweep().settled > 0, seconds=40)
        wait_for(lambda: hospital.statuses() == Counter(sent=1500), seconds=60)
        assert worker.end() == 0
    counts = sandbox.counts()
    assert set(counts) == sent_ids(hospital)
    twice = {identity for identity, one in counts.items() if one["times"] > 1}
    assert twice <= claimed
    assert max(one["times"] for one in counts.values()) <= 2
    marked = {str(row[0]) for row in hospital.query("SELECT id FROM notifications WHERE possible_duplicate")}
    assert marked == claimed


def test_a_worker_without_a_broker_runs_and_is_not_ready(app: App, settings: dict[str, str], tmp_path: Path) -> None:
    away = settings | {"CARENOTIFY_BROKER_URL": "amqp://someone:hush-hush@127.0.0.1:9/"}
    with running_worker(away, tmp_path / "log") as worker:
        wait_for(lambda: worker.ask("/health")[0] == 200)
        status, told = worker.ask("/ready")
        assert (status, told["ready"], told["channels"]) == (503, False, {"email": {}, "sms": {}})
        standings = [(one["channel"], one["provider"], one["state"]) for one in told["providers"]]  # type: ignore[attr-defined]
        assert standings == [("email", "smtp", "closed"), ("sms", "twilio", "closed")]
        wait_for(lambda: "RabbitMQ at 127.0.0.1:9 cannot be used" in worker.log)
        main_thread = str(worker.process.pid)
        # One that is delivered to another thread would not wake the main thread, and nothing would end.
        wait_for(lambda: waiting_for(signal.SIGTERM, Path("/proc", main_thread, "task")) == {main_thread})
        assert "Traceback" not in worker.log
        assert "hush-hush" not in worker.log
        assert worker.end() == 0


def test_a_worker_without_a_database_runs_and_is_not_ready(
    settings: dict[str, str], broker_url: str, tmp_path: Path
) -> None:
    away = settings | {"CARENOTIFY_DATABASE_URL": "postgresql://someone:hush-hush@127.0.0.1:9/carenotify"}
    with running_worker(away, tmp_path / "log") as worker:
        wait_for(lambda: worker.ask("/health")[0] == 200)
        assert worker.ask("/ready")[0] == 503
        told = worker.scrape()
        assert told is not None
        assert told.value("carenotify_database_up") == 0
        assert told.value("carenotify_send_threads", channel="sms") == THREADS
        wait_for(lambda: "the database at 127.0.0.1:9/carenotify cannot be used just now" in worker.log, seconds=30)
        assert "Traceback" not in worker.log
        assert "hush-hush" not in worker.log
        assert worker.end() == 0


def test_a_worker_with_another_key_sends_nothing_spoils_nothing_and_names_the_setting(
    app: App, hospital: Hospital, sandbox: SandboxServer, settings: dict[str, str], tmp_path: Path
) -> None:
    add_reminders(app, hospital, 5)
    other = settings | {"CARENOTIFY_ENCRYPTION_KEYS": Fernet.generate_key().decode()}
    with running_worker(other, tmp_path / "wrong") as worker:
        wait_for(lambda: "CARENOTIFY_ENCRYPTION_KEYS" in worker.log)
        assert worker.process.poll() is None
        assert worker.end() == 0
    assert sandbox.counts() == {}
    assert hospital.statuses() == Counter(queued=10)
    with running_worker(settings, tmp_path / "right") as worker:
        wait_for(lambda: hospital.statuses() == Counter(sent=10))
        assert worker.end() == 0


def refused(settings: dict[str, str], *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "carenotify.worker", *arguments],
        env=clean_environment(settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.returncode, done.stderr.strip()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TIMEZONE", "", "CARENOTIFY_TIMEZONE: is not set"),
        ("DATABASE_URL", "hush-hush", "CARENOTIFY_DATABASE_URL: is not a PostgreSQL URL"),
        ("BROKER_URL", "amqp://h/?heartbeat=hush-hush", "CARENOTIFY_BROKER_URL: not an AMQP URL"),
        ("SMTP_URL", "hush-hush", "CARENOTIFY_SMTP_URL: has to be smtp://"),
        ("TWILIO_AUTH_TOKEN", "", "CARENOTIFY_TWILIO_AUTH_TOKEN: is not set"),
        ("SMS_PROVIDERS", "pigeon", "CARENOTIFY_SMS_PROVIDERS: 'pigeon' is not a provider; known are twilio"),
        ("SEND_THREAD", "4", "CARENOTIFY_SEND_THREAD: is not a setting"),
    ],
)
def test_a_wrong_setting_ends_it_at_once_with_one_line_that_names_it(name: str, value: str, said: str) -> None:
    settings = process_settings() | {
        "CARENOTIFY_SMTP_URL": "smtp://127.0.0.1:9",
        "CARENOTIFY_EMAIL_FROM": "hospital@hospital.example",
        "CARENOTIFY_TWILIO_ACCOUNT_SID": "AC1",
        "CARENOTIFY_TWILIO_AUTH_TOKEN": "token",
        "CARENOTIFY_TWILIO_FROM": "+15005550006",
    }
    status, told = refused(settings | {f"CARENOTIFY_{name}": value})
    assert status == 1
    assert told.startswith(f"carenotify.worker cannot start: {said}")
    assert len(told.splitlines()) == 1
    assert "hush-hush" not in told


def test_a_port_in_use_ends_it_with_one_line(settings: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, told = refused(settings, "--health-port", port)
    assert (status, told) == (
        1,
        f"carenotify.worker cannot start: --health-port {port}: cannot listen on 127.0.0.1: Address already in use",
    )


def test_an_unknown_channel_is_named_with_those_that_are_known(settings: dict[str, str]) -> None:
    status, told = refused(settings, "--channels", "sms,fax")
    assert status == 2
    assert "'fax' is not a valid Channel; known are email, sms and all" in told
