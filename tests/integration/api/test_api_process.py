"""`python -m carenotify.api`: the surface in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from carenotify.app import App
from carenotify.config import PREFIX, Settings
from carenotify.domain.access import ALL_SCOPES
from carenotify.journeys.issue_key import issue_key
from tests.integration.ward import wait_for

ROOT = Path(__file__).parents[3]


@pytest.fixture
def environment(settings: Settings, database_url: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return inherited | {
        "CARENOTIFY_DATABASE_URL": database_url,
        "CARENOTIFY_BROKER_URL": "amqp://127.0.0.1:1/",
        "CARENOTIFY_TIMEZONE": "Europe/Berlin",
        "CARENOTIFY_ENCRYPTION_KEYS": settings.encryption_keys[0].get_secret_value(),
        "CARENOTIFY_INDEX_KEY": settings.index_key.get_secret_value(),
        "PYTHONPATH": str(ROOT / "include"),
    }


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
        process.send_signal(signal.SIGTERM)
        output, log = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, "")
    assert {json.loads(line)["level"] for line in log.splitlines()} == {"info"}


def test_a_wrong_setting_is_named_before_anything_listens(environment: dict[str, str]) -> None:
    with start(environment | {"CARENOTIFY_TIMEZONE": "Europe/Atlantis"}) as process:
        _, complaint = process.communicate(timeout=30)
    assert process.returncode == 1
    assert complaint.startswith("carenotify.api cannot start: CARENOTIFY_TIMEZONE: 'Europe/Atlantis'")
