"""Logs as JSON lines on standard error, without personal data: ids, codes and counts only."""

from __future__ import annotations

import logging
import sys
import traceback

import structlog

_LOUD = ("twilio", "urllib3", "great_expectations")
# They shout for each try at a server that is away, some with tracebacks; our own lines say it once, with the place.
_SHOUTING = ("pika", "psycopg.pool")


def configure_logging(level: int = logging.INFO) -> None:
    """Send everything that is logged in this process through one JSON formatter."""
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)
    for name in _SHOUTING:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def place_of(error: BaseException) -> str:
    """What kind of error it was and where, without its text: that of a bug may hold personal data."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"
    return f"{type(error).__name__} at {place}"
