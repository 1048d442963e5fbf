"""Metrics as Prometheus would read them: parsed, not searched for words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Scraped:
    """One answer to Prometheus."""

    families: tuple[Metric, ...]

    @classmethod
    def of(cls, body: bytes | str, content_type: str = TEXT) -> Scraped:
        text = body if isinstance(body, str) else body.decode()
        read = {TEXT: read_text, OPENMETRICS: read_openmetrics}[content_type]
        families: Iterable[Metric] = read(text)  # type: ignore[no-untyped-call]
        return cls(tuple(families))

    @property
    def names(self) -> set[str]:
        """The names of all samples."""
        return {sample.name for family in self.families for sample in family.samples}

    def values(self, name: str, **labels: str) -> list[float]:
        """The values of all samples of that name that have these labels."""
        return [
            sample.value
            for family in self.families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def total(self, name: str, **labels: str) -> float:
        """Their sum; 0 when there are none."""
        return sum(self.values(name, **labels))

    def value(self, name: str, **labels: str) -> float:
        """The one of that name with exactly these labels."""
        [value] = [
            sample.value
            for family in self.families
            for sample in family.samples
            if sample.name == name and sample.labels == labels
        ]
        return value
