"""The page's own files: open, nothing personal in them, and nothing beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
from desk import Desk
from flask.testing import FlaskClient

from carenotify.api.routes import page as routes
from carenotify.app import App, build_app
from tests.integration.ward import SetClock, make_settings

PAGE = "/carenotify/page"


@pytest.fixture(scope="module")
def app(module_database_url: str) -> Iterator[App]:
    """Nothing here changes anything."""
    app = build_app(make_settings(module_database_url), clock=SetClock())
    yield app
    app.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = tmp_path / "page"
    (files / "views").mkdir(parents=True)
    (files / "index.html").write_text("<h1>Today</h1>")
    (files / "app.js").write_text("export const a = 1;")
    (files / "views" / "today.js").write_text("export const b = 2;")
    (files / "style.css").write_text("h1 { color: green }")
    (files / "notes.md").write_text("secret")
    (files / ".hidden").write_text("secret")
    (tmp_path / "outside.js").write_text("secret")
    (files / "link.js").symlink_to(tmp_path / "outside.js")
    monkeypatch.setattr(routes, "FOLDER", files)
    return files


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/views/today.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
    ],
)
def test_its_files_come_with_their_kind_and_a_strict_policy(
    client: FlaskClient, folder: Path, path: str, kind: str
) -> None:
    answer = client.get(PAGE + path, buffered=True)
    assert (answer.status_code, answer.content_type) == (200, kind)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; ")
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-cache"


def test_a_file_that_the_browser_has_is_not_sent_again(client: FlaskClient, folder: Path) -> None:
    first = client.get(f"{PAGE}/app.js", buffered=True)
    again = client.get(f"{PAGE}/app.js", headers={"If-None-Match": first.headers["ETag"]}, buffered=True)
    assert (again.status_code, again.data) == (304, b"")
    (folder / "app.js").write_text("export const a = 2; // newer")
    newer = client.get(f"{PAGE}/app.js", headers={"If-None-Match": first.headers["ETag"]}, buffered=True)
    assert newer.text == "export const a = 2; // newer"


def test_an_address_with_a_slash_leads_to_the_one_without(client: FlaskClient, folder: Path) -> None:
    answer = client.get(f"{PAGE}/")
    assert (answer.status_code, answer.headers["Location"]) == (308, "../page")
    assert (
        urljoin(f"http://hospital.example/airflow{PAGE}/", answer.headers["Location"])
        == f"http://hospital.example/airflow{PAGE}"
    )


@pytest.mark.parametrize(
    "path",
    [
        "../outside.js",
        "..%2foutside.js",
        "%2e%2e/outside.js",
        "views/../../outside.js",
        "/etc/passwd",
        "//etc/hosts.js",
        "..\\outside.js",
        "link.js",
        "notes.md",
        ".hidden",
        "views",
        "nothing.js",
        "%00.js",
        "a" * 5000 + ".js",
    ],
)
def test_nothing_else_can_be_read(client: FlaskClient, folder: Path, path: str) -> None:
    answer = client.get(f"{PAGE}/{path}", buffered=True)
    assert answer.status_code in {308, 404}, path
    assert "secret" not in answer.text


def test_people_are_told_who_they_are_and_what_they_may_do(desk: Desk) -> None:
    viewer = desk.call_with("viewer.to.ken", "GET", "/me").get_json()
    assert viewer == {"name": "viewer", "scopes": ["notifications:read-masked", "reports:read", "templates:read"]}
    assert "keys:admin" in desk.call_with("admin.to.ken", "GET", "/me").get_json()["scopes"]


def test_somebody_without_rights_is_told_to_ask_for_them(desk: Desk) -> None:
    answer = desk.call_with("guest.to.ken", "GET", "/me")
    assert answer.status_code == 403
    assert "ask for a role" in answer.get_json()["detail"]
