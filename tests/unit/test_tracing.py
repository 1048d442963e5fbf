"""Spans, their parents and what they must not say; and that nothing is done while nobody traces."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def process(program: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Python whose standard output is a pipe, as under a supervisor, and is not unbuffered."""
    command = [sys.executable, "-c", f"from carenotify import tracing\n{program}"]
    environment = {"PYTHONPATH": str(INCLUDE), "PATH": "/usr/bin:/bin"} | variables
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, start_new_session=True, **pipes) as started:  # type: ignore[call-overload]
        try:
            yield started
        finally:
            if started.poll() is None:
                os.killpg(started.pid, signal.SIGKILL)  # its fork too, if one hangs


def test_a_collector_that_never_answers_is_waited_for_once() -> None:
    program = """
tracing.configure_tracing("tests", exporter="otlp")
with tracing.span("one"):
    pass
tracing._LAST_SECONDS = 0.1
tracing.flush()
tracing._LAST_SECONDS = 60
tracing.flush()  # and then again, at the end
"""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        where = f"http://127.0.0.1:{mute.getsockname()[1]}"
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": where, "OTEL_EXPORTER_OTLP_TIMEOUT": "60"}
        with process(program, **variables) as ended:
            assert ended.wait(timeout=20) == 0


JAMMED = """
import os, sys
tracing._LAST_SECONDS = 0.1
tracing.configure_tracing("tests", exporter="console")
for _ in range(400):  # some 200 kB; a pipe holds 64
    with tracing.span("one"):
        pass
tracing.flush()
assert tracing._is_kept_waiting()
"""
FORK = """
child = os.fork()
if child == 0:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    print("of the child", flush=True)
    with tracing.span("of the child"):
        pass
    tracing.flush()
    os._exit(3 if tracing._is_kept_waiting() else 0)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("then", [pytest.param("", id="ends"), pytest.param(FORK, id="forks")])
def test_standard_output_that_nobody_reads_keeps_no_process_from_ending(then: str) -> None:
    with process(JAMMED + then) as jammed:
        assert jammed.wait(timeout=20) == 0


NO_MORE_THREADS = """
import atexit, os, sys, threading
tracing.configure_tracing("tests", exporter="console")
atexit.register(tracing.flush)  # as Airflow's api-server does, which closes our app
def refuse(thread):
    raise RuntimeError("can't create new thread at interpreter shutdown")
atexit.register(setattr, threading.Thread, "start", refuse)  # as Python 3.12 does
with tracing.span("of the parent"):
    pass
"""
FORK_THAT_ENDS = """
tracing.flush()
if child := os.fork():
    os.waitpid(child, 0)
else:
    with tracing.span("of the child"):
        pass
    sys.exit()
"""


@pytest.mark.parametrize(
    ("then", "told"),
    [
        pytest.param("", ["of the parent"], id="alone"),
        pytest.param(FORK_THAT_ENDS, ["of the parent", "of the child"], id="forked"),
    ],
)
def test_what_is_left_at_the_end_is_handed_over_where_no_thread_starts_any_more(then: str, told: list[str]) -> None:
    with process(NO_MORE_THREADS + then) as ended:
        lines, errors = ended.communicate(timeout=20)
    assert not errors
    assert [json.loads(line)["name"] for line in lines.splitlines()] == told


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


def test_what_the_sdk_refuses_is_told_as_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100")
    with pytest.raises(SettingsError, match=r"OTEL_\*.*max_queue_size"):
        tracing.configure_tracing("tests", exporter="console")
    assert tracing.traceparent() is None
