"""What the database knows, as Prometheus reads it: one line for each figure, as docs/metrics.md lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import product

from prometheus_client.core import GaugeMetricFamily

from carenotify.domain.alert import AlertKind
from carenotify.domain.breaker import BreakerState
from carenotify.domain.dead_letter import REASONS
from carenotify.domain.event import EventOutcome
from carenotify.domain.figures import DeliveryFigures, PatientDays, Waiting
from carenotify.domain.notification import Channel, Lane, Status

PREFIX = "carenotify_"
LOAD_STATUSES = ("running", "loaded", "held", "released", "discarded", "failed")
BREAKER_VALUES = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}

Labels = tuple[str, ...]
Values = Mapping[Labels, float]
_LANES = tuple(product(Channel, Lane))


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: its name, meaning and labels, and what it is, by the values of the labels."""

    name: str
    meaning: str
    labels: Labels
    values: Callable[[DeliveryFigures], Values]

    def family(self, figures: DeliveryFigures) -> GaugeMetricFamily:
        """As Prometheus' client wants it."""
        return gauge(self.name, self.meaning, self.labels, self.values(figures))


def gauge(name: str, meaning: str, labels: Labels, values: Values) -> GaugeMetricFamily:
    """A gauge of ours with these values."""
    family = GaugeMetricFamily(PREFIX + name, meaning, labels=labels)
    for of_labels, value in values.items():
        family.add_metric([str(label) for label in of_labels], value)
    return family


def _one(value: float) -> Values:
    return {(): value}


def _moment(at: datetime | None) -> Values:
    return _one(0.0 if at is None else at.timestamp())


def _counts(found: Mapping[str, int], words: Iterable[str]) -> Values:
    """A count for each of the words, and for what is there besides."""
    return {(word,): found.get(word, 0) for word in dict.fromkeys([*map(str, words), *found])}


def _due(figures: DeliveryFigures, value: Callable[[Waiting], float]) -> Values:
    return {of: value(figures.due.get(of, Waiting())) for of in _LANES}


FIGURES = (
    Figure(
        "notifications_today",
        "Notifications that were made today, by the status that they have now.",
        ("channel", "status"),
        lambda of: {each: of.made.by_status.get(each, 0) for each in product(Channel, Status)},
    ),
    Figure(
        "possible_duplicates_today",
        "Notifications made today that may have been sent twice.",
        (),
        lambda of: _one(of.made.possible_duplicates),
    ),
    Figure(
        "fallbacks_today",
        "Notifications made today that took the place of another one.",
        (),
        lambda of: _one(of.made.fallbacks),
    ),
    Figure(
        "notifications_due",
        "Notifications that are due, and neither claimed nor over.",
        ("channel", "lane"),
        lambda of: _due(of, lambda waiting: waiting.count),
    ),
    Figure(
        "oldest_due_seconds",
        "How long the oldest notification that waits has been due.",
        ("channel", "lane"),
        lambda of: _due(of, lambda waiting: waiting.oldest_seconds),
    ),
    Figure(
        "dead_letters_open",
        "Dead letters that wait for a person, by reason.",
        ("reason",),
        lambda of: _counts(of.dead_letters, REASONS),
    ),
    Figure(
        "provider_breaker_state",
        "0 in use, 1 tried out, 2 left alone.",
        ("provider",),
        lambda of: {(name,): BREAKER_VALUES[state] for name, state in of.breakers.items()},
    ),
    Figure(
        "channel_paused",
        "1 while a person has paused the channel.",
        ("channel",),
        lambda of: {(channel,): channel in of.paused for channel in Channel},
    ),
    Figure("receipts_waiting", "Receipts that could not be applied yet.", (), lambda of: _one(of.receipts_waiting)),
    Figure(
        "change_events_today",
        "Change events that were received today, by what came of them.",
        ("outcome",),
        lambda of: _counts(of.change_events, EventOutcome),
    ),
    Figure(
        "last_load_timestamp_seconds",
        "When the newest load that was taken over had been loaded.",
        (),
        lambda of: _moment(of.loads.last_at),
    ),
    Figure(
        "loads_today",
        "Loads that were begun today, by status.",
        ("status",),
        lambda of: _counts(of.loads.today, LOAD_STATUSES),
    ),
    Figure("loads_held", "Loads that the quality gate holds back now.", (), lambda of: _one(of.loads.held)),
    Figure(
        "load_rows",
        "Rows of the newest load that was taken over, by the quality gate's verdict.",
        ("verdict",),
        lambda of: _counts(of.loads.last_rows, ("good", "rejected", "duplicate")),
    ),
    Figure(
        "quarantine_open",
        "Rows in quarantine.",
        ("verdict",),
        lambda of: _counts(of.quarantine, ("rejected", "address_left_out")),
    ),
    Figure(
        "last_plan_timestamp_seconds",
        "When the newest day's reminders were planned.",
        (),
        lambda of: _moment(of.plan.last_at),
    ),
    Figure("today_planned", "1 once today has a plan.", (), lambda of: _one(of.plan.today is not None)),
    Figure("planned_today", "Notifications of today's plan.", (), lambda of: _one(of.plan.today or 0)),
    Figure(
        "window_opens_timestamp_seconds",
        "When today's send window opens.",
        (),
        lambda of: _moment(of.today.opens),
    ),
    Figure(
        "window_closes_timestamp_seconds",
        "When today's send window closes.",
        (),
        lambda of: _moment(of.today.closes),
    ),
    Figure(
        "watch_last_beat_timestamp_seconds",
        "When the DAG watch_delivery last looked.",
        (),
        lambda of: _moment(of.watched_at),
    ),
    Figure("alerts_unmailed", "Alerts that no mail server has taken.", (), lambda of: _one(of.unmailed.count)),
    Figure(
        "oldest_unmailed_alert_seconds",
        "How long the oldest alert that no mail server has taken waits.",
        (),
        lambda of: _one(of.unmailed.oldest_seconds),
    ),
    Figure(
        "alerts_today",
        "Alerts that were raised today, by kind.",
        ("kind",),
        lambda of: _counts(of.alerts, (kind for kind in AlertKind if kind is not AlertKind.DATABASE_AWAY)),
    ),
)


def families_of_patient_days(days: PatientDays) -> Iterator[GaugeMetricFamily]:
    """Who was to be told and who was; the ratio is left out while nobody is due."""
    yield gauge("patient_days_due", "Patient-days that today's reminders are to tell.", (), _one(days.due))
    yield gauge("patient_days_reached", "Patient-days that were told, of those.", (), _one(days.reached))
    ratio = _one(days.reached / days.due) if days.due else {}
    yield gauge("reached_ratio", "Patient-days reached, of those due.", (), ratio)
