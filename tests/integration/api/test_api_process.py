"""`python -m carenotify.api`: the surface in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

from carenotify.app import App
from carenotify.domain.access import ALL_SCOPES
from carenotify.journeys.issue_key import issue_key
from tests.integration.ward import process_settings, wait_for
from tests.integration.worker.worker_process import clean_environment
from tests.scraped import Scraped


@pytest.fixture
def environment(database_url: str) -> dict[str, str]:
    return clean_environment(process_settings(database_url))


def start(environment: dict[str, str], *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "carenotify.api", *more]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def listens(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/carenotify/v1/health", timeout=5).ok
    except requests.ConnectionError:
        return False


def test_it_serves_two_processes_and_ends_cleanly(environment: dict[str, str], app: App) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    _, key = issue_key(app.database, name="tests", scopes=ALL_SCOPES, by="tests", now=app.clock())
    headers = {"Authorization": f"Bearer {key}"}
    ours = f"http://127.0.0.1:{port}/carenotify/v1"
    with start(environment, "--port", str(port), "--workers", "2") as process:
        wait_for(lambda: listens(port), seconds=60)
        assert requests.get(f"{ours}/ready", timeout=20).json() == {"database": True, "broker": False}
        assert requests.get(f"{ours}/keys", headers=headers, timeout=20).status_code == 200
        assert requests.get(f"{ours}/keys", cookies={"_token": "a.b.c"}, timeout=20).status_code == 401
        too_long = requests.post(f"{ours}/pause", data=b" " * 10_000_000, headers=headers, timeout=20)
        assert too_long.status_code == 413
        with socket.create_connection(("127.0.0.1", port), timeout=20) as garbled:
            garbled.sendall(b"GET /?name=Xanthippe Quellenfluh HTTP/1.1\r\n\r\n")
            assert garbled.recv(100).startswith(b"HTTP/1.1 400")
        process.send_signal(signal.SIGTERM)
        output, log = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, "")
    lines = [json.loads(line) for line in log.splitlines()]
    (warning,) = [line for line in lines if line["level"] != "info"]
    assert warning["event"].startswith("a request could not be answered: InvalidHTTPVersion at ")
    assert "Quellenfluh" not in log


def scrape(port: int, **headers: str) -> Scraped | None:
    """None while nobody listens; every answer has to be a whole one."""
    try:
        answer = requests.get(f"http://127.0.0.1:{port}/carenotify/v1/metrics", headers=headers, timeout=10)
    except requests.ConnectionError:
        return None
    assert answer.status_code == 200, answer.text
    return Scraped.of(answer.content, answer.headers["Content-Type"])


@contextmanager
def scraped_all_the_time(port: int) -> Iterator[list[Scraped]]:
    """Somebody asks again and again; what they found."""
    found: list[Scraped] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            if one := scrape(port):
                found.append(one)
            stop.wait(0.1)

    with ThreadPoolExecutor(1) as asking:
        asked = asking.submit(ask)
        try:
            yield found
        finally:
            stop.set()
    asked.result()


def counting_files(temporary: Path) -> list[str]:
    return sorted(path.name for path in temporary.glob("carenotify-metrics-*/counter_*.db"))


def test_processes_count_together_also_what_one_had_counted_that_was_killed(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    route = "/carenotify/v1/openapi.json"

    def counted() -> float:
        found = scrape(port)
        return found.total("carenotify_http_requests_total", route=route, status="200") if found else 0.0

    def ask() -> None:
        with suppress(requests.ConnectionError):
            assert requests.get(f"http://127.0.0.1:{port}{route}", timeout=20).ok

    with (
        start(environment | {"TMPDIR": str(tmp_path)}, "--port", str(port), "--workers", "2") as process,
        scraped_all_the_time(port) as found,
    ):
        wait_for(lambda: bool(found), seconds=60)
        wait_for(lambda: ask() or len(counting_files(tmp_path)) == 2)  # type: ignore[func-returns-value]
        before = counted()
        with ThreadPoolExecutor(8) as callers:
            for _ in range(40):
                callers.submit(ask)
        assert counted() == before + 40
        one = counting_files(tmp_path)[0]
        os.kill(int(one.removeprefix("counter_").removesuffix(".db")), signal.SIGKILL)
        wait_for(lambda: one not in counting_files(tmp_path), seconds=60)
        assert "counter_ended.db" in counting_files(tmp_path)
        assert counted() == before + 40
        connections = scrape(port)
        assert connections is not None
        assert connections.total("carenotify_build_info") == 1
        assert connections.total("python_info") == 1
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert found
    assert not list(tmp_path.glob("carenotify-metrics-*"))


def test_a_wrong_setting_is_named_before_anything_listens(environment: dict[str, str]) -> None:
    with start(environment | {"CARENOTIFY_TIMEZONE": "Europe/Atlantis"}) as process:
        _, complaint = process.communicate(timeout=30)
    assert process.returncode == 1
    assert complaint.startswith("carenotify.api cannot start: CARENOTIFY_TIMEZONE: 'Europe/Atlantis'")
