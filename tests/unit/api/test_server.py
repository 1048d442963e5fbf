"""What `python -m carenotify.api` looks at before it listens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "PYTHONPATH": str(Path(__file__).parents[3] / "include"),
    "CARENOTIFY_DATABASE_URL": "postgresql://someone@127.0.0.1:9/carenotify",
    "CARENOTIFY_BROKER_URL": "amqp://someone@127.0.0.1:9/",
    "CARENOTIFY_TIMEZONE": "Europe/Berlin",
    "CARENOTIFY_ENCRYPTION_KEYS": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "CARENOTIFY_INDEX_KEY": "an index key that nobody knows",
}


def test_what_opentelemetrys_sdk_refuses_is_told_in_one_line_before_anything_listens() -> None:
    refused = {"OTEL_TRACES_EXPORTER": "console", "OTEL_BSP_MAX_QUEUE_SIZE": "100"}
    command = [sys.executable, "-m", "carenotify.api", "--port", "0"]
    done = subprocess.run(command, env=ENVIRONMENT | refused, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    (told,) = done.stderr.splitlines()
    assert told.startswith("carenotify.api cannot start: OpenTelemetry refuses")
    assert "max_queue_size" in told
