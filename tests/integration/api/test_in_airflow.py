"""The surface where it lives: in Airflow's api-server, behind Airflow's own logins."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import sync_playwright

from carenotify.app import build_app
from carenotify.domain.access import ALL_SCOPES
from carenotify.journeys.issue_key import issue_key
from carenotify.quality.data_docs import site
from tests.integration.page.browser import chromium
from tests.integration.ward import make_settings, process_settings, wait_for
from tests.scraped import Scraped

ROOT = Path(__file__).parents[3]
PASSWORD = "correct horse"
ADD_USERS = f"""
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
with get_application_builder() as builder:
    manager = builder.sm
    for role in ("Viewer", "Op"):
        assert manager.add_user(role, "a", "b", role + "@x.example", manager.find_role(role), {PASSWORD!r})
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def environment(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An Airflow with our plugin, a database of its own, and two people in it."""
    home = tmp_path_factory.mktemp("airflow")
    pages = site(home / "docs")
    pages.mkdir(parents=True)
    (pages / "index.html").write_text("<h1>Loads</h1>")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "CARENOTIFY_"))}
    environment = inherited | {
        **process_settings(module_database_url),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__SECRET_KEY": "a secret for the tests",
        "AIRFLOW__API_AUTH__JWT_SECRET": "0123456789abcdef" * 4,
        "CARENOTIFY_DATA_DOCS_PATH": str(home / "docs"),
        "PYTHONPATH": str(ROOT / "include"),
    }
    for command in (["-m", "airflow", "db", "migrate"], ["-c", ADD_USERS]):
        subprocess.run([sys.executable, *command], env=environment, cwd=home, check=True, capture_output=True)
    return environment


@pytest.fixture(scope="module")
def address(environment: dict[str, str]) -> Iterator[str]:
    """Where the api-server listens, as long as the tests of this file run."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = Path(environment["AIRFLOW_HOME"], "api-server.log")
    with (
        log.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-m", "airflow", "api-server"],
            env=environment | {"AIRFLOW__API__PORT": str(port), "AIRFLOW__API__BASE_URL": url},
            cwd=environment["AIRFLOW_HOME"],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as server,
    ):
        wait_for(lambda: server.poll() is None and listens(f"{url}/api/v2/version"), seconds=90)
        yield url
        os.killpg(server.pid, signal.SIGTERM)


def listens(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


@pytest.fixture(scope="module")
def ours(address: str) -> str:
    return f"{address}/carenotify/v1"


def token_of(address: str, role: str) -> str:
    answer = requests.post(f"{address}/auth/token", json={"username": role, "password": PASSWORD}, timeout=20)
    token: str = answer.json()["access_token"]
    return token


def browser(address: str, role: str) -> requests.Session:
    """A browser in which somebody has logged in to Airflow by its form."""
    session = requests.Session()
    form = session.get(f"{address}/auth/login/", timeout=20).text
    hidden = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form)
    assert hidden is not None
    filled = {"username": role, "password": PASSWORD, "csrf_token": hidden[1]}
    session.post(f"{address}/auth/login/", data=filled, timeout=20, allow_redirects=False)
    return session


def test_the_urls_are_those_of_the_standalone_server(ours: str) -> None:
    assert requests.get(f"{ours}/health", timeout=20).json() == {"status": "ok"}
    assert requests.get(f"{ours}/ready", timeout=20).json() == {"database": True, "broker": False}
    paths = requests.get(f"{ours}/openapi.json", timeout=20).json()["paths"]
    assert "/carenotify/v1/pause" in paths
    moved = requests.get(f"{ours}/data-docs", timeout=20, allow_redirects=False)
    assert moved.headers["Location"] == f"{ours}/data-docs/"


def test_prometheus_reads_the_metrics_from_this_machine_and_from_no_proxy(ours: str) -> None:
    answer = requests.get(f"{ours}/metrics", timeout=20)
    assert answer.status_code == 200
    scraped = Scraped.of(answer.content, answer.headers["Content-Type"])
    assert scraped.value("carenotify_database_up") == 1
    assert scraped.value("process_open_fds") > 3
    assert requests.get(f"{ours}/metrics", headers={"X-Forwarded-For": "127.0.0.1"}, timeout=20).status_code == 401


def test_nobody_gets_in_without_credentials(ours: str) -> None:
    for path in ("/keys", "/reports/delivery", "/data-docs/"):
        answer = requests.get(ours + path, timeout=20)
        assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/problem+json")


def test_an_airflow_token_brings_its_roles(address: str, ours: str) -> None:
    def pause(role: str) -> int:
        headers = {"Authorization": f"Bearer {token_of(address, role)}"}
        assert requests.get(f"{ours}/reports/delivery", headers=headers, timeout=20).status_code == 200
        return requests.post(f"{ours}/pause", json={"channel": "sms"}, headers=headers, timeout=20).status_code

    assert pause("Op") == 200
    assert pause("Viewer") == 403


def test_a_token_that_was_changed_is_worth_nothing(address: str, ours: str) -> None:
    head, _, signature = token_of(address, "Op").rpartition(".")
    forged = f"{head}.{signature[::-1]}"
    headers = {"Authorization": f"Bearer {forged}"}
    assert requests.get(f"{ours}/reports/delivery", headers=headers, timeout=20).status_code == 401


def test_an_api_key_works_beside_airflows_logins(ours: str, module_database_url: str) -> None:
    app = build_app(make_settings(module_database_url))
    _, key = issue_key(app.database, name="tests", scopes=ALL_SCOPES, by="tests", now=app.clock())
    app.close()
    headers = {"Authorization": f"Bearer {key}"}
    assert requests.get(f"{ours}/keys", headers=headers, timeout=20).status_code == 200
    pieces = iter([b'{"channel":', b' "email"}'])  # chunked
    answer = requests.post(
        f"{ours}/pause", data=pieces, headers=headers | {"Content-Type": "application/json"}, timeout=20
    )
    assert answer.status_code == 200
    too_long = requests.post(f"{ours}/pause", data=b" " * 10_000_000, headers=headers, timeout=20)
    assert too_long.status_code == 413


def test_a_browser_that_is_logged_in_to_airflow_reads_and_writes_as_its_person(address: str, ours: str) -> None:
    with browser(address, "Op") as session:
        page = session.get(f"{ours}/data-docs/", timeout=20)
        assert (page.status_code, page.text) == (200, "<h1>Loads</h1>")
        assert session.post(f"{ours}/resume", json={"channel": None}, timeout=20).status_code == 403
        ours_only = {"X-Carenotify-Request": "1"}
        assert session.post(f"{ours}/resume", json={"channel": None}, headers=ours_only, timeout=20).status_code == 200
        session.get(f"{address}/auth/logout", timeout=20)
        assert session.get(f"{ours}/data-docs/", timeout=20).status_code == 401


def test_the_data_docs_are_in_airflows_navigation(address: str, ours: str) -> None:
    headers = {"Authorization": f"Bearer {token_of(address, 'Op')}"}
    plugins = requests.get(f"{address}/api/v2/plugins", headers=headers, timeout=20).json()["plugins"]
    (plugin,) = [plugin for plugin in plugins if plugin["name"] == "carenotify"]
    (view,) = [view for view in plugin["external_views"] if view["name"] == "Data docs"]
    assert address + view["href"] == f"{ours}/data-docs/"


def test_the_page_is_in_airflows_navigation_and_shows_who_logged_in_by_the_form(address: str) -> None:
    with sync_playwright() as playwright, chromium(playwright) as chrome:
        window = chrome.new_page()
        window.goto(f"{address}/auth/login/")
        window.locator("#username").fill("Op")
        window.locator("#password").fill(PASSWORD)
        window.locator("#password").press("Enter")
        window.get_by_role("link", name="Notifications").click()
        page = window.frame_locator("iframe")
        page.get_by_role("link", name="Send").wait_for()
        assert "Op" in page.locator(".who").inner_text()
        assert page.locator("html").get_attribute("data-theme") in {"light", "dark"}  # as Airflow's own switch says
