"""Log lines: JSON with the ids of what they are about, and without what errors say."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from carenotify import tracing
from carenotify.logs import about, configure_logging

INCLUDE = Path(__file__).parents[2] / "include"
NOTIFICATION = UUID("01a1fe1c-7b51-7f02-821d-79f3c2012fc7")
log = logging.getLogger("carenotify.tests")


class Lines(io.StringIO):
    """What was logged, a dictionary a line."""

    def read_all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]

    def only(self) -> dict[str, Any]:
        (line,) = self.read_all()
        return line


@pytest.fixture
def lines() -> Iterator[Lines]:
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook, sys.unraisablehook)
    handlers, level = list(root.handlers), root.level
    kept = Lines()
    # Airflow captures them too when it is imported, and whoever has them already takes no second look.
    logging.captureWarnings(capture=False)
    with redirect_stderr(kept):
        configure_logging()
    yield kept
    root.handlers, root.level = handlers, level
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(capture=False)


def test_a_line_is_one_json_object_with_when_what_and_where(lines: Lines) -> None:
    log.warning("%d messages\nwere not confirmed", 3)
    line = lines.only()
    assert line.keys() == {"timestamp", "level", "logger", "event"}
    assert (line["level"], line["logger"]) == ("warning", "carenotify.tests")
    assert line["event"] == "3 messages\nwere not confirmed"
    assert line["timestamp"].endswith("Z")


def test_lines_say_what_they_are_about_while_it_lasts(lines: Lines) -> None:
    with about(correlation_id="c-1"):
        with about(notification_id=NOTIFICATION):
            log.warning("both")
        logging.getLogger("some.library").warning("one")
    log.warning("none")
    ids = [{name: value for name, value in line.items() if name.endswith("_id")} for line in lines.read_all()]
    assert ids == [{"correlation_id": "c-1", "notification_id": str(NOTIFICATION)}, {"correlation_id": "c-1"}, {}]


def test_what_another_thread_does_is_about_something_else(lines: Lines) -> None:
    with about(notification_id=NOTIFICATION):
        other = threading.Thread(target=lambda: log.warning("elsewhere"))
        other.start()
        other.join()
    assert "notification_id" not in lines.only()


def test_lines_of_a_span_have_its_trace(lines: Lines) -> None:
    tracing.trace_to(SimpleSpanProcessor(InMemorySpanExporter()), service="tests")
    try:
        with tracing.span("one") as outer, tracing.span("two"):
            assert outer is not None
            log.warning("within")
            traced = (tracing.traceparent() or "").split("-")[1]
        log.warning("after")
    finally:
        tracing.stop_tracing()
    within, after = lines.read_all()
    assert within["trace_id"] == traced
    assert "trace_id" not in after


def _look_up(name: str, number: str) -> str:
    try:
        return {}[name]
    except KeyError as cause:
        raise ValueError(number) from cause


def test_what_a_logged_error_and_its_causes_say_is_left_out(lines: Lines) -> None:
    name, number = "Xanthippe", "+4915112345678"
    try:
        _look_up(name, number)
    except ValueError:
        logging.getLogger("some.library").exception("it did not work")
    line = lines.only()
    assert line["event"] == "it did not work"
    assert [kind for kind in ("ValueError", "KeyError", "in _look_up") if kind not in line["exception"]] == []
    assert name not in lines.getvalue()
    assert number not in lines.getvalue()


def test_warnings_are_lines_too(lines: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("something is old", DeprecationWarning, stacklevel=1)
    assert lines.only()["logger"] == "py.warnings"


def test_what_cannot_be_json_is_written_as_text() -> None:
    """In a process of its own: pytest's can neither keep half a letter nor hand it on."""
    done = _run("""
import logging
from carenotify.logs import configure_logging
configure_logging()
logging.getLogger("carenotify.test").warning("half a letter: \\udcff")
""")
    assert done.returncode == 0
    assert "half a letter" in json.loads(done.stderr)["event"]


def test_a_process_that_ends_with_a_bug_says_where_and_not_what() -> None:
    done = _run("""
from carenotify.logs import configure_logging
configure_logging()
def send(to):
    raise RuntimeError(to)
send("+49" + "15112345678")
""")
    assert done.returncode == 1
    line = json.loads(done.stderr)
    assert line["event"] == "this process ends with a RuntimeError"
    assert "in send" in line["exception"]
    assert "15112345678" not in done.stderr


def test_a_thread_that_dies_and_what_nobody_can_catch_say_where_and_not_what(lines: Lines) -> None:
    name, number = "Xanthippe", "+4915112345678"

    class Forgotten:
        def __del__(self) -> None:
            _look_up(name, number)

    thread = threading.Thread(target=_look_up, args=(name, number), name="sweeper")
    thread.start()
    thread.join()
    Forgotten()
    died, passed_over = (line["event"] for line in lines.read_all())
    assert died.startswith("thread sweeper died of a ValueError at ")
    assert passed_over.startswith("an error was passed over: ValueError at ")
    assert "test_logs.py" in died
    assert ", after KeyError at " in died
    assert name not in lines.getvalue()
    assert number not in lines.getvalue()


def test_a_line_that_cannot_be_written_is_named_and_what_it_was_to_say_is_not() -> None:
    """In a process of its own: pytest's has a handler that raises."""
    done = _run("""
import logging
from carenotify.logs import configure_logging
configure_logging()
logging.getLogger("carenotify.test").warning("%d messages", "+49" + "15112345678")
""")
    line = json.loads(done.stderr)
    assert line["event"] == "a line of <string>:5 cannot be written"
    assert "TypeError" in line["exception"]
    assert "15112345678" not in done.stderr


def _run(program: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(INCLUDE), "PATH": "/usr/bin:/bin"}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
