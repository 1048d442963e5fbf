from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import BASE, TOKENS, Desk
from flask.testing import FlaskClient

from carenotify.api import create_app
from carenotify.app import App, build_app
from carenotify.domain.access import Scope
from carenotify.quality.data_docs import site
from tests.integration.ward import SetClock, make_settings

READER = {Scope.REPORTS_READ}


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    pages = site(tmp_path / "docs")
    (pages / "validations" / "r1").mkdir(parents=True)
    (pages / "index.html").write_text("<h1>Loads</h1>")
    (pages / "validations" / "r1" / "load.html").write_text("<h1>Load r1</h1>")
    (pages.parents[1] / "config_variables.yml").write_text("password: secret")
    (tmp_path / "patients.csv").write_text("secret")
    return tmp_path / "docs"


@pytest.fixture
def app(database_url: str, docs: Path, clock: SetClock) -> Iterator[App]:
    app = build_app(make_settings(database_url, CARENOTIFY_DATA_DOCS_PATH=str(docs)), clock=clock)
    yield app
    app.close()


def test_the_first_page_and_those_below_it_are_shown(desk: Desk) -> None:
    first = desk.call("GET", "/data-docs/", scopes=READER)
    assert (first.status_code, first.mimetype, first.text) == (200, "text/html", "<h1>Loads</h1>")
    assert desk.call("GET", "/data-docs/validations/r1/load.html", scopes=READER).text == "<h1>Load r1</h1>"


def test_a_browser_that_is_logged_in_to_airflow_sees_them(client: FlaskClient) -> None:
    client.set_cookie("_token", "viewer.to.ken")
    assert client.get(f"{BASE}/data-docs/", buffered=True).status_code == 200


def test_a_browser_with_a_login_that_is_over_does_not(client: FlaskClient) -> None:
    client.set_cookie("_token", "nobody.of.ours")
    assert client.get(f"{BASE}/data-docs/", buffered=True).status_code == 401


def test_without_airflow_its_cookie_means_nothing(app: App) -> None:
    client = create_app(app, person=None).test_client()
    client.set_cookie("_token", next(iter(TOKENS)))
    assert client.get(f"{BASE}/data-docs/", buffered=True).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "../../config_variables.yml",
        "..%2f..%2fconfig_variables.yml",
        "%2e%2e/%2e%2e/config_variables.yml",
        "validations/../../../config_variables.yml",
        "/etc/passwd",
        "//etc/passwd",
        "..\\..\\config_variables.yml",
        "%00",
        "index.html%00.png",
        "validations",
        "a" * 5000,
    ],
)
def test_nothing_outside_the_pages_can_be_reached(desk: Desk, path: str) -> None:
    answer = desk.call("GET", f"/data-docs/{path}", scopes=READER)
    assert answer.status_code in {404, 308}, path
    assert "secret" not in answer.text


def test_a_link_that_leads_out_is_not_followed(desk: Desk, docs: Path) -> None:
    (site(docs) / "out").symlink_to(docs.parent)
    (site(docs) / "patients.html").symlink_to(docs.parent / "patients.csv")
    for path in ("out/patients.csv", "patients.html"):
        assert desk.call("GET", f"/data-docs/{path}", scopes=READER).status_code == 404


def test_pages_may_not_call_anybody_in_their_readers_name(desk: Desk) -> None:
    headers = desk.call("GET", "/data-docs/", scopes=READER).headers
    policy = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert "connect-src" not in policy
    assert headers["Cache-Control"] == "no-cache, private"


def test_before_the_first_load_there_is_a_clear_answer(desk: Desk, docs: Path) -> None:
    (site(docs) / "index.html").unlink()
    answer = desk.call("GET", "/data-docs/", scopes=READER)
    assert answer.status_code == 404
    assert answer.get_json()["detail"] == "No load has been through the quality gate yet."
