"""Our Twilio provider beside Twilio's own client, with the same threads, to the same stand-in, in the same run.

The two take turns; each round gives one share, and the middle one counts, so that noise of the machine does not decide.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median
from typing import Any
from uuid import UUID, uuid4

from twilio.rest import Client

from bench.servers import Servers
from carenotify.channels.base import OutgoingMessage
from carenotify.channels.sms.twilio import TwilioProvider

THREADS = 16
ROUNDS = 7
MESSAGES = 400
ACCOUNT, TOKEN = "AC" + "0" * 32, "a token for the bench"
SENDER = "+15005550006"
SILENT = "+491511230012"  # taken, and never heard of again: no callbacks take their share of the machine
TEXT = "Reminder: your appointment is on Friday, 27 November at 10:00, Room 7. Questions? Call 030 1234."

Send = Callable[[UUID], object]


def run(_servers: Servers) -> Iterator[dict[str, Any]]:
    """Needs the stand-in for Twilio alone."""
    with _sandbox() as url:
        ours, bare = _provider(url), _bare_client(url)
        for send in (ours, bare):
            _messages_per_second(send)  # connections are made, and what loads late is loaded
        rounds = [_round(ours, bare, turn) for turn in range(ROUNDS)]
    yield {
        "figure": "twilio_share_of_bare_sdk",
        "value": round(median(mine / its for mine, its in rounds), 2),
        "wanted": 0.8,
        "threads": THREADS,
        "ours_per_second": round(median(mine for mine, _ in rounds)),
        "bare_per_second": round(median(its for _, its in rounds)),
    }


def _round(ours: Send, bare: Send, turn: int) -> tuple[float, float]:
    """Who goes first changes from round to round."""
    if turn % 2:
        its = _messages_per_second(bare)
        return _messages_per_second(ours), its
    mine = _messages_per_second(ours)
    return mine, _messages_per_second(bare)


def _messages_per_second(send: Send) -> float:
    ids = [uuid4() for _ in range(MESSAGES)]
    with ThreadPoolExecutor(THREADS) as threads:
        started = time.monotonic()
        answers = list(threads.map(send, ids))
        seconds = time.monotonic() - started
    assert all(answers)
    return MESSAGES / seconds


def _provider(url: str) -> Send:
    provider = TwilioProvider(ACCOUNT, TOKEN, sender=SENDER, base_url=url, public_url=url, threads=THREADS)
    return lambda notification_id: provider.send(OutgoingMessage(notification_id, 1, SILENT, None, TEXT, None, "en"))


def _bare_client(url: str) -> Send:
    """The client as it comes, with its own way over HTTP; only its address is another."""
    client = Client(ACCOUNT, TOKEN)
    client.api.base_url = url

    def send(notification_id: UUID) -> str | None:
        callback = f"{url}/carenotify/v1/receipts/twilio?notification_id={notification_id}"
        return client.messages.create(to=SILENT, from_=SENDER, body=TEXT, status_callback=callback).sid

    return send


@contextmanager
def _sandbox() -> Iterator[str]:
    command = [sys.executable, "-m", "carenotify.sandbox", "--reminder-day", "2026-11-24", "--provider-fail-share", "0"]
    account = {"CARENOTIFY_TWILIO_ACCOUNT_SID": ACCOUNT, "CARENOTIFY_TWILIO_AUTH_TOKEN": TOKEN}
    environment = os.environ | account | {"PYTHONPATH": "include"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as sandbox:
        assert sandbox.stdout is not None
        yield f"http://127.0.0.1:{json.loads(sandbox.stdout.readline())['http_port']}"
        sandbox.terminate()
