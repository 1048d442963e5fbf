"""Logs as JSON lines on standard error, without personal data: ids, codes and counts only."""

from __future__ import annotations

import logging
import sys

import structlog

_LOUD = ("pika", "twilio", "urllib3", "great_expectations")


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
