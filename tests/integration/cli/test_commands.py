"""The commands as a person runs them, on real servers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import pytest
from click.testing import CliRunner, Result

from carenotify.app import App, build_app
from carenotify.cli import main
from carenotify.config import load_settings
from carenotify.domain.window import local_day
from carenotify.messaging import topology
from tests.integration.conftest import Run
from tests.integration.ward import Hospital, process_settings
from tests.integration.worker.worker_process import ROOT, clean_environment

BERLIN = ZoneInfo("Europe/Berlin")
HEAD = "patient_id,channels,language,opted_out_channels,opted_out_kinds\n"


def _all_commands(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _all_commands(command, *path, name)
        else:
            yield (*path, name)


@pytest.fixture
def settings(database_url: str) -> dict[str, str]:
    return process_settings(database_url, "amqp://someone:hush-hush@127.0.0.1:9/") | {
        "CARENOTIFY_SEND_WINDOW": "00:00-24:00",
    }


@pytest.fixture
def run(run: Run, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Run:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return run


@pytest.fixture
def app(settings: dict[str, str]) -> Iterator[App]:
    app = build_app(load_settings(settings))
    yield app
    app.close()


@pytest.fixture
def hospital(app: App) -> Hospital:
    return Hospital(app.database)


@pytest.fixture
def ward(app: App, hospital: Hospital) -> Hospital:
    """Three to tell by both channels, and one who is skipped."""
    today = local_day(app.clock(), BERLIN)
    start = datetime.combine(today + timedelta(days=2), time(10), BERLIN)
    for number in range(3):
        hospital.add_patient(f"p{number}")
        hospital.add_appointment(f"a{number}", f"p{number}", start=start)
    hospital.add_patient("gone", deceased=True)
    hospital.add_appointment("g", "gone", start=start)
    return hospital


@pytest.fixture
def with_broker(broker_url: str, monkeypatch: pytest.MonkeyPatch, run: Run) -> str:
    monkeypatch.setenv("CARENOTIFY_BROKER_URL", broker_url)
    return broker_url


def failed(result: Result) -> str:
    """The one line that a command which could not go on said."""
    assert result.exit_code == 1, result.output
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert "hush-hush" not in result.output
    return result.stderr.strip()


# --- every command ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", list(_all_commands(main)), ids=" ".join)
def test_every_command_explains_itself_and_its_options_without_settings(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carenotify.cli.configure_logging", lambda: None)  # the log stays that of the tests
    result = CliRunner().invoke(main, [*path, "--help"], env={"CARENOTIFY_TIMEZONE": "nonsense"})
    assert result.exit_code == 0
    command: click.Command = main
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{' '.join(path)}: {option.name} has no help"


def test_the_commands_are_those_that_operators_rely_on() -> None:
    assert set(main.commands) >= {
        "ingest",
        "remind",
        "publish-due",
        "send",
        "pause",
        "resume",
        "preferences",
        "dead-letters",
        "keys",
        "report",
        "migrate",
    }


def test_it_starts_as_a_module_and_says_what_is_wrong_in_one_line_of_text() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "carenotify", "report"],
        env=clean_environment({"CARENOTIFY_TIMEZONE": "Europe/Berlin", "CARENOTIFY_BROKER_URL": "amqp://h/"}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "carenotify report: CARENOTIFY_DATABASE_URL: is not set",
        "CARENOTIFY_ENCRYPTION_KEYS: is not set",
        "CARENOTIFY_INDEX_KEY: is not set",
    ]


def test_a_database_that_is_away_is_named_without_its_password(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARENOTIFY_DATABASE_URL", "postgresql://me:hush-hush@127.0.0.1:9/away")
    assert failed(run("migrate")) == "carenotify migrate: the database at 127.0.0.1:9/away cannot be used"


# --- remind ----------------------------------------------------------------------------------


def test_a_dry_run_counts_and_stores_nothing(run: Run, ward: Hospital) -> None:
    result = run("remind", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "Would be planned" in result.output
    for line in ("appointments due", "patient days", "planned", "deceased: 1"):
        assert line in result.output
    assert ward.statuses() == Counter()


def test_remind_plans_and_publishes_and_the_second_time_does_neither(
    run: Run, ward: Hospital, with_broker: str
) -> None:
    result = run("remind")
    assert result.exit_code == 0, result.output
    assert "6 published and confirmed, 0 not." in result.output
    assert ward.statuses() == Counter(queued=6)
    assert sum(topology.ready_counts(with_broker).values()) == 6
    again = run("remind")
    assert "0 published and confirmed, 0 not." in again.output
    assert ward.statuses() == Counter(queued=6)


def test_remind_without_a_broker_keeps_the_rows_and_says_so(run: Run, ward: Hospital) -> None:
    assert (
        failed(run("remind")) == "carenotify remind: RabbitMQ cannot be reached; what was to be published stays pending"
    )
    assert ward.statuses() == Counter(pending=6)


def test_a_past_day_is_refused_and_stores_nothing(run: Run, ward: Hospital) -> None:
    assert "the window 00:00-24:00 of 2026-01-01 is over" in failed(run("remind", "--date", "2026-01-01"))
    assert ward.statuses() == Counter()


def test_a_day_to_come_is_refused_but_can_be_looked_at(run: Run, ward: Hospital, app: App) -> None:
    tomorrow = (local_day(app.clock(), BERLIN) + timedelta(days=1)).isoformat()
    assert f"{tomorrow} is still to come" in failed(run("remind", "--date", tomorrow))
    assert run("remind", "--date", tomorrow, "--dry-run").exit_code == 0
    assert ward.statuses() == Counter()


def test_a_date_that_is_none_is_a_usage_error(run: Run) -> None:
    result = run("remind", "--date", "tomorrow")
    assert result.exit_code == 2
    assert "'tomorrow' does not match the format '%Y-%m-%d'" in result.stderr


# --- publish-due, pause, resume --------------------------------------------------------------


def test_publish_due_publishes_what_waits(run: Run, ward: Hospital, app: App, with_broker: str) -> None:
    app.reminder_planner.plan(local_day(app.clock(), BERLIN))
    assert run("publish-due").output == "6 confirmed, 0 not confirmed (they stay pending).\n"
    assert run("publish-due").output == "0 confirmed, 0 not confirmed (they stay pending).\n"
    assert ward.statuses() == Counter(queued=6)


def test_publish_due_fails_when_the_broker_takes_nothing_of_what_is_due(
    run: Run, ward: Hospital, app: App, with_broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.reminder_planner.plan(local_day(app.clock(), BERLIN))
    monkeypatch.setattr("carenotify.messaging.publisher.Publisher.publish", lambda *_: set())
    result = run("publish-due")
    assert result.exit_code == 1
    assert result.output.startswith("0 confirmed, 6 not confirmed")


def test_a_paused_channel_is_left_alone_until_it_is_resumed(
    run: Run, ward: Hospital, app: App, with_broker: str
) -> None:
    app.reminder_planner.plan(local_day(app.clock(), BERLIN))
    assert run("pause", "--channel", "sms").output.startswith("Paused: sms.")
    assert run("pause", "--channel", "sms").exit_code == 0
    assert run("publish-due").output.startswith("3 confirmed")
    assert run("pause").output.startswith("Paused: every channel.")
    assert run("resume", "--channel", "sms").output == "1 pauses lifted; still paused: email, sms.\n"
    assert run("publish-due").output.startswith("0 confirmed")
    assert run("resume").output == "1 pauses lifted; still paused: none.\n"
    assert run("publish-due").output.startswith("3 confirmed")


@pytest.fixture
def with_twilio(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """Settings for texts and none for mails; nobody answers there."""
    for name, value in {
        "ACCOUNT_SID": "AC1",
        "AUTH_TOKEN": "token",
        "FROM": "+491",
        "BASE_URL": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(f"CARENOTIFY_TWILIO_{name}", value)


@pytest.mark.usefixtures("with_twilio")
def test_send_needs_the_providers_of_the_channel_that_is_asked_for_and_no_others(run: Run, hospital: Hospital) -> None:
    assert run("send", "--channel", "sms").output == "Nothing was due.\n"
    assert "CARENOTIFY_SMTP_URL" in failed(run("send", "--channel", "email"))


def test_send_names_the_paused_channel_and_what_waits_there(run: Run, ward: Hospital, app: App) -> None:
    app.reminder_planner.plan(local_day(app.clock(), BERLIN))
    run("pause", "--channel", "sms")
    told = run("send", "--channel", "sms")
    assert told.exit_code == 0, told.output
    assert told.output.splitlines() == [
        "Nothing was sent.",
        "sms is paused: 3 due stay pending. Go on with: python -m carenotify resume",
    ]
    assert ward.statuses() == Counter(pending=6)


def test_a_pause_keeps_who_asked_for_it(run: Run, hospital: Hospital) -> None:
    run("pause", "--channel", "email")
    [(channel, by)] = hospital.query("SELECT channel, paused_by FROM pauses")
    assert channel == "email"
    assert by


def test_the_providers_are_shown_in_their_order_with_what_is_down(run: Run, hospital: Hospital) -> None:
    hospital.query(
        "INSERT INTO provider_states VALUES ('twilio', 'open', 5, 0, %s, %s, '20003') RETURNING 1",
        datetime(2026, 11, 24, 8, 31, tzinfo=ZoneInfo("UTC")),
        datetime(2026, 11, 24, 8, 30, tzinfo=ZoneInfo("UTC")),
    )
    shown = run("providers").output
    mail, text = (line for line in shown.splitlines() if "smtp" in line or "twilio" in line)
    assert "closed" in mail
    assert [cell.strip() for cell in text.strip("│").split("│")] == [
        "sms",
        "twilio",
        "open",
        "2026-11-24 09:30:00",
        "2026-11-24 09:31:00",
        "20003",
    ]


def test_an_open_provider_is_tried_out_now_and_one_that_is_not_open_or_not_in_use_is_no_success(
    run: Run, hospital: Hospital
) -> None:
    open_until = datetime(2199, 1, 1, tzinfo=BERLIN)
    hospital.query(
        "INSERT INTO provider_states VALUES ('twilio', 'open', 5, 0, %s, now(), '20003') RETURNING 1", open_until
    )
    assert run("providers", "retry", "twilio").output == "twilio is tried out with the next message.\n"
    assert hospital.query("SELECT retry_at <= now() FROM provider_states") == [(True,)]
    [(who, subject)] = hospital.query("SELECT actor, subject FROM audit_log WHERE action = 'provider.retried'")
    assert who.startswith("command:")
    assert subject == "twilio"
    assert run("providers", "retry", "smtp").exit_code == 1
    assert run("providers", "retry", "ses").exit_code == 2


def test_an_unknown_channel_is_a_usage_error(run: Run) -> None:
    result = run("pause", "--channel", "fax")
    assert result.exit_code == 2
    assert "'fax' is not one of" in result.stderr


# --- preferences -----------------------------------------------------------------------------


def test_preferences_are_taken_over_from_a_file(run: Run, hospital: Hospital, tmp_path: Path) -> None:
    file = tmp_path / "wishes.csv"
    file.write_text(f"{HEAD}anna,email,de,sms,\n", encoding="utf-8-sig")
    assert run("preferences", "import", str(file)).output == "1 rows read, 1 new or changed.\n"
    assert run("preferences", "import", str(file)).output == "1 rows read, 0 new or changed.\n"
    assert hospital.query("SELECT patient_id, channels, opted_out_channels FROM preferences") == [
        ("anna", ["email"], ["sms"])
    ]


def test_preferences_are_taken_over_from_standard_input(run: Run, hospital: Hospital) -> None:
    assert run("preferences", "import", "-", input=f"{HEAD}anna,email,,,\n").exit_code == 0
    assert hospital.query("SELECT patient_id FROM preferences") == [("anna",)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"patient_id,channels\nanna,sms\n", "the first line lacks the columns language, opted_out_channels"),
        (HEAD.encode() + b"anna,fax,,,\n", "line 2: channels holds a word that is not known; known are email, sms"),
        (HEAD.encode() + b"anna,,,\n", "line 2: holds 4 fields where the first line has 5"),
        (HEAD.encode() + "anna,,,,\nJürgen,,,,\n".encode("latin-1"), "is not UTF-8"),
        (b"", "the first line lacks the columns"),
    ],
)
def test_a_bad_file_of_preferences_stores_nothing(
    run: Run, hospital: Hospital, tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "wishes.csv"
    file.write_bytes(content)
    assert said in failed(run("preferences", "import", str(file)))
    assert hospital.query("SELECT count(*) FROM preferences") == [(0,)]


def test_a_file_that_is_not_there_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    result = run("preferences", "import", str(tmp_path / "none.csv"))
    assert result.exit_code == 2
    assert "No such file" in result.stderr


# --- report, migrate, keys -------------------------------------------------------------------


def test_a_report_can_be_read_by_people_and_by_programs(run: Run, ward: Hospital, app: App) -> None:
    app.reminder_planner.plan(local_day(app.clock(), BERLIN))
    ward.query("UPDATE notifications SET status = 'sent' WHERE patient_id = 'p0' RETURNING 1")
    shown = run("report").output
    for line in ("1 (33.33%)", "pending: 4", "sent: 2", "deceased: 1", "sms: 3"):
        assert line in shown
    told = json.loads(run("report", "--json").stdout)
    assert (told["appointments_due"], told["patient_days_reached"], told["notifications"]) == (3, 1, 6)
    assert told["reached_share"] == pytest.approx(1 / 3)
    assert len(told["notification_ids"]) == 6


def test_a_report_of_a_day_without_reminders_says_that_nobody_was_due(run: Run, hospital: Hospital) -> None:
    assert "0 (nobody was due)" in run("report", "--date", "2026-01-01").output
    assert json.loads(run("report", "--date", "2026-01-01", "--json").stdout)["reached_share"] is None


def test_migrating_twice_is_as_good_as_once(run: Run, app: App) -> None:
    with app.database.transaction() as transaction:
        transaction.execute("DROP SCHEMA carenotify CASCADE")
    first = run("migrate")
    assert first.exit_code == 0, first.output
    assert first.output.startswith("The schema is up to date; ")
    assert " 0 template" not in first.output
    assert run("migrate").output == "The schema is up to date; 0 template versions were added.\n"


def test_a_new_key_can_be_used_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARENOTIFY_ENCRYPTION_KEYS", run("keys", "encryption").output.strip())
    assert load_settings().encryption_keys
