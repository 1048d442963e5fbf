"""What a worker tells Prometheus of real deliveries, on a real broker and database."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from itertools import count

import pytest

from carenotify import metrics
from carenotify.app import App
from carenotify.channels.base import OutgoingMessage
from carenotify.domain.notification import Channel, Lane
from carenotify.errors import AddressRejectedError, BrokerError, DeliveryError, TemporaryDeliveryError
from carenotify.journeys import read_figures
from carenotify.messaging.publisher import Publisher
from carenotify.worker.channel_worker import ChannelWorker
from carenotify.worker.relay_loop import RelayLoop
from carenotify.worker.scrape import scraper
from tests.integration.ward import Hospital, ScriptedProvider, SetClock, wait_for
from tests.scraped import Scraped

TODAY = date(2026, 11, 24)
PATIENTS = 12


@pytest.fixture
def hospital(broker_app: App) -> Hospital:
    return Hospital(broker_app.database)


@pytest.fixture
def worker(broker_app: App) -> Iterator[ChannelWorker]:
    metrics.begin()
    metrics.begin_channel(Channel.SMS, ["twilio"])
    worker = ChannelWorker(channel=Channel.SMS, deliverer=broker_app.deliverer, connect=broker_app.consumer, threads=4)
    worker.start()
    wait_for(lambda: worker.connected)
    yield worker
    worker.drain()


@pytest.fixture
def scrape(broker_app: App, worker: ChannelWorker, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Scraped]:
    monkeypatch.setattr(read_figures, "_FRESH_SECONDS", 0.0)
    ask = scraper(broker_app, [worker], relay=True)
    return lambda: Scraped.of(ask("").body)


@pytest.fixture
def increase(scrape: Callable[[], Scraped]) -> Callable[..., float]:
    """By how much a counter has grown since the test began; all tests of a process count together."""
    before = scrape()
    return lambda name, **labels: scrape().total(name, **labels) - before.total(name, **labels)


def plan(app: App, hospital: Hospital) -> None:
    for number in range(PATIENTS):
        hospital.add_patient(f"p{number}", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}")
    app.reminder_planner.plan(TODAY)


def script(app: App, answer: Callable[[OutgoingMessage], DeliveryError | None]) -> None:
    [provider] = app.providers[Channel.SMS]
    assert isinstance(provider, ScriptedProvider)
    provider.script = answer


def test_every_message_is_counted_from_the_broker_to_the_provider(
    broker_app: App, hospital: Hospital, clock: SetClock, increase: Callable[..., float], scrape: Callable[[], Scraped]
) -> None:
    plan(broker_app, hospital)
    clock.advance(seconds=20)
    numbers = count(1)
    script(broker_app, lambda _: AddressRejectedError("21211") if next(numbers) == PATIENTS else None)
    broker_app.due_publisher.publish_due(Lane.LOW)
    wait_for(lambda: hospital.statuses() == Counter(sent=PATIENTS - 1, failed=1))
    wait_for(lambda: increase("carenotify_delivery_attempts_total") == PATIENTS)
    assert increase("carenotify_published_total", lane="low") == PATIENTS
    assert increase("carenotify_publish_unconfirmed_total") == 0
    mine = {"channel": "sms", "provider": "twilio"}
    assert increase("carenotify_delivery_attempts_total", outcome="sent", **mine) == PATIENTS - 1
    assert increase("carenotify_delivery_attempts_total", outcome="address_rejected", **mine) == 1
    assert increase("carenotify_provider_call_seconds_count", **mine) == PATIENTS
    waited = {"channel": "sms", "lane": "low"}
    assert increase("carenotify_due_to_provider_seconds_count", **waited) == PATIENTS
    assert increase("carenotify_due_to_provider_seconds_sum", **waited) == pytest.approx(20 * PATIENTS)
    found = scrape()
    assert found.value("carenotify_notifications_today", channel="sms", status="sent") == PATIENTS - 1
    assert found.value("carenotify_notifications_today", channel="sms", status="failed") == 1


def test_a_retry_waits_from_when_it_was_due_again(
    broker_app: App, hospital: Hospital, clock: SetClock, increase: Callable[..., float]
) -> None:
    hospital.add_patient("p0", mail=None)
    hospital.add_appointment("a0", "p0")
    broker_app.reminder_planner.plan(TODAY)
    answers: list[DeliveryError] = [TemporaryDeliveryError("500")]
    script(broker_app, lambda _: answers.pop() if answers else None)
    broker_app.due_publisher.publish_due(Lane.LOW)
    wait_for(lambda: hospital.query("SELECT attempts FROM notifications") == [(1,)])
    clock.advance(seconds=7)  # due again after 2
    broker_app.due_publisher.publish_due(Lane.LOW)
    wait_for(lambda: hospital.statuses() == Counter(sent=1))
    wait_for(lambda: increase("carenotify_delivery_attempts_total") == 2)
    assert increase("carenotify_delivery_attempts_total", outcome="temporary") == 1
    assert increase("carenotify_due_to_provider_seconds_sum") == pytest.approx(5)


def test_what_is_refused_is_counted_by_its_reason(
    broker_app: App, hospital: Hospital, increase: Callable[..., float], worker: ChannelWorker
) -> None:
    plan(broker_app, hospital)
    hospital.query("UPDATE patients SET deceased = true WHERE id IN ('p0', 'p1') RETURNING 1")
    hospital.query("DELETE FROM appointments WHERE id = 'a2' RETURNING 1")
    broker_app.due_publisher.publish_due(Lane.LOW)
    wait_for(lambda: hospital.statuses() == Counter(sent=PATIENTS - 3, suppressed=2, superseded=1))
    wait_for(lambda: increase("carenotify_messages_refused_total") == 3)
    assert increase("carenotify_messages_refused_total", channel="sms", reason="deceased") == 2
    assert increase("carenotify_messages_refused_total", channel="sms", reason="appointment_changed") == 1
    hospital.query("UPDATE notifications SET status = 'pending', publish_until = NULL RETURNING 1")
    worker.consume(wanted=False)
    broker_app.due_publisher.publish_due(Lane.LOW)
    hospital.query("UPDATE notifications SET status = 'sent' RETURNING 1")
    worker.consume(wanted=True)
    wait_for(lambda: increase("carenotify_messages_without_use_total", channel="sms") == PATIENTS)


def test_threads_and_claims_are_told_while_they_are_at_it(
    broker_app: App, hospital: Hospital, scrape: Callable[[], Scraped], worker: ChannelWorker
) -> None:
    let_go = threading.Event()

    def hang(_: OutgoingMessage) -> None:
        assert let_go.wait(60)

    script(broker_app, hang)
    wait_for(lambda: scrape().value("carenotify_broker_connected", channel="sms") == 1)
    assert scrape().value("carenotify_send_threads", channel="sms") == 4
    plan(broker_app, hospital)
    broker_app.due_publisher.publish_due(Lane.LOW)
    # One of four threads is kept for urgent messages; bulk has twice as many claims as threads.
    wait_for(lambda: scrape().value("carenotify_send_threads_busy", channel="sms") == 3)
    wait_for(lambda: scrape().value("carenotify_claims_held", channel="sms") == 6)
    let_go.set()
    wait_for(lambda: hospital.statuses() == Counter(sent=PATIENTS))
    wait_for(lambda: scrape().value("carenotify_send_threads_busy", channel="sms") == 0)
    wait_for(lambda: scrape().value("carenotify_claims_held", channel="sms") == 0)


def test_what_a_broker_that_is_away_did_not_take_is_counted(
    broker_app: App, hospital: Hospital, increase: Callable[..., float]
) -> None:
    plan(broker_app, hospital)
    broker_app.__dict__["publisher"] = Publisher("amqp://127.0.0.1:1/")
    with pytest.raises(BrokerError):
        broker_app.due_publisher.publish_due(Lane.LOW)
    assert increase("carenotify_publish_unconfirmed_total", lane="low") == PATIENTS
    assert increase("carenotify_published_total") == 0


def test_the_relay_says_what_it_settled_and_closed(
    broker_app: App, hospital: Hospital, clock: SetClock, increase: Callable[..., float], worker: ChannelWorker
) -> None:
    worker.consume(wanted=False)
    plan(broker_app, hospital)
    ids = [row[0] for row in hospital.query("SELECT id FROM notifications ORDER BY id")]
    assert len(broker_app.deliverer.claim(ids[:2])[0]) == 2
    clock.advance(seconds=60)
    RelayLoop(broker_app.relay, interval_seconds=1).round()
    assert increase("carenotify_claims_abandoned_total") == 2
    clock.advance(hours=4)
    RelayLoop(broker_app.relay, interval_seconds=1).round()
    assert increase("carenotify_notifications_expired_total") == PATIENTS
    assert increase("carenotify_loop_rounds_total", loop="relay", outcome="done") == 2
    assert increase("carenotify_loop_seconds_count", loop="relay") == 2


def test_a_worker_without_a_relay_leaves_the_database_to_others(broker_app: App, worker: ChannelWorker) -> None:
    found = Scraped.of(scraper(broker_app, [worker], relay=False)("").body)
    assert found.value("carenotify_send_threads", channel="sms") == 4
    assert "carenotify_database_up" not in found.names
