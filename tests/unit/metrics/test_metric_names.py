"""What is measured keeps Prometheus' conventions, stands in docs/metrics.md, and has labels of few values only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

import carenotify
from carenotify import errors
from carenotify.domain import delivery
from carenotify.domain.dead_letter import REASONS
from carenotify.domain.delivery import Attempt
from carenotify.domain.event import EventOutcome
from carenotify.domain.figures import DeliveryFigures, Loads, Made, PatientDays, Plan, Reading, Today, Waiting
from carenotify.errors import DeliveryError, NotTriedError
from carenotify.metrics import exposition, words
from carenotify.metrics.database_figures import FIGURES, LOAD_STATUSES
from carenotify.metrics.instruments import Instruments, _Children
from carenotify.storage.claims import CLAIM
from tests.scraped import Scraped

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
# Each of them has few values, which docs/metrics.md names or which are names of ours: loops, providers, URL rules.
BOUNDED = {
    "channel",
    "kind",
    "lane",
    "loop",
    "method",
    "outcome",
    "provider",
    "reason",
    "route",
    "state",
    "status",
    "verdict",
    "version",
}


@dataclass(frozen=True)
class Described:
    """A metric by its name (a counter's ends in _total), as it is made or as docs/metrics.md has it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


def _own() -> list[Described]:
    parents = [each._parent for each in vars(Instruments()).values() if isinstance(each, _Children)]
    described = [(next(iter(parent.describe())), parent._labelnames) for parent in parents]
    return [
        Described(
            metric.name + ("_total" if metric.type == "counter" else ""), metric.type, labels, metric.documentation
        )
        for metric, labels in described
    ]


def _of_the_database() -> list[Described]:
    days = PatientDays(due=4, reached=3)
    scraped = Scraped.of(exposition("", reading=Reading(_figures(), days, 0.1)).body)
    labels = {f"carenotify_{figure.name}": figure.labels for figure in FIGURES}
    own = {one.name for one in _own()}
    return [
        Described(family.name, family.type, labels.get(family.name, ()), family.documentation)
        for family in scraped.families
        if family.name.startswith("carenotify_") and f"{family.name}_total" not in own and family.name not in own
    ]


def _figures() -> DeliveryFigures:
    return DeliveryFigures(
        today=Today(NOW.date(), NOW, NOW + timedelta(days=1), NOW, NOW + timedelta(hours=3)),
        made=Made({}, 0, 0),
        due={},
        dead_letters={},
        breakers={},
        paused=frozenset(),
        receipts_waiting=0,
        change_events={},
        loads=Loads({}, 0, None, {}),
        quarantine={},
        plan=Plan(None, None),
        watched_at=None,
        unmailed=Waiting(),
        alerts={},
    )


MADE = [*_own(), *_of_the_database()]


def _documented() -> list[Described]:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "docs" / "metrics.md").read_text().splitlines()
        if line.startswith("| `carenotify_")
    ]
    return [
        Described(name.strip("`"), kind, tuple(re.findall(r"\w+", labels)), meaning)
        for name, kind, labels, _unit, meaning, *_where in rows
    ]


def test_the_documents_list_every_metric_and_no_other_with_its_type_and_labels() -> None:
    documented = [(one.name, one.kind, one.labels) for one in _documented()]
    assert len(documented) == len(set(documented)) > 40
    assert set(documented) == {(one.name, one.kind, one.labels) for one in MADE}


@pytest.mark.parametrize("one", MADE, ids=lambda one: one.name)
def test_a_metric_is_named_by_the_conventions(one: Described) -> None:
    assert re.fullmatch(r"carenotify(_[a-z]+)+", one.name)
    assert one.meaning.endswith(".")
    assert one.kind in {"counter", "gauge", "histogram"}
    assert one.name.endswith("_total") == (one.kind == "counter")
    if one.kind == "histogram":
        assert one.name.endswith("_seconds")
    assert not re.search(r"_(ms|milliseconds?|minutes?|hours?|percent|share|count|sum|bucket|created|at)$", one.name)
    assert ("timestamp" in one.name) == one.name.endswith("_timestamp_seconds")


@pytest.mark.parametrize("one", MADE, ids=lambda one: one.name)
def test_labels_have_few_values(one: Described) -> None:
    assert set(one.labels) <= BOUNDED


def _named(meaning: str, label: str) -> set[str]:
    """The words that a row of the documents names for a label."""
    return set(re.findall(r"`(\w+)`", meaning.partition(f"{label}: ")[2] or meaning.partition("; ")[2]))


@pytest.mark.parametrize(
    ("name", "label", "values"),
    [
        ("delivery_attempts_total", "outcome", {*words.ATTEMPT_OUTCOMES, words.OTHER}),
        ("messages_refused_total", "reason", {*words.REFUSALS, words.OTHER}),
        ("receipts_total", "status", set(words.RECEIPT_WORDS)),
        ("change_events_today", "outcome", set(EventOutcome)),
        ("loads_today", "status", set(LOAD_STATUSES)),
    ],
)
def test_the_documents_name_the_words_that_a_label_can_have(name: str, label: str, values: set[str]) -> None:
    [meaning] = [one.meaning for one in _documented() if one.name == f"carenotify_{name}"]
    assert _named(meaning, label) == values


def test_every_reason_for_which_a_claim_refuses_a_message_is_known() -> None:
    refusals = set(re.findall(r"THEN '(\w+)'", CLAIM.partition("AS refusal")[0]))
    assert len(refusals) > 7
    assert refusals <= words.REFUSALS


def _all_kinds(error: type[DeliveryError]) -> list[type[DeliveryError]]:
    return [error, *(kind for below in error.__subclasses__() for kind in _all_kinds(below))]


def test_whatever_a_provider_answers_is_a_known_outcome() -> None:
    for kind in _all_kinds(DeliveryError):
        for number in (1, 99):
            for trial in (False, True):
                attempt = Attempt(UUID(int=0), UUID(int=1), number, provider="smtp", trial=trial)
                outcome = delivery.refused(attempt, kind("1"), to="a@example.org", now=NOW)
                assert (outcome.reason or outcome.status) in words.ATTEMPT_OUTCOMES, kind
    assert delivery.accepted(Attempt(UUID(int=0), UUID(int=1), 1), "id", to="x").status in words.ATTEMPT_OUTCOMES
    assert NotTriedError in _all_kinds(errors.DeliveryError)


def test_a_word_that_nobody_knows_is_another_one() -> None:
    assert words.known("Anna Müller", words.REFUSALS) == "other"
    assert words.known("paused", words.REFUSALS) == "paused"


def test_figures_that_have_a_fixed_set_of_words_are_all_there_at_zero() -> None:
    scraped = Scraped.of(exposition("", reading=Reading(_figures(), None, 0.1)).body)
    assert len(scraped.values("carenotify_notifications_today")) == 24
    assert scraped.values("carenotify_notifications_due") == [0] * 6
    assert len(scraped.values("carenotify_dead_letters_open")) == len(REASONS)
    assert "carenotify_reached_ratio" not in scraped.names


def test_the_version_is_the_projects() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{carenotify.__version__}"' in project
