"""From pending rows to confirmed and marked queued, in one process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from bench.rows import plan, wipe
from bench.servers import Servers
from carenotify.domain.notification import Lane

ROWS = 40_000


def run(servers: Servers) -> Iterator[dict[str, Any]]:
    app = servers.app()
    wipe(app)
    started = time.monotonic()
    plan(app, ROWS)
    yield {"figure": "plan_reminders_rows_per_second", "value": round(ROWS / (time.monotonic() - started))}
    app.publisher.publish([])
    started = time.monotonic()
    published = app.due_publisher.publish_due(Lane.LOW)
    seconds = time.monotonic() - started
    assert published.confirmed == ROWS, published
    yield {"figure": "publish_due_rows_per_second", "value": round(ROWS / seconds), "wanted": 8000}
    app.close()
