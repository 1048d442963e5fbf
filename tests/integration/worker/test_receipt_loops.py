"""The worker's process asks for receipts that did not come, and applies those that came too early."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from carenotify.app import App, build_app
from carenotify.config import load_settings
from carenotify.domain.window import local_day
from carenotify.sandbox.server import SandboxServer
from carenotify.worker import __main__ as process
from tests.integration.ward import Hospital, process_settings, wait_for
from tests.integration.worker.worker_process import running_worker, sandbox_settings

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(reminder_day=date(2026, 11, 27), timezone=BERLIN, appointments=5) as server:
        yield server


@pytest.fixture
def settings(database_url: str, broker_url: str, sandbox: SandboxServer) -> dict[str, str]:
    return process_settings(database_url, broker_url) | {
        **sandbox_settings(sandbox),
        "CARENOTIFY_SEND_WINDOW": "00:00-24:00",
        "CARENOTIFY_PUBLIC_URL": sandbox.url,  # where nobody takes callbacks
        "CARENOTIFY_LOOK_UP_AFTER_SECONDS": "3",
    }


@pytest.fixture
def app(settings: dict[str, str]) -> Iterator[App]:
    app = build_app(load_settings(settings))
    yield app
    app.close()


def test_a_worker_looks_up_what_nobody_called_back_about_and_applies_what_came_early(
    app: App, settings: dict[str, str], tmp_path: Path
) -> None:
    hospital = Hospital(app.database)
    today = local_day(app.clock(), BERLIN)
    start = datetime.combine(today + timedelta(days=2), datetime.min.time(), BERLIN).replace(hour=10)
    # The last one is taken by the provider and never heard of again.
    for place, number in enumerate(["+4915110000100", "+4915110000101", "+4915110000012"]):
        hospital.add_patient(f"p{place}", phone=number, mail=None)
        hospital.add_appointment(f"a{place}", f"p{place}", start=start)
    app.reminder_planner.plan(today)

    with running_worker(settings, tmp_path / "log", "--channels", "sms") as worker:
        wait_for(lambda: hospital.statuses() == Counter(sent=3), seconds=40)
        hospital.query(
            "INSERT INTO receipts (notification_id, provider, provider_message_id, provider_status, received_at)"
            " SELECT id, 'twilio', provider_message_id, 'delivered', now() FROM notifications WHERE patient_id = 'p2'"
            " RETURNING 1"
        )
        wait_for(lambda: hospital.statuses() == Counter(delivered=3), seconds=40)
        assert worker.end() == 0

    asked = hospital.query("SELECT patient_id FROM notifications WHERE looked_up_at IS NOT NULL ORDER BY 1")
    assert {patient for (patient,) in asked} >= {"p0", "p1"}
    assert hospital.query("SELECT count(*) FROM receipts WHERE applied_at IS NULL") == [(0,)]


@pytest.mark.parametrize("relay", [True, False])
def test_whoever_has_a_channels_providers_asks_for_its_receipts_relay_or_not(app: App, relay: bool) -> None:
    names = [loop.name for loop in process._loops(app, [], relay=relay, look_up=True)]
    assert names.count("look-ups") == 1
    assert ("relay" in names) == relay
