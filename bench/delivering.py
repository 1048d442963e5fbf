"""Two worker processes to a provider that answers at once, with claim, record and acknowledgement."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from bench.publishing import ROWS
from bench.servers import Servers

PROCESSES = 2
THREADS = 64


def run(servers: Servers) -> Iterator[dict[str, Any]]:
    """Delivers what `publishing` queued."""
    app = servers.app()
    environment = servers.environment | {"CARENOTIFY_SEND_THREADS": str(THREADS), "PYTHONPATH": "include"}
    workers = [
        subprocess.Popen([sys.executable, "-m", "bench.instant_worker"], env=environment) for _ in range(PROCESSES)
    ]
    try:
        first, first_at = _wait(app, 1)
        last, last_at = _wait(app, ROWS)
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(30)
    yield {
        "figure": "deliver_rows_per_second",
        "value": round((last - first) / (last_at - first_at)),
        "wanted": 4000,
        "processes": PROCESSES,
        "threads": THREADS,
    }
    app.close()


def _wait(app: Any, rows: int) -> tuple[int, float]:
    while True:
        with app.database.transaction() as transaction:
            sent = transaction.execute("SELECT count(*) FROM notifications WHERE status = 'sent'").fetchone()[0]
        if sent >= rows:
            return sent, time.monotonic()
        time.sleep(0.1)
