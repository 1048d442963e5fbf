"""A provider that calls back as Twilio does, over real HTTP: late, twice, and in the wrong order."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
import requests
from desk import BASE
from werkzeug.serving import make_server

from carenotify.api import create_app
from carenotify.app import App, build_app
from carenotify.channels.sms.twilio import TwilioProvider
from carenotify.domain.notification import Channel
from carenotify.sandbox.server import SandboxServer
from tests.integration.journeys.test_record_receipt import TODAY, suppressed
from tests.integration.ward import MOBILE, Hospital, SetClock, make_settings, wait_for

ACCOUNT, TOKEN = "AC" + "0" * 32, "sandbox-token"


@pytest.fixture
def sandbox(clock: SetClock) -> Iterator[SandboxServer]:
    with SandboxServer(
        reminder_day=TODAY, timezone=make_settings("postgresql://x/x").timezone, callback_delay_seconds=(0.0, 0.3)
    ) as server:
        yield server


@pytest.fixture
def live(database_url: str, clock: SetClock, sandbox: SandboxServer) -> Iterator[App]:
    """An app whose API listens, and which sends through the sandbox."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = make_settings(
        database_url,
        CARENOTIFY_PUBLIC_URL=f"http://127.0.0.1:{port}",
        CARENOTIFY_TWILIO_BASE_URL=sandbox.url,
        CARENOTIFY_TWILIO_ACCOUNT_SID=ACCOUNT,
        CARENOTIFY_TWILIO_AUTH_TOKEN=TOKEN,
        CARENOTIFY_TWILIO_FROM="+4930123456",
    )
    app = build_app(settings, clock=clock)
    server = make_server("127.0.0.1", port, create_app(app, person=None), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield app
    server.shutdown()
    thread.join()
    server.server_close()
    app.close()


def send_to(app: App, numbers: list[str]) -> Hospital:
    hospital = Hospital(app.database)
    for place, number in enumerate(numbers):
        hospital.add_patient(f"p{place}", phone=number, mail=None)
        hospital.add_appointment(f"a{place}", f"p{place}")
    app.reminder_planner.plan(TODAY)
    ids = [identity for (identity,) in hospital.query("SELECT id FROM notifications")]
    app.deliverer.record([app.deliverer.send(claim) for claim in app.deliverer.claim(ids)[0]])
    return hospital


def test_whatever_the_order_everybody_ends_as_the_provider_says(live: App, sandbox: SandboxServer) -> None:
    numbers = [f"+49151123{number:04}" for number in range(1000, 1060)]
    hospital = send_to(live, [*numbers, "+4915112340004", "+4915112340005"])

    def settled() -> bool:
        live.receipt_recorder.apply_waiting()
        return not hospital.statuses()["sent"]

    wait_for(settled)
    assert hospital.statuses() == {"delivered": 60, "failed": 2}
    failed = hospital.query("SELECT reason, error_code FROM notifications WHERE status = 'failed' ORDER BY error_code")
    assert failed == [("carrier", "30003"), ("address_rejected", "30005")]
    assert hospital.query("SELECT count(*) FROM suppressions") == [(1,)]
    assert sandbox.faults.counted["callbacks:failed:403"] == 0


def test_what_nobody_called_back_about_is_looked_up(live: App, clock: SetClock) -> None:
    hospital = send_to(live, ["+4915112340012"])  # taken, and never heard of again
    [provider] = live.providers[Channel.SMS]
    assert isinstance(provider, TwilioProvider)
    clock.now += live.receipt_look_up.after
    assert live.receipt_look_up.look_up(Channel.SMS).asked == 1
    assert hospital.query("SELECT provider_status FROM receipts") == [("sent",)]
    assert provider.look_up("SM" + "f" * 32) is None


def test_stop_from_a_telephone_reaches_us(live: App, sandbox: SandboxServer) -> None:
    url = f"{live.settings.public_url}{BASE}/inbound/twilio"
    told = requests.post(f"{sandbox.url}/twilio/inbound", json={"from": MOBILE, "body": "stop", "url": url}, timeout=10)
    assert told.json()["status"] == 200
    assert told.json()["answer"].endswith("<Response/>")
    assert suppressed(live, Hospital(live.database)) == {("mobile", "opted_out")}
