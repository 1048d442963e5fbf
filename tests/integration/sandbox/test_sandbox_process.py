"""`python -m carenotify.sandbox` as a process: ready line, clean end, clear words."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import requests

ROOT = Path(__file__).parents[3]
COMMAND = [
    *(sys.executable, "-m", "carenotify.sandbox", "--reminder-day", "2026-11-24"),
    *("--twilio-account-sid", "AC1", "--twilio-auth-token", "t"),
]


def start(*more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *more],
        env=os.environ | {"PYTHONPATH": str(ROOT / "include")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_says_where_it_listens_and_ends_cleanly_while_a_call_hangs() -> None:
    with start("--fail-share", "0") as process:
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        url = f"http://127.0.0.1:{ports['http_port']}"
        assert requests.get(url + "/health", timeout=5).json()["appointments"] == 55
        requests.post(url + "/faults", json={"latency_ms": 60_000}, timeout=5)
        with (
            socket.create_connection(("127.0.0.1", ports["smtp_port"]), timeout=5) as mail,
            socket.create_connection(("127.0.0.1", ports["http_port"]), timeout=5) as call,
        ):
            assert mail.recv(100).startswith(b"220 ")
            call.sendall(b"GET /fhir/Appointment HTTP/1.1\r\nHost: sandbox\r\n\r\n")
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with start("--http-port", str(port)) as process:
            _, complaint = process.communicate(timeout=20)
    assert process.returncode == 1
    assert str(port) in complaint
    assert "Traceback" not in complaint


def test_an_unknown_zone_is_named() -> None:
    with start("--timezone", "Europe/Atlantis") as process:
        _, complaint = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "'Europe/Atlantis' is not a time zone" in complaint
