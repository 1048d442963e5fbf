"""A patient's data on its way through everything, and every place where any of it may have been left."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path

import pika
from flask.testing import FlaskClient
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from werkzeug.test import TestResponse

from carenotify import tracing
from carenotify.api import create_app
from carenotify.app import App
from carenotify.channels.base import OutgoingMessage, Provider
from carenotify.domain.notification import Channel
from carenotify.logs import configure_logging
from carenotify.messaging.topology import EXCHANGE, FAILED_EXCHANGE, FAILED_QUEUE, declare, lane_queues
from carenotify.sandbox.twilio_callbacks import signature
from carenotify.worker.channel_worker import ChannelWorker
from tests.integration.api.desk import BASE, Desk
from tests.integration.ward import Hospital

PG_DUMP = next(Path("/usr/lib/postgresql").glob("*/bin/pg_dump"))
PUBLIC_URL = "https://hospital.example"
TOKEN = "sandbox-token"
# The mail server of the outside world lives in this process too, and writes down whom it talks to.
_OUTSIDE = ("mail.", "aiosmtpd", "carenotify.sandbox", "aiohttp", "werkzeug")
# On a message of the test's own, whose body is not ours to answer for.
BY_HAND = "by-hand"


class Mishap(Provider):
    """A real provider that is kept from its work when the script says so, by raising what it gives."""

    def __init__(self, real: Provider, script: Callable[[OutgoingMessage], Exception | None]) -> None:
        self.name, self.channel = real.name, real.channel  # type: ignore[misc]
        self.real, self.script = real, script

    def send(self, message: OutgoingMessage) -> str:
        error = self.script(message)
        if error is not None:
            raise error
        return self.real.send(message)

    def close(self) -> None:
        self.real.close()


@dataclass
class Passage:
    """What the parts of one process work with, and what was kept of what they said."""

    app: App
    database_url: str
    broker_url: str
    airflow_home: Path
    hospital: Hospital
    logged: io.StringIO
    spans: InMemorySpanExporter
    seen: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    dag_logs: list[str] = field(default_factory=list)
    alert_mails: Callable[[], str] = str
    docs: Path = Path()

    @property
    def client(self) -> FlaskClient:
        """Anybody."""
        return create_app(self.app, person=None).test_client()

    @property
    def desk(self) -> Desk:
        """Callers with keys."""
        return Desk(self.app, self.client)

    def note(self, answer: TestResponse) -> TestResponse:
        """Keep an answer, under errors when it is one."""
        (self.refused if answer.status_code >= 400 else self.answers).append(f"{answer.headers}\n{answer.text}")
        return answer

    def signed(self, path: str, told: dict[str, str]) -> TestResponse:
        """A call of Twilio's."""
        headers = {"X-Twilio-Signature": signature(TOKEN, PUBLIC_URL + BASE + path, told)}
        return self.note(self.client.post(BASE + path, data=told, headers=headers))

    def places(self) -> dict[str, str | bytes]:
        """Everything that was left anywhere, by where."""
        with ExitStack() as reading:
            self.seen += reading.enter_context(spied(self.broker_url))
        metrics = self.desk.call("GET", "/metrics").text
        return {
            "logs of our processes": self.logged.getvalue(),
            "logs of Airflow's tasks": "".join(self.dag_logs),
            "Airflow's database, with its XComs": b"".join(
                file.read_bytes()
                for file in self.airflow_home.glob("airflow.db*")  # with what SQLite has yet to move
            ),
            "messages in the broker": "\n".join(self.seen),
            "error bodies": "\n".join(self.refused),
            "answers": "\n".join(self.answers),
            "alert mails": self.alert_mails(),
            "metrics": metrics,
            "spans": "".join(one.to_json() for one in self.spans.get_finished_spans()),
            "data docs": b"".join(page.read_bytes() for page in self.docs.rglob("*") if page.is_file()),
            "the database, its bytes in hex": dump(self.database_url, "hex"),
            "the database, its bytes escaped": dump(self.database_url, "escape"),
        }


def dump(database_url: str, bytes_as: str) -> bytes:
    """The whole database as text."""
    environment = {"PGOPTIONS": f"-c bytea_output={bytes_as}"}
    return subprocess.run([PG_DUMP, database_url], env=environment, check=True, capture_output=True).stdout


def spy_on(broker_url: str) -> None:
    """A queue that gets a copy of all that is published, and of all that the broker gives up."""
    declare(broker_url)
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as connection:
        channel = connection.channel()
        channel.queue_declare("spy", durable=True, arguments={"x-queue-type": "quorum"})
        for name in lane_queues():
            channel.queue_bind("spy", EXCHANGE, name)
        channel.queue_bind("spy", FAILED_EXCHANGE, FAILED_QUEUE)


@contextmanager
def spied(broker_url: str) -> Iterator[list[str]]:
    """What the spy has got since the last time: every part of every message."""
    seen = []
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as connection:
        channel = connection.channel()
        while True:
            method, properties, body = channel.basic_get("spy", auto_ack=True)
            if method is None:
                break
            if properties.app_id != BY_HAND:
                seen.append(f"{method} {properties} {body.decode('utf-8', 'backslashreplace')}")
    yield seen


def publish_by_hand(broker_url: str, body: bytes) -> None:
    """Somebody else's message on one of our queues."""
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as connection:
        connection.channel().basic_publish("", "sms.low", body, pika.BasicProperties(app_id=BY_HAND))


@contextmanager
def logging_kept() -> Iterator[io.StringIO]:
    """What this process logs, as a worker or the API would write it."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook, sys.unraisablehook)
    handlers, level = list(root.handlers), root.level
    kept = io.StringIO()
    with redirect_stderr(kept):
        configure_logging()
    root.handlers[0].addFilter(lambda line: not line.name.startswith(_OUTSIDE))
    try:
        yield kept
    finally:
        root.handlers, root.level = handlers, level
        sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
        logging.captureWarnings(capture=False)


@contextmanager
def spans_kept() -> Iterator[InMemorySpanExporter]:
    """The spans of this process."""
    exporter = InMemorySpanExporter()
    tracing.trace_to(SimpleSpanProcessor(exporter), service="tests")
    try:
        yield exporter
    finally:
        tracing.stop_tracing()


@contextmanager
def delivering(app: App) -> Iterator[Mapping[Channel, ChannelWorker]]:
    """A worker for each channel, as `python -m carenotify.worker` runs them."""
    workers = {
        channel: ChannelWorker(channel=channel, deliverer=app.deliverer, connect=app.consumer, threads=2)
        for channel in (Channel.SMS, Channel.EMAIL)
    }
    for worker in workers.values():
        worker.start()
    try:
        yield workers
    finally:
        for worker in workers.values():
            worker.drain()
