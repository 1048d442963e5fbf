"""What is recorded is counted once, under words that are known, and not at all by processes that nobody asks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from carenotify import metrics
from carenotify.domain import delivery
from carenotify.domain.delivery import Attempt, Outcome
from carenotify.domain.notification import Channel, Lane, Status
from carenotify.errors import DatabaseUnavailableError
from carenotify.metrics import exposition
from carenotify.worker.periodic import Periodic
from tests.scraped import Scraped

INCLUDE = Path(__file__).parents[3] / "include"
ATTEMPT = Attempt(UUID(int=0), UUID(int=1), 1, provider="twilio")


def scrape() -> Scraped:
    return Scraped.of(exposition("", reading=None).body)


@pytest.fixture
def increase() -> Callable[..., float]:
    """By how much a counter has grown since the test began; all tests of a process count together."""
    metrics.begin()
    before = scrape()
    return lambda name, **labels: scrape().total(name, **labels) - before.total(name, **labels)


def test_a_process_that_nobody_asks_counts_nothing_and_does_not_load_the_client() -> None:
    program = """
import sys
from carenotify import metrics
metrics.record_published("low", confirmed=3, unconfirmed=0)
metrics.record_outcomes("sms", [], late=2)
metrics.record_round("relay", seconds=0.1, done=True)
metrics.record_receipts([("twilio", "sent")])
print("prometheus_client" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(INCLUDE)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_outcomes_are_attempts_where_a_provider_was_asked_and_refusals_elsewhere(
    increase: Callable[..., float],
) -> None:
    outcomes: list[Outcome] = [
        delivery.accepted(ATTEMPT, "id", to="x"),
        delivery.accepted(ATTEMPT, "id", to="x"),
        delivery.given_up(ATTEMPT, Status.FAILED, "wording"),
        delivery.given_up(ATTEMPT, Status.FAILED, "what Anna said"),
    ]
    metrics.record_outcomes(Channel.SMS, outcomes, late=1)
    assert increase("carenotify_delivery_attempts_total", channel="sms", provider="twilio", outcome="sent") == 2
    assert increase("carenotify_delivery_attempts_total") == 2
    assert increase("carenotify_messages_refused_total", channel="sms", reason="wording") == 1
    assert increase("carenotify_messages_refused_total", channel="sms", reason="other") == 1
    assert increase("carenotify_outcomes_late_total", channel="sms") == 1


def test_a_clock_that_is_behind_makes_no_negative_wait(increase: Callable[..., float]) -> None:
    metrics.record_hand_over(Channel.SMS, Lane.HIGH, "sns", waited_seconds=-3.0, call_seconds=0.2)
    assert increase("carenotify_due_to_provider_seconds_count", channel="sms", lane="high") == 1
    assert increase("carenotify_due_to_provider_seconds_sum", channel="sms", lane="high") == 0
    assert increase("carenotify_provider_call_seconds_sum", provider="sns") == pytest.approx(0.2)


def test_a_round_that_lacks_a_server_is_a_failed_one(increase: Callable[..., float]) -> None:
    def act() -> None:
        raise DatabaseUnavailableError("away")

    Periodic("contacts", act, interval_seconds=1).round()
    Periodic("contacts", lambda: None, interval_seconds=1).round()
    for outcome in ("done", "failed"):
        assert increase("carenotify_loop_rounds_total", loop="contacts", outcome=outcome) == 1
    assert increase("carenotify_loop_seconds_count", loop="contacts") == 2


def test_counters_that_can_be_foreseen_are_there_before_their_first_event() -> None:
    metrics.begin()
    metrics.begin_channel(Channel.EMAIL, ["ses", "smtp"])
    found = scrape()
    for provider in ("ses", "smtp"):
        assert len(found.values("carenotify_delivery_attempts_total", channel="email", provider=provider)) >= 10
    assert len(found.values("carenotify_messages_refused_total", channel="email")) >= 14
    assert len(found.values("carenotify_published_total")) == len(Lane)


def test_beginning_twice_changes_nothing(increase: Callable[..., float]) -> None:
    metrics.record_lost(2)
    metrics.begin()
    metrics.record_lost(1)
    assert increase("carenotify_messages_lost_total") == 3


def test_in_a_process_that_has_not_begun_the_database_can_be_asked_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("carenotify.metrics.recording._Process.instruments", None)
    assert exposition("", reading=None).body == b""
