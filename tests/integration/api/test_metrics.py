"""`/metrics` of the API: who may read it, in which formats, and that what it says is so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from desk import BASE, TOKENS, Desk
from flask.testing import FlaskClient

from carenotify.api import create_app
from carenotify.app import App, build_app
from carenotify.domain.access import ALL_SCOPES, Scope
from carenotify.domain.notification import Status
from carenotify.domain.receipt import Meaning, Receipt
from tests.integration.ward import MAIL, MOBILE, NOON, Hospital, SetClock, make_settings
from tests.scraped import OPENMETRICS, TEXT, Scraped

HERE = {"REMOTE_ADDR": "127.0.0.1", "SERVER_NAME": "127.0.0.1"}


@pytest.fixture(scope="module")
def standing_app(module_database_url: str) -> Iterator[App]:
    """One for all tests that need no database of their own."""
    app = build_app(make_settings(module_database_url), clock=SetClock())
    yield app
    app.close()


@pytest.fixture(scope="module")
def client(standing_app: App) -> FlaskClient:
    return create_app(standing_app, person=TOKENS.get).test_client()


@pytest.fixture(scope="module")
def desk(standing_app: App, client: FlaskClient) -> Desk:
    return Desk(standing_app, client)


@pytest.fixture
def ward(app: App) -> Desk:
    """One on a database of its own."""
    return Desk(app, create_app(app, person=TOKENS.get).test_client())


def scrape(client: FlaskClient, accept: str = "") -> Scraped:
    """As a Prometheus on this machine does it."""
    answer = client.get(f"{BASE}/metrics", headers={"Accept": accept}, environ_overrides=HERE)
    assert answer.status_code == 200, answer.text
    return Scraped.of(answer.data, answer.content_type)


@pytest.fixture
def increase(client: FlaskClient) -> Callable[..., float]:
    """By how much a counter has grown since the test began; all tests of a process count together."""
    before = scrape(client)

    def grown(name: str, **labels: str) -> float:
        return scrape(client).total(name, **labels) - before.total(name, **labels)

    return grown


# --- who may read it -------------------------------------------------------------------------------


@pytest.mark.parametrize(("scopes", "status"), [({Scope.METRICS_READ}, 200), (ALL_SCOPES - {Scope.METRICS_READ}, 403)])
def test_a_key_needs_its_scope(desk: Desk, scopes: set[Scope], status: int) -> None:
    assert desk.call("GET", "/metrics", scopes=scopes).status_code == status


@pytest.mark.parametrize("role", ["viewer", "user", "op", "admin"])
def test_people_need_a_role_that_operates(desk: Desk, role: str) -> None:
    status = desk.call_with(f"{role}.to.ken", "GET", "/metrics").status_code
    assert status == (200 if role in {"op", "admin"} else 403)


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({}, 200),
        ({"REMOTE_ADDR": "::1", "SERVER_NAME": "::1"}, 200),
        ({"REMOTE_ADDR": "10.0.0.7"}, 401),
        ({"REMOTE_ADDR": ""}, 401),
        ({"SERVER_NAME": "0.0.0.0"}, 401),
        ({"SERVER_NAME": "10.0.0.1"}, 401),
        ({"SERVER_NAME": "localhost"}, 401),
        ({"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, 401),
        ({"HTTP_X_FORWARDED_PROTO": "https"}, 401),
        ({"HTTP_X_REAL_IP": "127.0.0.1"}, 401),
        ({"HTTP_FORWARDED": "for=127.0.0.1"}, 401),
        ({"HTTP_VIA": "1.1 proxy"}, 401),
        ({"REMOTE_ADDR": "10.0.0.7", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, 401),
    ],
    ids=str,
)
def test_without_a_key_only_this_machine_reads_it_and_only_directly(
    client: FlaskClient, environ: dict[str, str], status: int
) -> None:
    assert client.get(f"{BASE}/metrics", environ_overrides=HERE | environ).status_code == status


def test_where_a_proxy_is_trusted_everybody_needs_a_key(standing_app: App) -> None:
    settings = standing_app.settings.model_copy(update={"api_trusted_proxies": 1})
    behind = build_app(settings, clock=standing_app.clock)
    client = create_app(behind, person=TOKENS.get).test_client()
    for headers in ({}, {"X-Forwarded-For": "127.0.0.1"}):
        answer = client.get(f"{BASE}/metrics", headers=headers, environ_overrides=HERE)
        assert answer.status_code == 401
    behind.close()


def test_this_machine_reads_nothing_else_without_a_key(client: FlaskClient) -> None:
    for path in ("/notifications", "/keys", "/reports/delivery"):
        assert client.get(f"{BASE}{path}", environ_overrides=HERE).status_code == 401


# --- formats ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/plain;version=0.0.4", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1", OPENMETRICS),
        ("application/openmetrics-text;version=nonsense", OPENMETRICS),
    ],
)
def test_the_format_is_what_is_asked_for(client: FlaskClient, accept: str, content_type: str) -> None:
    answer = client.get(f"{BASE}/metrics", headers={"Accept": accept}, environ_overrides=HERE)
    assert (answer.status_code, answer.content_type) == (200, content_type)
    assert Scraped.of(answer.data, answer.content_type).value("carenotify_database_up") == 1
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_process_and_the_platform_are_there(client: FlaskClient) -> None:
    scraped = scrape(client)
    assert scraped.value("process_resident_memory_bytes") > 1e6
    assert scraped.total("python_info") == 1
    assert len(scraped.values("carenotify_build_info")) == 1
    assert scraped.value("carenotify_database_connections", state="idle") >= 1


# --- what it says ----------------------------------------------------------------------------------


def test_requests_are_counted_by_route_and_status(
    desk: Desk, client: FlaskClient, increase: Callable[..., float]
) -> None:
    route = f"{BASE}/notifications/<id>"
    for _ in range(3):
        assert desk.call("GET", f"/notifications/{uuid4()}").status_code == 404
    assert client.get(f"{BASE}/notifications/secret").status_code == 401
    assert client.get("/nowhere/at/all").status_code == 404
    assert client.open(f"{BASE}/health", method="BREW").status_code == 405
    requests, seconds = "carenotify_http_requests_total", "carenotify_http_request_seconds_count"
    assert increase(requests, method="GET", route=route, status="404") == 3
    assert increase(requests, method="GET", route=route, status="401") == 1
    assert increase(seconds, route=route) == 4
    assert increase(requests, route="unmatched", status="404") == 1
    assert increase(requests, method="other", status="405") == 1


def test_a_bug_is_counted_as_a_500(
    standing_app: App, desk: Desk, monkeypatch: pytest.MonkeyPatch, increase: Callable[..., float]
) -> None:
    with monkeypatch.context() as broken:
        broken.setitem(standing_app.__dict__, "figure_reader", None)
        assert desk.call("GET", "/metrics").status_code == 500
    assert increase("carenotify_http_requests_total", route=f"{BASE}/metrics", status="500") == 1


def test_receipts_are_counted_once_each_by_what_they_say(standing_app: App, increase: Callable[..., float]) -> None:
    def receipt(word: str, status: Status | None) -> Receipt:
        return Receipt(notification, "twilio", "SM1", word, None, Meaning(status))

    notification = uuid4()
    receipts = [receipt("delivered", Status.DELIVERED), receipt("sending", None)]
    for _ in range(3):
        standing_app.receipt_recorder.record(receipts)
    assert increase("carenotify_receipts_total", provider="twilio", status="delivered") == 1
    assert increase("carenotify_receipts_total", provider="twilio", status="progress") == 1
    assert increase("carenotify_receipts_total", provider="twilio", status="bounced") == 0


def test_the_databases_figures_are_those_of_the_report(app: App, ward: Desk, hospital: Hospital) -> None:
    for number in range(3):
        hospital.add_patient(f"p{number}", phone=f"+4915112345{number}00", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}")
    app.reminder_planner.plan(NOON.date())
    hospital.query("UPDATE notifications SET status = 'delivered' WHERE patient_id <> 'p0' RETURNING 1")
    scraped = scrape(ward.client)
    report = ward.call("GET", "/reports/delivery").get_json()
    assert scraped.value("carenotify_patient_days_due") == report["patient_days_due"] == 3
    assert scraped.value("carenotify_patient_days_reached") == report["patient_days_reached"] == 2
    assert scraped.value("carenotify_reached_ratio") == pytest.approx(report["reached_share"])
    assert scraped.value("carenotify_notifications_today", channel="sms", status="delivered") == 2
    assert scraped.value("carenotify_notifications_due", channel="sms", lane="low") == 1
    assert scraped.value("carenotify_today_planned") == 1
    assert scraped.value("carenotify_planned_today") == 3
    assert scraped.value("carenotify_last_plan_timestamp_seconds") == NOON.timestamp()
    assert scraped.value("carenotify_provider_breaker_state", provider="twilio") == 0


def test_nothing_personal_is_in_it(app: App, ward: Desk, hospital: Hospital) -> None:
    hospital.add_patient("pat-4711", given_name="Anneliese")
    hospital.add_appointment("apt-4712", "pat-4711", venue="Psychiatry")
    app.reminder_planner.plan(NOON.date())
    [(one, *_), *_] = hospital.query("SELECT id FROM notifications")
    for path in (
        f"/notifications?patient_id=pat-4711&phone={MOBILE}",
        f"/notifications/{one}",
        f"/patients/{MAIL}/preferences",
        f"/{MAIL}/Anneliese",
    ):
        ward.call("GET", path)
        ward.client.open(f"{BASE}{path}", method=MAIL)
    body = ward.client.get(f"{BASE}/metrics", environ_overrides=HERE).text
    for personal in (
        "pat-4711",
        "apt-4712",
        "Anneliese",
        "Psychiatry",
        MOBILE,
        MOBILE[1:],
        MAIL,
        str(one),
        "example.org",
    ):
        assert personal not in body


# --- a database that is away -----------------------------------------------------------------------


@pytest.fixture
def lost() -> Iterator[FlaskClient]:
    app = build_app(make_settings("postgresql://somebody:hush-hush@127.0.0.1:1/none"), clock=SetClock())
    yield create_app(app, person=TOKENS.get).test_client()
    app.close()


def test_without_a_database_the_own_figures_come_all_the_same_and_soon(lost: FlaskClient) -> None:
    took = []
    for _ in range(3):
        begun = time.monotonic()
        scraped = scrape(lost)
        took.append(time.monotonic() - begun)
        assert scraped.value("carenotify_database_up") == 0
        assert scraped.total("carenotify_http_requests_total") > 0
        assert not scraped.names & {"carenotify_notifications_today", "carenotify_patient_days_due"}
    assert took[0] < 3
    assert max(took[1:]) < 1
