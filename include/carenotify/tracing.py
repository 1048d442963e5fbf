"""Traces by OpenTelemetry, from whoever asks for a message to the provider that takes it (docs/tracing.md).

Off unless OpenTelemetry's own variables say otherwise. While nobody traces, a span is one object that forgets what it
is told, and there is no traceparent to store or send. Attributes are ids, codes and counts; an error leaves its type,
never its text.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterable
from contextvars import Token
from io import FileIO, TextIOWrapper
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self
from uuid import UUID

from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.contextvars import bind_contextvars, reset_contextvars

from carenotify.errors import SettingsError

if TYPE_CHECKING:
    from contextvars import Token as LogToken

    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Value = str | int | float | bool | UUID | None

# Our words, where OpenTelemetry's semantic conventions have a name for them; others are carenotify.*
_NAMES = {
    "method": "http.request.method",
    "route": "http.route",
    "status_code": "http.response.status_code",
    "queue": "messaging.destination.name",
    "messages": "messaging.batch.message_count",
    "notification_id": "messaging.message.id",
    "messaging_system": "messaging.system",
}
_MOST_LINKS = 32
# A collector that is away is asked again and again for ten seconds, and nobody's task is to wait for that.
_LAST_SECONDS = 2.0

_w3c = TraceContextTextMapPropagator()
_provider: TracerProvider | None = None
_tracer: trace.Tracer | None = None
_last: _LastHandOver | None = None
_slow: threading.Thread | None = None


class Span:
    """Something that is being done, as a `with` block. This one is not traced."""

    __slots__ = ()

    def note(self, **attributes: Value) -> None:
        """Say more of it: ids, codes and counts. What is None is not said."""

    def fail(self, reason: str) -> None:
        """It did not do what it was for; `reason` is a code."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """It is over."""


class _Traced(Span):
    """A span of OpenTelemetry's; while it lasts, log lines have its trace's id."""

    __slots__ = ("_logged", "_span", "_token")

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._token: Token[context.Context] | None = None
        self._logged: dict[str, LogToken[object]] = {}

    def note(self, **attributes: Value) -> None:
        self._span.set_attributes(_named(attributes))

    def fail(self, reason: str) -> None:
        self._span.set_attribute("error.type", reason)
        self._span.set_status(trace.StatusCode.ERROR)

    def __enter__(self) -> Self:
        self._token = context.attach(trace.set_span_in_context(self._span))
        self._logged = dict(bind_contextvars(trace_id=f"{self._span.get_span_context().trace_id:032x}"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if kind is not None:
            self.fail(kind.__name__)
        reset_contextvars(**self._logged)
        if self._token is not None:
            context.detach(self._token)
        self._span.end()


_UNTRACED = Span()


def configure_tracing(service: str, *, exporter: str | None) -> None:
    """Trace this process as `service`, which OTEL_SERVICE_NAME overrides: to `otlp`, to the `console`, or not (None).

    Where to and how much is read from OpenTelemetry's variables by its SDK. Saying it again changes nothing. Raises
    SettingsError for what the SDK refuses.
    """
    if exporter is None or _tracer is not None:
        return
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    try:
        trace_to(BatchSpanProcessor(_console() if exporter == "console" else _collector()), service=service)
    except ValueError as error:
        raise SettingsError(f"OpenTelemetry refuses its variables (OTEL_*): {error}") from None


def _collector() -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def _console() -> SpanExporter:
    """A line of JSON for each span on standard output, past Python's own buffer of it.

    That buffer has a lock, which would be held for as long as nobody reads the pipe: the process could not end, since
    Python flushes `sys.stdout` last, and in a fork of that moment nobody could print any more.
    """
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter

    unbuffered = TextIOWrapper(FileIO(1, "w", closefd=False), encoding="utf-8", write_through=True)
    return ConsoleSpanExporter(out=unbuffered, formatter=lambda one: one.to_json(indent=None) + "\n")


def trace_to(processor: SpanProcessor, *, service: str) -> None:
    """Hand every span that is over to `processor`, from now on."""
    from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider

    global _provider, _tracer, _last  # noqa: PLW0603 - one process, one destination
    resource = Resource.create({SERVICE_NAME: service}).merge(OTELResourceDetector().detect())
    _provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    _provider.add_span_processor(processor)
    _last = _LastHandOver(_provider)
    atexit.register(stop_tracing)
    # Not the process' global one: in Airflow that is Airflow's to set.
    _tracer = _provider.get_tracer("carenotify")


class _LastHandOver(threading.Thread):
    """Shuts a provider down once it is asked to. It is there before, as Python 3.12 starts no thread while it ends."""

    def __init__(self, provider: TracerProvider) -> None:
        super().__init__(name="traces-last-handed-over", daemon=True)
        self._provider = provider
        self._asked = threading.Event()
        self.start()

    def run(self) -> None:
        self._asked.wait()
        self._provider.shutdown()

    def ask(self) -> None:
        self._asked.set()


def _after_fork() -> None:
    """No thread of its parent's lives in a fork, and one that ends hands over what is its own."""
    global _last  # noqa: PLW0603 - one process, one destination
    if _provider is not None:
        _last = _LastHandOver(_provider)


os.register_at_fork(after_in_child=_after_fork)


def stop_tracing() -> None:
    """Hand over what is left, and trace no more."""
    global _provider, _tracer, _last
    last, _last, _provider, _tracer = _last, None, None, None
    if last is not None:
        last.ask()
        _wait_for(last)


def flush() -> None:
    """Hand over what is left, before a process ends in a way that runs nothing else (Airflow's tasks do).

    One that ends in the usual way hands it over at its end, if no thread starts any more (Python 3.12).
    """
    if _provider is None or _is_kept_waiting():
        return
    handing_over = threading.Thread(target=_provider.force_flush, name="traces-handed-over", daemon=True)
    try:
        handing_over.start()
    except RuntimeError:
        return  # without a thread nobody could stop waiting; stop_tracing, which is still to come, has one
    _wait_for(handing_over)


def _wait_for(handing_over: threading.Thread) -> None:
    """Whom a collector keeps waiting goes on without it; nobody after that waits again for the same."""
    global _slow  # noqa: PLW0603 - one process, one destination
    if _is_kept_waiting():
        return
    handing_over.join(_LAST_SECONDS)
    _slow = handing_over


def _is_kept_waiting() -> bool:
    return _slow is not None and _slow.is_alive()


def span(
    name: str, *, kind: Kind = "internal", parent: str | None = None, links: Iterable[str | None] = (), **more: Value
) -> Span:
    """Something that is done, under what is under way, or under `parent`, the traceparent of somebody elsewhere.

    `links` are the traceparents of all who asked for it: when it is one and the same, that is the parent. One that is
    broken, or of a version that nobody knows, counts as none (W3C Trace Context, 4.3).
    """
    tracer = _tracer  # another thread may stop tracing meanwhile
    if tracer is None:
        return _UNTRACED
    askers = [] if parent else list(dict.fromkeys(filter(None, links)))
    if len(askers) == 1:
        parent, askers = askers[0], []
    under = _w3c.extract({"traceparent": parent}, context.get_current()) if parent else None
    linked = [trace.Link(trace.get_current_span(_context(one)).get_span_context()) for one in askers[:_MOST_LINKS]]
    return _Traced(
        tracer.start_span(name, context=under, kind=trace.SpanKind[kind.upper()], attributes=_named(more), links=linked)
    )


def traceparent() -> str | None:
    """What is under way, for whoever goes on with it elsewhere (W3C Trace Context, 3.2); None while nobody traces."""
    if _tracer is None:
        return None
    here = trace.get_current_span().get_span_context()
    if not here.is_valid:
        return None
    return f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}"


def _context(parent: str) -> context.Context:
    return _w3c.extract({"traceparent": parent})


def _named(attributes: dict[str, Value]) -> dict[str, str | int | float | bool]:
    return {
        _NAMES.get(word, f"carenotify.{word}"): str(value) if isinstance(value, UUID) else value
        for word, value in attributes.items()
        if value is not None
    }
