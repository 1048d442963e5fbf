"""The metrics of this process as Prometheus reads them, together with what was found in the database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from carenotify.domain.figures import Reading
from carenotify.metrics.recording import instruments

if TYPE_CHECKING:
    from prometheus_client import Metric

_OPENMETRICS = "application/openmetrics-text"


@dataclass(frozen=True, slots=True)
class Exposition:
    """The body of an answer to Prometheus, and its content type."""

    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class _Page:
    """Collects what this process counted, and the database's figures when it was asked for them."""

    reading: Reading | None

    def collect(self) -> Iterator[Metric]:
        own = instruments()
        if own is not None:
            yield from own.collect()
        if self.reading is not None:
            yield from _of_the_database(self.reading)


def exposition(accept: str, *, reading: Reading | None) -> Exposition:
    """As OpenMetrics when an Accept header names that, else as text 0.0.4.

    `reading` is None in processes that leave the database to others.
    """
    from prometheus_client import exposition as text
    from prometheus_client import openmetrics

    page = _Page(reading)
    if any(each.partition(";")[0].strip() == _OPENMETRICS for each in accept.split(",")):
        body = openmetrics.exposition.generate_latest(page)  # type: ignore[no-untyped-call]
        return Exposition(body, f"{_OPENMETRICS}; version=1.0.0; charset=utf-8")
    return Exposition(text.generate_latest(page), text.CONTENT_TYPE_PLAIN_0_0_4)


def _of_the_database(reading: Reading) -> Iterable[Metric]:
    from carenotify.metrics.database_figures import FIGURES, families_of_patient_days, gauge

    up = reading.figures is not None
    yield gauge("database_up", "1 when the database's figures could be read within 2 s.", (), {(): up})
    if reading.figures is None:
        return
    yield gauge("database_read_seconds", "How long reading the figures took.", (), {(): reading.seconds})
    for figure in FIGURES:
        yield figure.family(reading.figures)
    if reading.patient_days is not None:
        yield from families_of_patient_days(reading.patient_days)
