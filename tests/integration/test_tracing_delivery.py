"""One trace from whoever asked for a message to the provider that took it, over a real database and broker."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from carenotify import tracing
from carenotify.api import create_app
from carenotify.app import App
from carenotify.channels.base import OutgoingMessage
from carenotify.domain.notification import Channel, Lane
from carenotify.errors import AddressRejectedError, DeliveryError, TemporaryDeliveryError
from carenotify.messaging.address import blocking_channel
from carenotify.messaging.envelope import Envelope
from carenotify.messaging.topology import EXCHANGE, declare, queue_name
from carenotify.worker.channel_worker import ChannelWorker
from tests.integration.api.desk import Desk
from tests.integration.ward import MAIL, MOBILE, Hospital, ScriptedProvider, SetClock, wait_for

TODAY = date(2026, 11, 24)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = f"00-{TRACE}-00f067aa0ba902b7-01"
EVENT = {
    "event_id": "e1",
    "type": "appointment.venue_changed",
    "occurred_at": "2026-11-24T09:00:00+01:00",
    "appointment": {"id": "a1", "patient_id": "anna", "start": "2026-11-27T11:30:00+01:00", "venue": "Room 7"},
}


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    tracing.trace_to(SimpleSpanProcessor(exporter), service="tests")
    yield exporter
    tracing.stop_tracing()


@pytest.fixture
def hospital(broker_app: App) -> Hospital:
    hospital = Hospital(broker_app.database)
    hospital.add_patient()
    hospital.add_appointment()
    return hospital


@pytest.fixture
def desk(broker_app: App) -> Desk:
    return Desk(broker_app, create_app(broker_app, person=None).test_client())


@pytest.fixture
def sms(broker_app: App) -> ScriptedProvider:
    [provider] = broker_app.providers[Channel.SMS]
    assert isinstance(provider, ScriptedProvider)
    return provider


@contextmanager
def working(app: App, channel: Channel = Channel.SMS) -> Iterator[ChannelWorker]:
    worker = ChannelWorker(channel=channel, deliverer=app.deliverer, connect=app.consumer, threads=2)
    worker.start()
    try:
        yield worker
    finally:
        worker.drain()


def is_sent(hospital: Hospital, channel: str = "sms") -> bool:
    return hospital.query("SELECT status FROM notifications WHERE channel = %s", channel) == [("sent",)]


def by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {one.name: one for one in exporter.get_finished_spans()}


def way_to(span: ReadableSpan, exporter: InMemorySpanExporter) -> list[str]:
    """The names of a span and of all that it is under; the last one is a caller's whom we do not know."""
    known = {one.context.span_id: one for one in exporter.get_finished_spans() if one.context is not None}
    names = [span.name]
    while span.parent is not None:
        if span.parent.span_id not in known:
            return [*names, f"{span.parent.span_id:016x}"]
        span = known[span.parent.span_id]
        names.append(span.name)
    return names


def traces(exporter: InMemorySpanExporter) -> set[str]:
    return {f"{one.context.trace_id:032x}" for one in exporter.get_finished_spans() if one.context is not None}


def traceparents(hospital: Hospital) -> list[str | None]:
    return [row[0] for row in hospital.query("SELECT traceparent FROM notifications ORDER BY id")]


def traceparents_in(broker_url: str) -> list[object]:
    """Takes the texts that wait in the broker; gives the header of each, None where it has none."""
    found: list[object] = []
    with blocking_channel(broker_url) as channel:
        for lane in Lane:
            while True:
                method, properties, _ = channel.basic_get(queue_name(Channel.SMS, lane), auto_ack=True)
                if method is None:
                    break
                found.append((properties.headers or {}).get("traceparent"))
    return found


def test_a_call_of_the_api_and_the_providers_answer_are_one_trace(
    broker_app: App, hospital: Hospital, desk: Desk, spans: InMemorySpanExporter
) -> None:
    answer = desk.call("POST", "/events", json=EVENT, headers={"traceparent": CALLER, "X-Correlation-ID": "c-1"})
    assert answer.status_code == 202, answer.text
    broker_app.due_publisher.publish_due(Lane.HIGH)
    with working(broker_app):
        wait_for(lambda: is_sent(hospital))
    found = by_name(spans)
    asked = ["accept event", "POST /carenotify/v1/events", "00f067aa0ba902b7"]
    assert way_to(found["send"], spans) == ["send", "deliver", *asked]
    assert way_to(found["publish"], spans) == ["publish", *asked]
    assert traces(spans) == {TRACE}
    kinds = {name: one.kind for name, one in found.items()}
    assert kinds == {
        "POST /carenotify/v1/events": SpanKind.SERVER,
        "accept event": SpanKind.INTERNAL,
        "publish": SpanKind.PRODUCER,
        "deliver": SpanKind.CONSUMER,
        "send": SpanKind.CLIENT,
    }
    sms_id = next(one for one in answer.json["notification_ids"] if is_sms(hospital, one))
    assert dict(found["send"].attributes or {}) == {
        "carenotify.channel": "sms",
        "carenotify.provider": "twilio",
        "carenotify.attempt": 1,
        "carenotify.outcome": "sent",
    }
    assert dict(found["deliver"].attributes or {}) == {
        "messaging.system": "rabbitmq",
        "messaging.destination.name": "sms.high",
        "messaging.message.id": sms_id,
    }
    assert dict(found["POST /carenotify/v1/events"].attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/carenotify/v1/events",
        "http.response.status_code": 202,
        "carenotify.correlation_id": "c-1",
    }


def is_sms(hospital: Hospital, notification_id: str) -> bool:
    return hospital.query("SELECT channel FROM notifications WHERE id = %s", notification_id) == [("sms",)]


def test_a_plan_and_the_providers_answers_are_one_trace_through_temporary_failures_too(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, spans: InMemorySpanExporter, clock: SetClock
) -> None:
    sms.script = lambda message: TemporaryDeliveryError("busy") if message.attempt == 1 else None
    broker_app.reminder_planner.plan(TODAY)
    with working(broker_app):
        broker_app.due_publisher.publish_due(Lane.LOW)
        wait_for(lambda: hospital.query("SELECT attempts FROM notifications WHERE channel = 'sms'") == [(1,)])
        clock.advance(seconds=2)
        broker_app.due_publisher.publish_due(Lane.LOW)
        wait_for(lambda: is_sent(hospital))
    first, second = (one for one in spans.get_finished_spans() if one.name == "send")
    assert way_to(first, spans) == way_to(second, spans) == ["send", "deliver", "plan reminders"]
    assert len(traces(spans)) == 1
    assert first.status.status_code is StatusCode.ERROR
    assert second.status.status_code is not StatusCode.ERROR
    assert (
        dict(first.attributes or {}).items()
        >= {
            "carenotify.outcome": "pending",
            "carenotify.code": "busy",
            "carenotify.attempt": 1,
        }.items()
    )


def test_what_takes_a_messages_place_is_of_its_trace(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, spans: InMemorySpanExporter
) -> None:
    hospital.set_preferences(channels=["sms", "email"], opted_out_channels=[])
    sms.script = lambda _: AddressRejectedError("30005")
    broker_app.reminder_planner.plan(TODAY)
    hospital.query("DELETE FROM notifications WHERE channel = 'email' RETURNING 1")
    with working(broker_app), working(broker_app, Channel.EMAIL):
        broker_app.due_publisher.publish_due(Lane.LOW)
        wait_for(lambda: hospital.query("SELECT status FROM notifications WHERE channel = 'sms'") == [("failed",)])
        broker_app.fallback_sweeper.sweep()
        broker_app.due_publisher.publish_due(Lane.LOW)
        wait_for(lambda: is_sent(hospital, "email"))
    channels = {
        dict(one.attributes or {})["carenotify.channel"] for one in spans.get_finished_spans() if one.name == "send"
    }
    assert channels == {"sms", "email"}
    assert len(traces(spans)) == 1
    assert len({*traceparents(hospital)}) == 1


def test_nothing_is_stored_or_sent_while_nobody_traces(
    broker_app: App, hospital: Hospital, desk: Desk, broker_url: str
) -> None:
    hospital.add_patient("bert", mail=None)
    hospital.add_appointment("b1", "bert")
    assert desk.call("POST", "/events", json=EVENT, headers={"traceparent": CALLER}).status_code == 202
    broker_app.reminder_planner.plan(TODAY)
    broker_app.due_publisher.publish_due(Lane.LOW)
    wait_for(lambda: hospital.statuses() == Counter(queued=3))
    assert traceparents(hospital) == [None] * 3
    assert traceparents_in(broker_url) == [None] * 2


def test_a_message_says_which_trace_it_is_of(
    broker_app: App, hospital: Hospital, spans: InMemorySpanExporter, broker_url: str
) -> None:
    broker_app.reminder_planner.plan(TODAY)
    broker_app.due_publisher.publish_due(Lane.LOW)
    (stored,) = {*traceparents(hospital)}
    assert stored is not None
    assert stored[3:35] in traces(spans)
    assert traceparents_in(broker_url) == [stored]


BROKEN: dict[str, dict[str, object]] = {
    "no trace at all": {"traceparent": "Anna"},
    "a number": {"traceparent": 7},
    "a table": {"traceparent": {"a": ["b"]}},
    "endless": {"traceparent": "0" * 2000},
    "another header": {"x-something": "else"},
}


def test_a_broken_header_is_ignored_and_its_message_delivered(
    broker_app: App, hospital: Hospital, spans: InMemorySpanExporter, broker_url: str
) -> None:
    for number in range(len(BROKEN)):
        hospital.add_patient(f"p{number}", mail=None)
        hospital.add_appointment(f"b{number}", f"p{number}")
    broker_app.reminder_planner.plan(TODAY)
    ids: list[UUID] = [row[0] for row in hospital.query("SELECT id FROM notifications WHERE patient_id LIKE 'p_'")]
    with working(broker_app):
        _publish_by_hand(broker_url, broker_app, dict(zip(ids, BROKEN.values(), strict=True)))
        wait_for(lambda: {*hospital.query("SELECT status FROM notifications WHERE id = ANY (%s)", ids)} == {("sent",)})
    delivered = [one for one in spans.get_finished_spans() if one.name == "deliver"]
    assert len(delivered) == len(BROKEN)
    assert [one.parent for one in delivered] == [None] * len(BROKEN)


def _publish_by_hand(broker_url: str, app: App, headers: dict[UUID, dict[str, object]]) -> None:
    import pika

    queue = queue_name(Channel.SMS, Lane.LOW)
    declare(broker_url)
    with blocking_channel(broker_url) as channel:
        for identity, given in headers.items():
            body = Envelope(identity, "reminder", Channel.SMS, Lane.LOW, 1, app.clock()).encode()
            channel.basic_publish(EXCHANGE, queue, body, pika.BasicProperties(headers=given))


@pytest.mark.parametrize("path", ["/events", "/health", "/no-such-page"])
def test_whoever_is_not_let_in_leaves_no_trace_and_chooses_none(
    desk: Desk, hospital: Hospital, spans: InMemorySpanExporter, path: str
) -> None:
    answer = desk.client.post(f"/carenotify/v1{path}", json=EVENT, headers={"traceparent": CALLER})
    assert answer.status_code in {401, 404, 405}
    assert not spans.get_finished_spans()


def test_a_bug_leaves_its_type_in_the_trace_and_nothing_of_what_it_says(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, spans: InMemorySpanExporter
) -> None:
    def bug(message: OutgoingMessage) -> DeliveryError | None:
        raise ValueError(f"cannot send to {message.to}: {message.text}")

    sms.script = bug
    broker_app.reminder_planner.plan(TODAY)
    with working(broker_app):
        broker_app.due_publisher.publish_due(Lane.LOW)
        wait_for(lambda: "send" in by_name(spans))
    sent = by_name(spans)["send"]
    assert dict(sent.attributes or {})["error.type"] == "ValueError"
    everything = "".join(one.to_json() for one in spans.get_finished_spans())
    assert not [word for word in (MOBILE, MOBILE[1:], MAIL, "Anna", "Cardiology") if word in everything]


class _Collector(ThreadingHTTPServer):
    """Takes spans, and answers once it may."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.asked, self.may_answer = threading.Event(), threading.Event()


class _Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, _Collector)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.set()
        self.server.may_answer.wait()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Collector]:
    """Where all spans of this process go at once, one at a time."""
    with _Collector() as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
        for limit in ("SCHEDULE_DELAY", "MAX_QUEUE_SIZE", "MAX_EXPORT_BATCH_SIZE"):
            monkeypatch.setenv(f"OTEL_BSP_{limit}", "1")
        tracing.configure_tracing("tests", exporter="otlp")
        yield server
        server.may_answer.set()
        tracing.stop_tracing()
        server.shutdown()
        serving.join()


def test_a_collector_that_does_not_answer_holds_up_no_message(
    broker_app: App, hospital: Hospital, collector: _Collector
) -> None:
    broker_app.reminder_planner.plan(TODAY)
    assert collector.asked.wait(20)
    with working(broker_app):
        broker_app.due_publisher.publish_due(Lane.LOW)
        wait_for(lambda: is_sent(hospital))
    assert not collector.may_answer.is_set()
