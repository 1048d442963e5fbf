"""What a process counts and measures of itself: the names, labels and buckets, as docs/metrics.md lists them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Metric,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.metrics import MetricWrapperBase

from carenotify import __version__
from carenotify.metrics.sharing import counted_together, shared_directory

PREFIX = "carenotify_"

_CALL_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# What is urgent is promised within seconds, reminders within their window.
_WAITED_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 10800.0)
_ROUND_SECONDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0)
_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Instrument = TypeVar("Instrument", bound=MetricWrapperBase)


class _Children(dict[tuple[str, ...], Instrument]):
    """An instrument's children by the values of its labels, so that finding one again costs next to nothing."""

    def __init__(self, parent: Instrument) -> None:
        super().__init__()
        self._parent = parent

    def __missing__(self, labels: tuple[str, ...]) -> Instrument:
        child = self[labels] = self._parent.labels(*labels)
        return child


class Instruments:
    """The instruments of one process. Counters are given without `_total`, which Prometheus' client adds."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._shared = shared_directory()
        self._of_everybody()
        self._of_workers()
        self._of_the_api()
        PlatformCollector(registry=self._registry)
        if self._shared is None:  # else one process' memory would stand for that of all
            ProcessCollector(registry=self._registry)
            GCCollector(registry=self._registry)

    def collect(self) -> Iterable[Metric]:
        """Everything that was counted, in all processes that count together."""
        if self._shared is None:
            return self._registry.collect()
        together = CollectorRegistry()
        PlatformCollector(registry=together)
        return [*together.collect(), *counted_together(self._shared)]

    def _of_everybody(self) -> None:
        self.build_info = self._gauge("build_info", "Always 1; which version runs.", "version")
        self.connections = self._gauge("database_connections", "Open connections to the database.", "state")
        self.connection_waits = self._gauge("database_connection_waits", "Who waits for a connection now.")
        self.published = self._counter("published", "Messages that the broker confirmed.", "lane")
        self.unconfirmed = self._counter(
            "publish_unconfirmed", "Messages that the broker did not confirm; they stay pending.", "lane"
        )
        self.receipts = self._counter(
            "receipts", "New receipts, by where they move a notification.", "provider", "status"
        )
        self.build_info[(__version__,)].set(1)

    def _of_workers(self) -> None:
        self._of_delivery()
        self.threads = self._gauge("send_threads", "Threads that send.", "channel")
        self.threads_busy = self._gauge("send_threads_busy", "Threads that are at a provider now.", "channel")
        self.claims_held = self._gauge("claims_held", "Messages that are claimed and not recorded yet.", "channel")
        self.broker_connected = self._gauge("broker_connected", "1 while messages can come in.", "channel")
        self.rounds = self._counter("loop_rounds", "Rounds of the background loops.", "loop", "outcome")
        self.round_seconds = self._histogram(
            "loop_seconds", "How long a round of a background loop took.", _ROUND_SECONDS, "loop"
        )
        self.abandoned = self._counter("claims_abandoned", "Claims of workers that are gone, settled by the relay.")
        self.expired = self._counter(
            "notifications_expired", "Notifications whose window closed before they could be sent."
        )
        self.lost = self._counter("messages_lost", "Messages that the broker had lost, queued again.")

    def _of_delivery(self) -> None:
        self.attempts = self._counter(
            "delivery_attempts", "Answers of providers, by what they were.", "channel", "provider", "outcome"
        )
        self.call_seconds = self._histogram(
            "provider_call_seconds", "How long a provider took to answer.", _CALL_SECONDS, "channel", "provider"
        )
        self.waited_seconds = self._histogram(
            "due_to_provider_seconds", "From being due to being handed over.", _WAITED_SECONDS, "channel", "lane"
        )
        self.refused = self._counter(
            "messages_refused", "Messages that were handed to no provider, by reason.", "channel", "reason"
        )
        self.without_use = self._counter(
            "messages_without_use", "Messages that another worker had, or that were done.", "channel"
        )
        self.late = self._counter("outcomes_late", "Outcomes that came after their claim had run out.", "channel")

    def _of_the_api(self) -> None:
        self.requests = self._counter("http_requests", "Requests that were answered.", "method", "route", "status")
        self.request_seconds = self._histogram(
            "http_request_seconds", "How long answering a request took.", _REQUEST_SECONDS, "route"
        )

    def _counter(self, name: str, meaning: str, *labels: str) -> _Children[Counter]:
        return self._children(Counter(PREFIX + name, meaning, labels, registry=self._registry), labels)

    def _gauge(self, name: str, meaning: str, *labels: str) -> _Children[Gauge]:
        # Of processes that are gone nothing is left; `build_info` is 1 however many there are.
        mode = "livemax" if name == "build_info" else "livesum"
        gauge = Gauge(PREFIX + name, meaning, labels, registry=self._registry, multiprocess_mode=mode)  # type: ignore[arg-type]
        return self._children(gauge, labels)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> _Children[Histogram]:
        return self._children(
            Histogram(PREFIX + name, meaning, labels, registry=self._registry, buckets=buckets), labels
        )

    def _children(self, parent: Instrument, labels: tuple[str, ...]) -> _Children[Instrument]:
        children = _Children(parent)
        if not labels:
            children[()] = parent
        return children
