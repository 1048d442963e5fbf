"""`python -m carenotify alerts …`, as a person at a terminal meets it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from zoneinfo import ZoneInfo

import pytest

from carenotify.app import App
from carenotify.config import PREFIX
from carenotify.domain.alert import AlertKind, NewAlert
from carenotify.sandbox.mail import readable
from carenotify.sandbox.server import SandboxServer
from carenotify.storage import alerts
from tests.integration.conftest import Run


@pytest.fixture(autouse=True)
def _email_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "EMAIL_FROM", "info@hospital.example")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(reminder_day=date(2026, 11, 27), timezone=ZoneInfo("Europe/Berlin"), appointments=1) as server:
        yield server


def test_alerts_are_listed_newest_first_and_page_by_page(run: Run, app: App) -> None:
    assert run("alerts", "list").output == "No alerts.\n"
    with app.database.transaction() as transaction:
        for day in (22, 23, 24):
            new = NewAlert(AlertKind.NO_PLAN, f"2026-11-{day}")
            alerts.raise_alerts(transaction, [new], now=app.clock())
    shown = run("alerts", "list", "--most", "2").output
    assert shown.index("2026-11-24") < shown.index("2026-11-23")
    assert "2026-11-22" not in shown
    for wanted in ("critical", "The day's reminders were not planned", "2026-11-24 09:30:00"):
        assert wanted in shown
    before = shown.rpartition("--before ")[2].strip()
    assert "2026-11-22" in run("alerts", "list", "--before", before).output


def test_a_test_mail_arrives(run: Run, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "ALERT_TO", "anna@hospital.example, bert@hospital.example")
    monkeypatch.setenv(PREFIX + "SMTP_URL", sandbox.smtp_url)
    result = run("alerts", "send-test")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("Sent to 2 receivers")
    arrived = [readable(dict(kept)) for kept in sandbox.sandbox.ledger.messages("email")]
    assert [mail["to"] for mail in arrived] == [["anna@hospital.example", "bert@hospital.example"]]
    assert "Nothing has failed" in arrived[0]["text"]


def test_a_test_mail_that_only_some_were_sent_says_who_was_refused_and_fails(
    run: Run, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PREFIX + "ALERT_TO", "anna@hospital.example, bounce@hospital.example")
    monkeypatch.setenv(PREFIX + "SMTP_URL", sandbox.smtp_url)
    result = run("alerts", "send-test")
    assert result.exit_code == 1
    assert result.stdout.startswith("Sent to 1 receiver;")
    assert "Refused: number 2 of 2 in CARENOTIFY_ALERT_TO, by 550 5.1.1" in result.stderr


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({}, "CARENOTIFY_ALERT_TO: is not set"),
        ({"ALERT_TO": "anna@hospital.example"}, "CARENOTIFY_SMTP_URL: is not set"),
        ({"ALERT_TO": "anna@hospital.example", "SMTP_URL": "http://x"}, "CARENOTIFY_SMTP_URL: has to be smtp://"),
        ({"ALERT_TO": "anna@hospital.example", "SMTP_URL": "smtp://127.0.0.1:9"}, "connection-refused"),
        (
            {"ALERT_TO": "anna@hospital.example", "SMTP_URL": "smtp://127.0.0.1:9", "EMAIL_FROM": "nobody"},
            "CARENOTIFY_EMAIL_FROM: is not a mail address",
        ),
    ],
    ids=["nobody", "no server", "no SMTP", "server down", "no sender"],
)
def test_what_keeps_a_test_mail_from_leaving_is_said_in_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], problem: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(PREFIX + name, value)
    result = run("alerts", "send-test")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert problem in result.stderr
    assert "anna" not in result.stderr
