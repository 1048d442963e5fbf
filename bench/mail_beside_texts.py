"""How fast mail goes while the provider of texts is down, beside how fast it goes without any texts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import mean
from typing import Any

from bench.rows import add_appointments, wipe
from bench.servers import Servers
from carenotify.app import App
from carenotify.domain.notification import Lane

ROWS = 10_000
ROUNDS = 2
THREADS = 16


def run(servers: Servers) -> Iterator[dict[str, Any]]:
    """In turn, so that whatever else the machine does hurts both alike."""
    app = servers.app()
    app.seed_templates()
    rates: dict[bool, list[int]] = {False: [], True: []}
    for _ in range(ROUNDS):
        for texts, measured in rates.items():
            measured.append(_rate(app, servers, texts=texts))
    alone, beside = mean(rates[False]), mean(rates[True])
    yield {
        "figure": "mail_rate_while_texts_are_down_share",
        "value": round(beside / alone, 2),
        "wanted": 0.9,
        "rows_per_second": rates[True],
        "rows_per_second_without_texts": rates[False],
    }
    app.close()


def _rate(app: App, servers: Servers, *, texts: bool) -> int:
    wipe(app)
    app.reminder_planner.plan(add_appointments(app, ROWS, mail=True))
    with app.database.transaction() as transaction:
        transaction.execute("TRUNCATE provider_states")
        if not texts:
            transaction.execute("DELETE FROM notifications WHERE channel = 'sms'")
    app.due_publisher.publish_due(Lane.LOW)
    environment = os.environ | servers.environment | {"CARENOTIFY_SEND_THREADS": str(THREADS), "PYTHONPATH": "include"}
    with subprocess.Popen([sys.executable, "-m", "bench.broken_texts_worker"], env=environment) as worker:
        try:
            first, first_at = _wait(app, 1)
            last, last_at = _wait(app, ROWS)
        finally:
            worker.terminate()
    return round((last - first) / (last_at - first_at))


def _wait(app: App, mails: int) -> tuple[int, float]:
    while True:
        with app.database.transaction() as transaction:
            sent = transaction.execute("SELECT count(*) FROM notifications WHERE status = 'sent'").fetchone()
        if sent and sent[0] >= mails:
            return sent[0], time.monotonic()
        time.sleep(0.1)
