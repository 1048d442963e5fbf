"""Debian's Prometheus with the rules of deploy/, beside a real API, worker, PostgreSQL, RabbitMQ and exporters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from carenotify.app import App, build_app
from carenotify.config import load_settings
from carenotify.domain.access import Scope
from carenotify.domain.window import local_day
from carenotify.journeys.issue_key import issue_key
from carenotify.sandbox.server import SandboxServer
from stack.ports import pick_free
from tests.integration.monitoring.plant import (
    Prometheus,
    running_alertmanager,
    running_api,
    running_exporters,
    running_prometheus,
    running_worker,
    status_of,
)
from tests.integration.monitoring.queries import dashboard_queries, recorded_names, rule_queries
from tests.integration.ward import Hospital, process_settings, wait_for
from tests.integration.worker.worker_process import sandbox_settings

BERLIN = ZoneInfo("Europe/Berlin")
JOBS = {
    "carenotify-api": 1,
    "carenotify-worker": 1,
    "rabbitmq": 1,
    "rabbitmq-queues": 1,
    "postgres": 1,
    "node": 1,
    "prometheus": 1,
    "alertmanager": 1,
}

# What a machine that is busy with tests may be told of, and that its Alertmanager reaches nobody.
SEEN_ON_ANY_MACHINE = {
    *("DiskLow", "DiskFull", "DiskFullTomorrow", "MemoryLow", "ProcessorBusy"),
    *("DeliverySlow", "ApiSlow", "WorkerLoopStopped", "NotificationsFail"),
}
# What is found only when something went wrong that does not go wrong here.
FOUND_AFTER_AN_EVENT = {
    "Critical alerts": "one fires for its time",
    "Alerts that fire": "one fires for its time",
    "Errors of ours (5xx a second), by route": "the API cannot answer",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("monitoring")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(
        reminder_day=date(2026, 11, 27), timezone=BERLIN, appointments=5, callback_delay_seconds=(0.1, 0.2)
    ) as server:
        yield server


@pytest.fixture(scope="module")
def api_port() -> int:
    return pick_free()


@pytest.fixture(scope="module")
def settings(module_database_url: str, module_broker_url: str, sandbox: SandboxServer, api_port: int) -> dict[str, str]:
    return process_settings(module_database_url, module_broker_url) | {
        **sandbox_settings(sandbox),
        "CARENOTIFY_SEND_WINDOW": "00:00-24:00",
        "CARENOTIFY_PUBLIC_URL": f"http://127.0.0.1:{api_port}",
        "CARENOTIFY_RELAY_INTERVAL_SECONDS": "0.1",
        "CARENOTIFY_API_TRUSTED_PROXIES": "1",  # so that the key is asked for on loopback too
    }


@pytest.fixture(scope="module")
def app(settings: dict[str, str]) -> Iterator[App]:
    app = build_app(load_settings(settings))
    yield app
    app.close()


def plan(app: App, patients: range) -> None:
    """Remind these patients today, by text and mail; the first has a number that is out of use, and no mail."""
    hospital = Hospital(app.database)
    today = local_day(app.clock(), BERLIN)
    start = datetime.combine(today + timedelta(days=3), datetime.min.time(), BERLIN).replace(hour=10)
    for number in patients:
        phone, mail = f"+49151{10000100 + number}", f"p{number}@example.org"
        hospital.add_patient(f"p{number}", phone=phone if number else _OUT_OF_USE, mail=mail if number else None)
        hospital.add_appointment(f"a{number}", f"p{number}", start=start)
    assert app.reminder_planner.plan(today).planned >= len(patients)


_OUT_OF_USE = "+4915110000001"
_DELIVERED = 'carenotify:notifications_today{channel="sms",status="delivered"}'


@pytest.fixture(scope="module")
def prometheus(
    app: App,
    settings: dict[str, str],
    api_port: int,
    folder: Path,
    postgres_url: str,
    rabbitmq_server: Mapping[str, str],
) -> Iterator[Prometheus]:
    """It has asked everybody several times, before and after a day's reminders were sent."""
    _, key = issue_key(app.database, name="prometheus", scopes=[Scope.METRICS_READ], by="tests", now=app.clock())
    secrets = {
        f"/etc/alertmanager/secrets/{name}": _secret(folder / name)
        for name in ("smtp_password", "slack_webhook_url", "pagerduty_routing_key")
    }
    plan(app, range(10))
    with (
        running_api(settings, folder / "api.log", api_port) as api,
        running_worker(settings, folder / "worker.log") as worker,
        running_exporters(folder, postgres_url) as exporters,
        running_alertmanager(folder, secrets) as alertmanager,
    ):
        there = {"worker": worker, "rabbitmq": rabbitmq_server["metrics_url"], "alertmanager": alertmanager}
        targets = exporters | {name: url.removeprefix("http://") for name, url in there.items()}
        targets |= {"api": f"127.0.0.1:{api_port}", "workers": targets.pop("worker")}
        with running_prometheus(folder, targets, key=key) as prometheus:
            wait_for(lambda: prometheus.value("sum(up)") == len(JOBS), seconds=60)
            assert status_of(f"{api}/metrics") == 401
            plan(app, range(10, 20))
            wait_for(lambda: prometheus.value(_DELIVERED) == 19, seconds=60)
            yield prometheus


def _secret(file: Path) -> str:
    file.write_text("https://127.0.0.1:9/nobody-listens")
    return str(file)


def test_everybody_is_asked_and_answers(prometheus: Prometheus) -> None:
    counted = {row["metric"]["job"]: int(row["value"][1]) for row in prometheus.result("sum by (job) (up)")}
    assert counted == JOBS


def expect(find: Callable[[], set[str]], wanted: set[str]) -> None:
    """What is found is as wanted, at the latest when everybody has been asked a few times more."""
    found: set[str] = set()

    def as_wanted() -> bool:
        found.clear()
        found.update(find())
        return found == wanted

    try:
        wait_for(as_wanted, seconds=20)
    finally:
        assert found == wanted


def test_every_rule_is_worked_out_without_an_error(prometheus: Prometheus) -> None:
    def rules() -> list[dict[str, Any]]:
        return [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]

    assert len(rules()) == len(rule_queries())
    expect(lambda: {f"{rule['name']}: {rule.get('lastError')}" for rule in rules() if rule["health"] != "ok"}, set())


def test_every_metric_that_rules_and_dashboards_name_is_there(prometheus: Prometheus) -> None:
    asked = {name for query in (*rule_queries(), *dashboard_queries()) for name in query.metrics}
    expect(lambda: asked - set(prometheus.ask("label/__name__/values")), set())


def test_every_query_of_every_dashboard_is_answered_with_data(prometheus: Prometheus) -> None:
    for query in dashboard_queries():
        prometheus.result(query.expression)  # an error would be raised, also where nothing need be found
    wanted = [query for query in dashboard_queries() if query.place.split(": ")[1] not in FOUND_AFTER_AN_EVENT]
    assert len(wanted) > 100
    expect(lambda: {f"{one.place}: {one.expression}" for one in wanted if not prometheus.result(one.expression)}, set())


def test_every_recorded_figure_has_a_value(prometheus: Prometheus) -> None:
    expect(lambda: {name for name in recorded_names() if not prometheus.result(name)}, set())


def test_the_day_is_told_as_it_is(prometheus: Prometheus) -> None:
    true_here = {
        "carenotify:today_planned": 1,
        "carenotify:database_up": 1,
        'carenotify:notifications_today{channel="email",status="sent"}': 19,
        'carenotify:notifications_today{channel="sms",status="delivered"}': 19,
        'carenotify:notifications_today{channel="sms",status="failed"}': 1,
        "sum(carenotify:dead_letters_open)": 1,
        'sum(carenotify_delivery_attempts_total{channel="sms",outcome="sent"})': 19,
    }
    expect(lambda: {figure for figure, value in true_here.items() if prometheus.value(figure) != value}, set())


def test_what_is_wrong_here_is_seen_and_nothing_else(prometheus: Prometheus) -> None:
    """Nothing has ever been loaded, and no Airflow looks for failures."""

    def seen() -> set[str]:
        names = {alert["labels"]["alertname"] for alert in prometheus.ask("alerts")["alerts"]}
        return names - SEEN_ON_ANY_MACHINE

    expect(seen, {"NothingLoaded", "WatcherSilent", "AlertsAlive"})
