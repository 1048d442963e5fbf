"""Providers that are down: another one takes over, or everything waits unspent; and slowly back again."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import count

import pytest

from carenotify.app import App
from carenotify.channels.base import OutgoingMessage
from carenotify.domain.breaker import BreakerState
from carenotify.domain.delivery import Outcome
from carenotify.domain.notification import Channel, Lane
from carenotify.errors import DeliveryError, MisconfiguredError, TemporaryDeliveryError, UnconfirmedDeliveryError
from carenotify.journeys.choose_provider import ProviderChooser
from carenotify.messaging import topology
from carenotify.worker.channel_worker import ChannelWorker
from carenotify.worker.relay_loop import RelayLoop
from carenotify.worker.valve import Valve
from tests.integration.ward import Hospital, ScriptedProvider, SetClock, let_pass, wait_for

TODAY = date(2026, 11, 24)
THREADS = 4
# What is already claimed, prefetched or under way when a provider is found to be down, in one process.
AT_HAND = 8 * THREADS + 2 * THREADS + THREADS


@dataclass
class Weather:
    """How a provider is doing; counts the calls that it fails."""

    error: Callable[[], DeliveryError] | None = None
    failed: Counter[str] = field(default_factory=Counter)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, message: OutgoingMessage) -> DeliveryError | None:
        if self.error is None:
            return None
        with self.guard:
            self.failed[str(message.notification_id)] += 1
        return self.error()


def down() -> DeliveryError:
    return TemporaryDeliveryError("503")


@pytest.fixture
def hospital(broker_app: App) -> Hospital:
    return Hospital(broker_app.database)


@pytest.fixture
def sms(broker_app: App) -> tuple[ScriptedProvider, ScriptedProvider]:
    two = ScriptedProvider(Channel.SMS, "twilio"), ScriptedProvider(Channel.SMS, "sns")
    broker_app.__dict__["providers"] = {**broker_app.providers, Channel.SMS: two}
    return two


@contextmanager
def process(app: App, *channels: Channel) -> Iterator[tuple[ProviderChooser, list[ChannelWorker]]]:
    """As one worker process: what it knows of the providers is its own."""
    chooser = ProviderChooser(database=app.database, providers=app.providers, clock=app.clock)
    # Here a minute passes in an instant, and no claim may run out by that.
    deliverer = replace(app.deliverer, chooser=chooser, claim_for=timedelta(minutes=10))
    workers = [
        ChannelWorker(channel=channel, deliverer=deliverer, connect=app.consumer, threads=THREADS)
        for channel in channels or (Channel.SMS,)
    ]
    valve = Valve(database=app.database, chooser=chooser, workers=workers)
    valve.start()
    for worker in workers:
        worker.start()
    try:
        yield chooser, workers
    finally:
        valve.stop()
        for worker in workers:
            worker.drain()


@pytest.fixture
def relay(broker_app: App) -> Iterator[RelayLoop]:
    loop = RelayLoop(broker_app.relay, interval_seconds=0.05)
    loop.start()
    yield loop
    loop.stop()


def plan(app: App, hospital: Hospital, patients: int, *, mail: bool = False) -> None:
    for number in range(patients):
        hospital.add_patient(f"p{number}", mail=f"p{number}@example.org" if mail else None)
        hospital.add_appointment(f"a{number}", f"p{number}")
    app.reminder_planner.plan(TODAY)


def states(hospital: Hospital) -> dict[str, str]:
    return dict(hospital.query("SELECT provider, state FROM provider_states"))


def test_the_second_takes_over_after_five_failures_and_nobody_fails(
    broker_app: App,
    hospital: Hospital,
    sms: tuple[ScriptedProvider, ScriptedProvider],
    relay: RelayLoop,
    clock: SetClock,
) -> None:
    first, second = sms
    first.script = weather = Weather(down)
    plan(broker_app, hospital, 100)
    with process(broker_app):
        let_pass(clock, lambda: hospital.statuses() == Counter(sent=100))
    assert states(hospital) == {"twilio": "open"}
    assert 5 <= weather.failed.total() <= AT_HAND
    assert set(weather.failed.values()) == {1}
    assert set(second.times.values()) == {1}
    assert hospital.query("SELECT max(attempts) FROM notifications") == [(2,)]


def test_one_process_learns_for_all(
    broker_app: App, hospital: Hospital, sms: tuple[ScriptedProvider, ScriptedProvider], clock: SetClock
) -> None:
    with process(broker_app) as (other, _):
        hospital.query(
            "INSERT INTO provider_states VALUES ('twilio', 'open', 5, 0, %s, %s, '503') RETURNING 1",
            clock.now + timedelta(seconds=60),
            clock.now,
        )
        wait_for(lambda: not other.breaker("twilio").closed)
        with process(broker_app) as (newcomer, _):
            assert newcomer.breaker("twilio").state is BreakerState.OPEN


def test_with_all_down_nothing_is_spent_and_with_one_back_all_is_delivered_once(
    broker_app: App,
    hospital: Hospital,
    sms: tuple[ScriptedProvider, ScriptedProvider],
    relay: RelayLoop,
    clock: SetClock,
) -> None:
    first, second = sms
    first.script = second.script = weather = Weather(down)
    plan(broker_app, hospital, 150)
    hospital.query("UPDATE notifications SET lane = 'high' WHERE patient_id IN ('p3', 'p77') RETURNING 1")
    with ExitStack() as processes:
        [(one, _), (other, _)] = [processes.enter_context(process(broker_app)) for _ in range(2)]
        let_pass(clock, lambda: states(hospital) == {"twilio": "open", "sns": "open"})
        wait_for(lambda: not one.can_send(Channel.SMS) and not other.can_send(Channel.SMS))
        wait_for(lambda: hospital.statuses()["sending"] == 0)
        spent = hospital.query("SELECT sum(attempts), max(attempts) FROM notifications")
        for minute in range(1, 4):
            calls = weather.failed.total()
            clock.advance(seconds=61)
            let_pass(clock, lambda calls=calls: weather.failed.total() >= calls + 2)
            let_pass(clock, lambda: set(states(hospital).values()) == {"open"} and not hospital.statuses()["sending"])
            assert weather.failed.total() == calls + 2, f"one trial of each in minute {minute}"
        assert spent[0][0] <= 2 * AT_HAND
        assert hospital.query("SELECT max(attempts) FROM notifications")[0][0] <= spent[0][1] + 3
        assert "failed" not in hospital.statuses()

        second.script = Weather()
        clock.advance(seconds=61)
        back_at = clock.now
        let_pass(clock, lambda: hospital.statuses() == Counter(sent=150))
        assert clock.now - back_at < timedelta(seconds=60)
    assert set(second.times.values()) == {1}
    assert hospital.query("SELECT count(*) FROM notifications WHERE possible_duplicate") == [(0,)]


def test_consuming_stops_while_all_are_down(
    broker_app: App,
    hospital: Hospital,
    sms: tuple[ScriptedProvider, ScriptedProvider],
    clock: SetClock,
) -> None:
    for provider in sms:
        provider.script = Weather(lambda: MisconfiguredError("20003"))
    plan(broker_app, hospital, 300)
    broker_app.due_publisher.publish_due(Lane.LOW)
    with process(broker_app) as (chooser, [worker]):
        wait_for(lambda: not chooser.can_send(Channel.SMS))
        wait_for(lambda: hospital.statuses()["sending"] == 0)
        waiting = "SELECT count(*) FROM notifications WHERE status = 'queued'"
        wait_for(lambda: hospital.query(waiting) == [(topology.ready_counts(broker_app.relay.broker_url)["sms.low"],)])
        assert worker.counts["claimed"] <= 2 * AT_HAND
        assert hospital.query("SELECT max(attempts) FROM notifications") == [(0,)]


def test_an_account_that_is_refused_fails_over_at_once(
    broker_app: App,
    hospital: Hospital,
    sms: tuple[ScriptedProvider, ScriptedProvider],
    relay: RelayLoop,
    clock: SetClock,
) -> None:
    first, second = sms
    first.script = Weather(lambda: MisconfiguredError("20003"))
    plan(broker_app, hospital, 20)
    with process(broker_app):
        wait_for(lambda: hospital.statuses() == Counter(sent=20))  # the clock has not moved
    assert states(hospital) == {"twilio": "open"}
    assert set(second.times.values()) == {1}
    assert hospital.query("SELECT max(attempts) FROM notifications") == [(1,)]


def test_an_answer_that_was_lost_is_not_made_up_for_in_the_same_attempt(
    broker_app: App, hospital: Hospital, sms: tuple[ScriptedProvider, ScriptedProvider], clock: SetClock
) -> None:
    first, second = sms
    first.script = Weather(lambda: UnconfirmedDeliveryError("timeout"))
    plan(broker_app, hospital, 1)
    [(notification_id,)] = hospital.query("SELECT id FROM notifications")
    for attempts in (1, 2):
        [claim], _ = broker_app.deliverer.claim([notification_id])
        broker_app.deliverer.record([broker_app.deliverer.send(claim)])
        assert hospital.query("SELECT attempts FROM notifications") == [(attempts,)]
        assert len(second.taken) == attempts - 1
        clock.advance(seconds=2)


def test_the_first_is_tried_out_with_what_is_sent_anyway_and_comes_back(
    broker_app: App,
    hospital: Hospital,
    sms: tuple[ScriptedProvider, ScriptedProvider],
    relay: RelayLoop,
    clock: SetClock,
) -> None:
    first, second = sms
    first.script = Weather(lambda: MisconfiguredError("20003"))
    numbers = count()

    def send_one_more() -> None:
        number = next(numbers)
        hospital.add_patient(f"p{number}", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}")
        broker_app.reminder_planner.plan(TODAY)

    def comes_back() -> bool:
        send_one_more()
        return states(hospital) == {"twilio": "closed"}

    with process(broker_app):
        send_one_more()
        wait_for(lambda: states(hospital) == {"twilio": "open"})
        first.script = Weather()
        clock.advance(seconds=60)
        let_pass(clock, comes_back)
        sent = next(numbers)
        wait_for(lambda: hospital.statuses() == Counter(sent=sent))
    assert len(first.taken) >= 2
    assert max((first.times + second.times).values()) == 1


def test_one_that_came_back_has_a_tenth_at_first_and_all_of_it_after_a_minute(
    broker_app: App,
    hospital: Hospital,
    sms: tuple[ScriptedProvider, ScriptedProvider],
    relay: RelayLoop,
    clock: SetClock,
) -> None:
    first, second = sms
    hospital.query("INSERT INTO provider_states VALUES ('twilio', 'closed', 0, 2, NULL, %s) RETURNING 1", clock.now)
    plan(broker_app, hospital, 400)
    with process(broker_app):
        wait_for(lambda: hospital.statuses() == Counter(sent=400))
        assert 16 <= len(first.taken) <= 72
        clock.advance(seconds=60)
        second.taken.clear()
        hospital.query("UPDATE notifications SET status = 'pending', attempts = 0, provider = NULL RETURNING 1")
        wait_for(lambda: hospital.statuses() == Counter(sent=400))
        assert not second.taken


def test_mail_goes_on_while_texts_cannot(
    broker_app: App,
    hospital: Hospital,
    sms: tuple[ScriptedProvider, ScriptedProvider],
    relay: RelayLoop,
    clock: SetClock,
) -> None:
    for provider in sms:
        provider.script = Weather(lambda: MisconfiguredError("20003"))
    [mail] = broker_app.providers[Channel.EMAIL]
    assert isinstance(mail, ScriptedProvider)
    plan(broker_app, hospital, 200, mail=True)
    with process(broker_app, Channel.SMS, Channel.EMAIL) as (_, [texts, mails]):
        wait_for(lambda: mails.counts["sent"] == 200)
        assert texts.counts["claimed"] <= 2 * AT_HAND
    assert set(mail.times.values()) == {1}
    assert hospital.query("SELECT count(*) FROM notifications WHERE channel = 'sms' AND status = 'sent'") == [(0,)]


def test_a_trial_that_one_process_has_no_message_for_is_made_by_another(
    broker_app: App, hospital: Hospital, sms: tuple[ScriptedProvider, ScriptedProvider], clock: SetClock
) -> None:
    hospital.query(
        "INSERT INTO provider_states SELECT name, 'open', 5, 0, %s, %s, '503' FROM unnest('{twilio,sns}'::text[]) name"
        " RETURNING 1",
        clock.now,
        clock.now,
    )
    idle, busy = (
        ProviderChooser(database=broker_app.database, providers=broker_app.providers, clock=clock) for _ in range(2)
    )
    idle.follow()
    busy.follow()
    assert (idle.can_send(Channel.SMS), busy.can_send(Channel.SMS)) == (True, False)
    clock.advance(seconds=5)
    idle.follow()
    assert not idle.can_send(Channel.SMS)
    busy.follow()
    assert busy.can_send(Channel.SMS)


def test_while_another_is_well_only_who_sends_takes_a_trial(
    broker_app: App, hospital: Hospital, sms: tuple[ScriptedProvider, ScriptedProvider], clock: SetClock
) -> None:
    plan(broker_app, hospital, 3)
    hospital.query(
        "INSERT INTO provider_states VALUES ('twilio', 'open', 5, 0, %s, %s, '503') RETURNING 1", clock.now, clock.now
    )
    chooser, deliverer = broker_app.provider_chooser, broker_app.deliverer
    chooser.follow()
    chooser.follow()
    assert states(hospital) == {"twilio": "open"}
    ids = [row[0] for row in hospital.query("SELECT id FROM notifications ORDER BY id")]
    sent_through: list[tuple[str | None, bool]] = []
    outcomes: list[Outcome] = []
    for notification_id in ids[:2]:
        [claim], _ = deliverer.claim([notification_id])
        outcome = deliverer.send(claim)
        outcomes.append(outcome)
        sent_through.append((outcome.provider, outcome.trial))
    assert sent_through == [("twilio", True), ("sns", False)]  # nobody gets the second trial before the first is over
    assert states(hospital) == {"twilio": "half_open"}
    deliverer.record(outcomes)
    [claim], _ = deliverer.claim([ids[2]])
    deliverer.record([deliverer.send(claim)])
    assert states(hospital) == {"twilio": "closed"}
