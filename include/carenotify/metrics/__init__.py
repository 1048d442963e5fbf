"""Every instrument, each behind one record_*() function.

A process that nobody asks for its metrics (a DAG's task, a command) counts nothing: only `begin()` loads Prometheus'
client. docs/metrics.md lists what there is.
"""

from __future__ import annotations

from carenotify.metrics.exposition import Exposition, exposition
from carenotify.metrics.recording import (
    begin,
    begin_channel,
    record_claimed,
    record_connections,
    record_hand_over,
    record_lost,
    record_outcomes,
    record_published,
    record_receipts,
    record_request,
    record_round,
    record_swept,
    record_worker,
)

__all__ = [
    "Exposition",
    "begin",
    "begin_channel",
    "exposition",
    "record_claimed",
    "record_connections",
    "record_hand_over",
    "record_lost",
    "record_outcomes",
    "record_published",
    "record_receipts",
    "record_request",
    "record_round",
    "record_swept",
    "record_worker",
]
