"""Spans, their parents and what they must not say; and that nothing is done while nobody traces."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from uuid import UUID

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from carenotify import tracing
from carenotify.config import traces_exporter
from carenotify.errors import SettingsError

INCLUDE = Path(__file__).parents[2] / "include"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED = 1
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    tracing.trace_to(SimpleSpanProcessor(exporter), service="tests")
    yield exporter
    tracing.stop_tracing()


def test_nothing_is_made_while_nobody_traces() -> None:
    assert tracing.span("one") is tracing.span("another", kind="client", parent=PARENT)
    with tracing.span("one", parent=PARENT) as untraced:
        untraced.note(outcome="sent")
        untraced.fail("throttled")
        assert tracing.traceparent() is None
        assert not get_current_span().get_span_context().is_valid


def test_the_sdk_is_not_even_imported_while_nobody_traces() -> None:
    program = """
import sys
from carenotify import tracing
from carenotify.config import traces_exporter
tracing.configure_tracing("x", exporter=traces_exporter({}))
with tracing.span("x"):
    tracing.flush()
assert not [name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))]
"""
    environment = {"PYTHONPATH": str(INCLUDE), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_span_goes_on_with_the_trace_of_its_parent_and_is_the_parent_of_what_is_in_it(
    spans: InMemorySpanExporter,
) -> None:
    with tracing.span("outer", kind="consumer", parent=PARENT):
        handed_on = tracing.traceparent()
        with tracing.span("inner", kind="client"):
            pass
    inner, outer = spans.get_finished_spans()
    assert outer.context is not None
    assert f"{outer.context.trace_id:032x}" == TRACE
    assert outer.parent is not None
    assert f"{outer.parent.span_id:016x}" == "00f067aa0ba902b7"
    assert handed_on == f"00-{TRACE}-{outer.context.span_id:016x}-01"
    assert inner.parent == outer.context
    assert (outer.kind, inner.kind) == (SpanKind.CONSUMER, SpanKind.CLIENT)
    assert tracing.traceparent() is None


BROKEN = {
    "not one": "nonsense",
    "in capitals": PARENT.upper(),
    "no trace": f"00-{'0' * 32}-00f067aa0ba902b7-01",
    "no span": f"00-{TRACE}-{'0' * 16}-01",
    "forbidden version": PARENT.replace("00-", "ff-", 1),
    "more than version 00 has": f"{PARENT}-more",
    "cut off": PARENT[:-3],
    "endless": "0" * 4000,
}


@pytest.mark.parametrize("header", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_traceparent_counts_as_none(spans: InMemorySpanExporter, header: str) -> None:
    with tracing.span("one", parent=header):
        pass
    with tracing.span("around"), tracing.span("within", parent=header, links=[header]):
        pass
    one, within, around = spans.get_finished_spans()
    assert one.parent is None
    assert within.parent == around.context
    assert not within.links


def test_what_several_asked_for_is_linked_to_each_and_what_one_asked_for_is_part_of_its_trace(
    spans: InMemorySpanExporter,
) -> None:
    other = PARENT.replace("4bf9", "5bf9")
    with tracing.span("for one", links=[None, PARENT, PARENT]):
        pass
    with tracing.span("for two", links=[PARENT, other, None]):
        pass
    for_one, for_two = spans.get_finished_spans()
    assert for_one.parent is not None
    assert f"{for_one.parent.trace_id:032x}" == TRACE
    assert not for_one.links
    assert for_two.parent is None
    assert [f"{link.context.trace_id:032x}" for link in for_two.links] == [TRACE, TRACE.replace("4bf9", "5bf9")]


def test_a_sampled_out_caller_stays_sampled_out(spans: InMemorySpanExporter) -> None:
    unsampled = PARENT.removesuffix("01") + "00"
    with tracing.span("one", parent=unsampled):
        handed_on = tracing.traceparent()
    assert not spans.get_finished_spans()
    assert handed_on is not None
    assert handed_on.startswith(unsampled[:36])
    assert int(handed_on[-2:], 16) & SAMPLED == 0


def test_an_error_leaves_its_type_and_not_its_text(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="Anna"), tracing.span("one"):
        raise ValueError("Anna has a broken heart")
    (one,) = spans.get_finished_spans()
    assert one.status.status_code is StatusCode.ERROR
    assert dict(one.attributes or {}) == {"error.type": "ValueError"}
    assert "Anna" not in one.to_json()


def test_attributes_have_the_names_of_the_conventions_where_there_are_some(spans: InMemorySpanExporter) -> None:
    identity = UUID(int=7)
    with tracing.span("one", route="/events", notification_id=identity, provider="twilio", code=None) as one:
        one.note(attempt=2)
    (done,) = spans.get_finished_spans()
    assert dict(done.attributes or {}) == {
        "http.route": "/events",
        "messaging.message.id": str(identity),
        "carenotify.provider": "twilio",
        "carenotify.attempt": 2,
    }


def test_each_thread_has_its_own_span(spans: InMemorySpanExporter) -> None:
    seen: list[str | None] = []
    with tracing.span("here"):
        elsewhere = threading.Thread(target=lambda: seen.append(tracing.traceparent()))
        elsewhere.start()
        elsewhere.join()
    assert seen == [None]


class _Collector(HTTPServer):
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.taken: list[tuple[str, bytes]] = []


class _Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, _Collector)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[_Collector]:
    with _Collector() as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield server
        server.shutdown()
        serving.join()


def test_the_standard_variables_say_where_traces_go_and_what_the_process_is_called(
    collector: _Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "reminders-of-st-mary")
    tracing.configure_tracing("carenotify-worker", exporter=traces_exporter({"OTEL_TRACES_EXPORTER": "otlp"}))
    try:
        with tracing.span("one"):
            pass
        tracing.flush()
    finally:
        tracing.stop_tracing()
    ((path, body),) = collector.taken
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    assert path == "/v1/traces"
    assert {one.key: one.value.string_value for one in resource.resource.attributes}["service.name"] == (
        "reminders-of-st-mary"
    )
    assert [one.name for one in resource.scope_spans[0].spans] == ["one"]


def test_a_sampler_of_the_standard_variables_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    exporter = InMemorySpanExporter()
    tracing.trace_to(SimpleSpanProcessor(exporter), service="tests")
    try:
        with tracing.span("not sampled"):
            assert int((tracing.traceparent() or "")[-2:], 16) & SAMPLED == 0
        with tracing.span("sampled by its caller", parent=PARENT):
            pass
    finally:
        tracing.stop_tracing()
    assert [one.name for one in exporter.get_finished_spans()] == ["sampled by its caller"]


def test_nobody_waits_for_a_collector_that_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3")
    monkeypatch.setattr(tracing, "_LAST_SECONDS", 0.1)
    caplog.set_level(logging.CRITICAL)
    tracing.configure_tracing("tests", exporter="otlp")
    with tracing.span("one"):
        pass
    tracing.flush()
    assert "traces-handed-over" in {thread.name for thread in threading.enumerate()}  # still trying, and nobody waits
    tracing.stop_tracing()


CHOICES: dict[str, tuple[dict[str, str], str | None]] = {
    "nothing": ({}, None),
    "empty": ({"OTEL_TRACES_EXPORTER": ""}, None),
    "none": ({"OTEL_TRACES_EXPORTER": "none"}, None),
    "otlp": ({"OTEL_TRACES_EXPORTER": "otlp"}, "otlp"),
    "console": ({"OTEL_TRACES_EXPORTER": " Console "}, "console"),
    "an endpoint alone": ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, None),
    "disabled": ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "TRUE"}, None),
    "our protocol": ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "otlp"),
}


@pytest.mark.parametrize(("environment", "chosen"), CHOICES.values(), ids=CHOICES.keys())
def test_traces_are_off_unless_the_standard_variables_say_otherwise(
    environment: dict[str, str], chosen: str | None
) -> None:
    assert traces_exporter(environment) == chosen


@pytest.mark.parametrize(
    ("variable", "value"), [("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]
)
def test_what_we_cannot_do_is_refused_by_name(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable}: '{value}' is not"):
        traces_exporter({"OTEL_TRACES_EXPORTER": "otlp"} | {variable: value})
