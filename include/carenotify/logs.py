"""Logs as JSON lines on standard error, without personal data: ids, codes and counts only (docs/logs.md).

Lines are written with plain `logging`. What they are about is bound to the context by `about`, and stands in every
line of it, those of libraries included. Airflow's own processes write the same fields, since they merge the same
context (their setting json_logs).
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextvars import Token
from types import TracebackType
from typing import Any, Self, TextIO
from uuid import UUID

import structlog
from structlog.contextvars import bind_contextvars, merge_contextvars, reset_contextvars

log = logging.getLogger(__name__)

_LOUD = ("twilio", "urllib3", "great_expectations", "opentelemetry")
# They shout for each try at a server that is away, some with tracebacks; our own lines say it once, with the place.
_SHOUTING = ("pika", "psycopg.pool")


class UnforeseenError(Exception):
    """For whoever logs errors with their text: says what nobody foresaw and where it was, and not what that said."""

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """In its place, with its traceback. To be raised where nothing hangs on to the other: outside of `except`."""
        return cls(chain_of(error)).with_traceback(error.__traceback__)


class about:  # noqa: N801 - read as a word: with about(notification_id=…)
    """What the lines of a `with` block are about: `notification_id`, `correlation_id`."""

    __slots__ = ("_before", "_ids")

    def __init__(self, **ids: str | UUID) -> None:
        self._ids = ids
        self._before: Mapping[str, Token[Any]] = {}

    def __enter__(self) -> Self:
        self._before = bind_contextvars(**self._ids)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        reset_contextvars(**self._before)


def configure_logging(level: int = logging.INFO) -> None:
    """Send everything that is logged in this process, warnings and uncaught errors too, through one JSON formatter."""
    shared: list[structlog.types.Processor] = [
        merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _leave_out_what_errors_say,
            structlog.processors.JSONRenderer(default=str),
        ],
    )
    handler = _Handler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)
    for name in _SHOUTING:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    hush_threads()


def hush_threads() -> None:
    """Log by kind and place what a thread of this process dies of, and what nobody can catch; in Airflow's tasks too.

    Python would write it to standard error with its text.
    """
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _passed_over


class _Handler(logging.StreamHandler[TextIO]):
    """Of a line that cannot be written Python would show all that it was to say."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base class's name
        if record.name != __name__:
            log.error("a line of %s:%d cannot be written", record.pathname, record.lineno, exc_info=sys.exception())


def place_of(error: BaseException) -> str:
    """What kind of error it was and where, without its text: that of a bug may hold personal data."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"
    return f"{type(error).__name__} at {place}"


def chain_of(error: BaseException) -> str:
    """The same of it and of what caused it, on one line."""
    return ", after ".join(place_of(one) for one in _causes(error))


def places_of(error: BaseException) -> str:
    """The whole way of an error and of what caused it, without a text of any of them."""
    return "\nafter\n".join(
        "".join(traceback.format_tb(one.__traceback__)) + type(one).__name__ for one in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and what Python would show as what came before it."""
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _leave_out_what_errors_say(_: Any, __: str, line: structlog.types.EventDict) -> structlog.types.EventDict:
    """A library may log an error together with its text, which may hold what a patient's row held."""
    given = line.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        line["exception"] = places_of(error)
    return line


def _uncaught(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, where)
        return
    log.critical("this process ends with a %s", kind.__name__, exc_info=error)


def _uncaught_in_thread(died: threading.ExceptHookArgs) -> None:
    if died.exc_type is not SystemExit:  # which ends a thread without a word
        name = died.thread.name if died.thread else "unknown"
        log.critical("thread %s died of a %s", name, chain_of(died.exc_value or died.exc_type()))


def _passed_over(unraisable: sys.UnraisableHookArgs) -> None:
    """In a `__del__`, say, where there is nobody to raise it to."""
    log.error("an error was passed over: %s", chain_of(unraisable.exc_value or unraisable.exc_type()))
