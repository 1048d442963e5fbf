"""Change events on a running system: how quickly they are answered, and how soon the provider hears of them."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from bench.rows import add_appointments
from carenotify.app import App, build_app
from carenotify.config import PREFIX, load_settings
from carenotify.domain.clock import system_clock
from carenotify.storage import pauses
from stack.system import System

PATIENTS = 100_000
SCHEDULED = 20_000
ALONE, TOGETHER, SAMPLES, CLIENTS = 300, 800, 100, 8
_UNLIMITED = ("PER_KEY", "PER_ADDRESS")


def lift_limits() -> None:
    """The figures ask more of the API than one client may."""
    for limit in _UNLIMITED:
        os.environ[f"{PREFIX}API_REQUESTS_PER_MINUTE_{limit}"] = "1000000"


def figures(system: System) -> Iterator[dict[str, Any]]:
    """Latency of POST /events alone and together, and from POST to the provider beside bulk."""
    app = build_app(load_settings(system.settings), application="bench")
    _pause(app)
    day = add_appointments(app, PATIENTS)
    alone = _post_many(system, range(ALONE), clients=1)
    yield {"figure": "post_event_p95_ms_1_client", "value": _percentile(alone, 95), "at_most": 25}
    together = _post_many(system, range(ALONE, ALONE + TOGETHER), clients=CLIENTS)
    yield {"figure": f"post_event_p95_ms_{CLIENTS}_clients", "value": _percentile(together, 95), "at_most": 100}
    yield _scheduled(app, day)
    app.reminder_planner.plan(day)
    _resume(app)
    _wait(lambda: _count(app, "status = 'sent' AND kind = 'reminder'") > SCHEDULED + 500)
    first = ALONE + TOGETHER
    waits = [_post_and_see(system, number) for number in range(first, first + SAMPLES)]
    left = _count(app, "status IN ('pending', 'queued', 'sending')")
    yield {"figure": "post_to_provider_p50_ms", "value": _percentile(waits, 50), "at_most": 150, "bulk_left": left}
    yield {"figure": "post_to_provider_p99_ms", "value": _percentile(waits, 99), "at_most": 1000, "bulk_left": left}
    app.close()


def _scheduled(app: App, day: Any) -> dict[str, Any]:
    """Notifications that are all due at one moment, published by the workers' relays."""
    _move(app, "30 days", keep=SCHEDULED)
    app.reminder_planner.plan(day)
    due_at = datetime.now(UTC) + timedelta(seconds=5)
    with app.database.transaction() as transaction:
        transaction.execute("UPDATE notifications SET due_at = %s WHERE kind = 'reminder'", (due_at,))
    _move(app, "-30 days", keep=SCHEDULED)
    _resume(app)
    _wait(lambda: _count(app, "kind = 'reminder' AND status = 'pending' AND attempts = 0 AND reason IS NULL") == 0)
    seconds = (datetime.now(UTC) - due_at).total_seconds()
    return {"figure": "scheduled_20000_published_seconds", "value": round(seconds, 2), "at_most": 5}


def _move(app: App, by: str, *, keep: int) -> None:
    """Out of the plan's sight and back: every appointment but the last `keep`."""
    moved = [f"a{number}" for number in range(PATIENTS - keep)]
    with app.database.transaction() as transaction:
        transaction.execute(
            "UPDATE appointments SET start_at = start_at + %s::interval WHERE id = ANY(%s)", (by, moved)
        )


def _post_many(system: System, numbers: range, *, clients: int) -> list[float]:
    def share(offset: int) -> list[float]:
        connection = _connect(system)
        return [_post(system, connection, number)[1] for number in numbers[offset::clients]]

    with ThreadPoolExecutor(clients) as pool:
        return [wait for waits in pool.map(share, range(clients)) for wait in waits]


def _post_and_see(system: System, number: int) -> float:
    """Milliseconds from the POST until the receiver has the message."""
    sandbox = urlsplit(system.settings["CARENOTIFY_SANDBOX_URL"])
    receiver = http.client.HTTPConnection(sandbox.hostname or "", sandbox.port)
    began = time.monotonic()
    ids, _ = _post(system, _connect(system), number)
    while True:
        receiver.request("GET", f"/messages?notification_id={ids[0]}")
        if json.load(receiver.getresponse()):
            return (time.monotonic() - began) * 1000
        time.sleep(0.005)


def _connect(system: System) -> http.client.HTTPConnection:
    place = urlsplit(system.settings["CARENOTIFY_API_URL"])
    return http.client.HTTPConnection(place.hostname or "", place.port)


def _post(system: System, connection: http.client.HTTPConnection, number: int) -> tuple[list[str], float]:
    now = system_clock()
    event = {
        "event_id": f"bench-{number}-{now.timestamp()}",
        "type": "appointment.rescheduled",
        "occurred_at": now.isoformat(),
        "appointment": {
            "id": f"a{number}",
            "patient_id": f"p{number}",
            "start": (now + timedelta(days=3, hours=1)).isoformat(),
            "venue": "Radiology",
        },
    }
    headers = {"Authorization": f"Bearer {system.settings['CARENOTIFY_API_KEY']}", "Content-Type": "application/json"}
    began = time.monotonic()
    connection.request("POST", "/carenotify/v1/events", json.dumps(event), headers)
    response = connection.getresponse()
    answer: Mapping[str, Any] = json.load(response)
    milliseconds = (time.monotonic() - began) * 1000
    assert response.status == http.client.ACCEPTED, answer
    return list(answer["notification_ids"]), milliseconds


def _percentile(values: list[float], percent: int) -> float:
    return round(sorted(values)[min(len(values) - 1, len(values) * percent // 100)], 1)


def _pause(app: App) -> None:
    with app.database.transaction() as transaction:
        pauses.pause(transaction, None, by="bench", now=app.clock())


def _resume(app: App) -> None:
    with app.database.transaction() as transaction:
        pauses.resume(transaction, None)


def _count(app: App, condition: str) -> int:
    with app.database.transaction() as transaction:
        row = transaction.execute(f"SELECT count(*) FROM notifications WHERE {condition}").fetchone()
    return int(row[0]) if row else 0


def _wait(condition: Any) -> None:
    while not condition():
        time.sleep(0.1)
