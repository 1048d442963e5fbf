from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from desk import BASE, Desk
from flask.testing import FlaskClient

from carenotify.api import create_app, guard
from carenotify.api.endpoint import endpoint
from carenotify.app import App, build_app
from carenotify.domain.access import ALL_SCOPES, Scope
from carenotify.storage import api_keys
from tests.integration.ward import Hospital, SetClock, make_settings

JSON = "application/json"


@pytest.fixture(scope="module")
def app(module_database_url: str) -> Iterator[App]:
    """One database for all of them: whatever is refused here leaves nothing behind."""
    app = build_app(make_settings(module_database_url), clock=SetClock())
    yield app
    app.close()


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", JSON, 400),
        (b"{", JSON, 400),
        (b"not json", JSON, 400),
        (b'{"channel": NaN}', JSON, 400),
        (b'{"channel": "\xff"}', JSON, 400),
        (b'{"channel": "\\ud800"}', JSON, 400),
        (b"[" * 100_000, JSON, 400),
        (b"null", JSON, 422),
        (b"[]", JSON, 422),
        (b'"sms"', JSON, 422),
        (b"{}", JSON, 422),
        (b'{"channel": 7}', JSON, 422),
        (b'{"channel": "fax"}', JSON, 422),
        (b'{"channel": "sms\\u0000"}', JSON, 422),
        (b'{"channel": null, "why": "x"}', JSON, 422),
        (b'{"channel": null}', "text/plain", 415),
        (b"channel=sms", "application/x-www-form-urlencoded", 415),
        (b'{"channel": null}', "", 415),
        (b" " * guard.MAX_BODY_BYTES + b"{}", JSON, 413),
    ],
)
def test_a_bad_body_is_told_what_is_wrong_and_changes_nothing(
    desk: Desk, hospital: Hospital, body: bytes, content_type: str, status: int
) -> None:
    answer = desk.call("POST", "/pause", data=body, content_type=content_type)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    problem = answer.get_json()
    assert problem["status"] == status
    assert (problem["errors"][0]["field"] in {"channel", "why", "body"}) if status == 422 else "errors" not in problem
    assert hospital.query("SELECT * FROM pauses") == []


def test_a_chunked_body_cannot_be_longer_either(desk: Desk, hospital: Hospital) -> None:
    class Chunked:
        left = guard.MAX_BODY_BYTES + 1000

        def read(self, size: int = -1) -> bytes:
            given = min(self.left, size if size >= 0 else self.left)
            self.left -= given
            return b" " * given

    environ: Any = {"wsgi.input": Chunked(), "wsgi.input_terminated": True}
    answer = desk.call("POST", "/pause", content_type=JSON, environ_overrides=environ)
    assert answer.status_code == 413
    assert environ["wsgi.input"].left == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": ["events:write"]}, "name"),
        ({"name": None, "scopes": ["events:write"]}, "name"),
        ({"name": "", "scopes": ["events:write"]}, "name"),
        ({"name": "  ", "scopes": ["events:write"]}, "name"),
        ({"name": "a\0b", "scopes": ["events:write"]}, "name"),
        ({"name": "a\nb", "scopes": ["events:write"]}, "name"),
        ({"name": "x" * 101, "scopes": ["events:write"]}, "name"),
        ({"name": 5, "scopes": ["events:write"]}, "name"),
        ({"name": "lab"}, "scopes"),
        ({"name": "lab", "scopes": []}, "scopes"),
        ({"name": "lab", "scopes": None}, "scopes"),
        ({"name": "lab", "scopes": "events:write"}, "scopes"),
        ({"name": "lab", "scopes": ["everything"]}, "scopes.0"),
    ],
)
def test_a_bad_key_is_not_made(desk: Desk, app: App, body: dict[str, Any], field: str) -> None:
    with app.database.transaction() as transaction:
        before = len(api_keys.listing(transaction))
    answer = desk.call("POST", "/keys", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.get_json()["errors"]] == [field]
    with app.database.transaction() as transaction:
        assert len(api_keys.listing(transaction)) == before + 1  # the caller's own


def test_values_are_never_repeated(desk: Desk) -> None:
    answer = desk.call("POST", "/keys", json={"name": ["Anna Karenina"], "scopes": ["Anna Karenina"]})
    assert answer.status_code == 422
    assert "Anna" not in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "date=",
        "date=today",
        "date=20261124",
        "date=2026-W48-2",
        "date=2026-02-30",
        "date=2026-11-24T00:00:00Z",
        "date=0001-01-01",
        "date=9999-12-31",
        "date=2026-11-24&date=2026-11-25",
        "day=2026-11-24",
        "date=%00",
        "date=1764000000",
        "date=%D9%A2%D9%A0%D9%A2%D9%A6-11-24",
    ],
)
def test_a_bad_date_is_named(desk: Desk, query: str) -> None:
    answer = desk.call("GET", f"/reports/delivery?{query}")
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["field"] == query.partition("=")[0]


@pytest.mark.parametrize("key_id", ["nobody", "%00", "a%00b", "%F0%9F%98%80", "%ff", "x" * 3000, "%27%20OR%201=1"])
def test_an_odd_id_is_not_found(desk: Desk, key_id: str) -> None:
    answer = desk.call("DELETE", f"/keys/{key_id}")
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


def test_the_wrong_method_is_told_the_right_ones(desk: Desk) -> None:
    answer = desk.call("PUT", "/pause", json={})
    assert (answer.status_code, answer.content_type) == (405, "application/problem+json")
    assert "POST" in answer.headers["Allow"]


def test_the_correlation_id_comes_back_and_a_strange_one_does_not(client: FlaskClient) -> None:
    def sent(given: str) -> str:
        answer = client.get(f"{BASE}/keys", headers={"X-Correlation-ID": given})
        assert answer.get_json()["correlation_id"] == answer.headers["X-Correlation-ID"]
        return answer.headers["X-Correlation-ID"]

    assert sent("order-66.a_B") == "order-66.a_B"
    assert sent("two words") != "two words"
    assert sent("x" * 65) != "x" * 65


def test_an_unforeseen_error_is_a_problem_that_tells_nothing(app: App, caplog: pytest.LogCaptureFixture) -> None:
    flask = create_app(app, person=None)
    row = "Anna Karenina, +4915112345678"

    @endpoint(Scope.EVENTS_WRITE, tag="tests", answers={})
    def breaks() -> None:
        raise ValueError(row)

    flask.add_url_rule(f"{BASE}/breaks", "breaks", breaks)
    with caplog.at_level(logging.ERROR):
        answer = Desk(app, flask.test_client()).call("GET", "/breaks")
    assert (answer.status_code, answer.content_type) == (500, "application/problem+json")
    assert "Anna" not in answer.text + caplog.text
    assert "ValueError" in caplog.text
    assert answer.get_json()["correlation_id"] in caplog.text


def test_a_database_that_is_away_is_a_503(clock: SetClock) -> None:
    app = build_app(make_settings("postgresql://nobody@127.0.0.1:1/nothing"), clock=clock)
    client = create_app(app, person=None).test_client()
    ready = client.get(f"{BASE}/ready")
    assert (ready.status_code, ready.content_type) == (503, "application/problem+json")
    assert client.get(f"{BASE}/health").status_code == 200
    app.close()


def test_a_database_without_our_tables_is_not_ready(postgres_url: str, clock: SetClock) -> None:
    app = build_app(make_settings(postgres_url), clock=clock)
    client = create_app(app, person=None).test_client()
    assert client.get(f"{BASE}/ready").status_code == 503
    app.close()


def test_too_many_requests_are_told_when_to_go_on(database_url: str, clock: SetClock) -> None:
    limit = {"CARENOTIFY_API_REQUESTS_PER_MINUTE_PER_KEY": "5"}
    app = build_app(make_settings(database_url, **limit), clock=clock)
    desk = Desk(app, create_app(app, person=None).test_client())
    one, other = desk.key(*ALL_SCOPES), desk.key(*ALL_SCOPES)
    answers = [desk.call_with(one, "GET", "/keys") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert answers[-1].content_type == "application/problem+json"
    assert desk.call_with(other, "GET", "/keys").status_code == 200
    app.close()


def test_an_address_has_a_limit_of_its_own_whatever_it_shows(database_url: str, clock: SetClock) -> None:
    limit = {"CARENOTIFY_API_REQUESTS_PER_MINUTE_PER_ADDRESS": "5", "CARENOTIFY_API_TRUSTED_PROXIES": "1"}
    app = build_app(make_settings(database_url, **limit), clock=clock)
    client = create_app(app, person=None).test_client()

    def status(address: str) -> int:
        return client.get(f"{BASE}/nowhere", headers={"X-Forwarded-For": f"203.0.113.9, {address}"}).status_code

    assert [status("198.51.100.1") for _ in range(6)] == [404] * 5 + [429]
    assert status("198.51.100.2") == 404
    assert [status(f"2001:db8::{number}") for number in range(6)] == [404] * 5 + [429]  # one site's own addresses
    app.close()
