"""How fast messages leave, and that bulk never stands in the way of what is urgent."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from cryptography.fernet import Fernet

from carenotify.app import App, build_app
from carenotify.channels.base import OutgoingMessage
from carenotify.domain.appointment import Appointment, AppointmentStatus, Venue
from carenotify.domain.event import ChangeEvent, EventType
from carenotify.domain.notification import Channel, Lane
from carenotify.errors import DeliveryError, ThrottledError
from carenotify.worker.channel_worker import ChannelWorker
from tests.integration.ward import NOON, Hospital, ScriptedProvider, SetClock, make_settings, wait_for

TODAY = date(2026, 11, 24)
# A message that could go at once is at the provider so soon, also on a machine that is busy with other things.
SOON_SECONDS = 1.0


class Arrivals:
    """When each message came to the provider. What it answers is up to the test."""

    def __init__(self) -> None:
        self.at: dict[UUID, float] = {}
        self.answer: Callable[[OutgoingMessage], DeliveryError | None] = lambda _: None
        self.guard = threading.Lock()

    def __call__(self, message: OutgoingMessage) -> DeliveryError | None:
        with self.guard:
            self.at[message.notification_id] = time.monotonic()
        return self.answer(message)

    def most_within(self, seconds: float, ids: set[UUID]) -> int:
        moments = sorted(at for one, at in self.at.items() if one in ids)
        return max(sum(1 for at in moments if start <= at < start + seconds) for start in moments)


@pytest.fixture
def arrivals() -> Arrivals:
    return Arrivals()


@pytest.fixture
def make_app(database_url: str, broker_url: str, clock: SetClock, arrivals: Arrivals) -> Iterator[Callable[..., App]]:
    made: list[App] = []
    key = {"CARENOTIFY_ENCRYPTION_KEYS": Fernet.generate_key().decode()}

    def make(**settings: str) -> App:
        app = build_app(make_settings(database_url, broker_url, **key, **settings), clock=clock)
        sms = ScriptedProvider(Channel.SMS, name="twilio", script=arrivals)
        app.__dict__["providers"] = {Channel.SMS: (sms,), Channel.EMAIL: (ScriptedProvider(Channel.EMAIL),)}
        made.append(app)
        return app

    yield make
    for app in made:
        app.close()


@contextmanager
def working(*apps: App, threads: int) -> Iterator[list[ChannelWorker]]:
    """A worker of each app, as in a process of its own."""
    with ExitStack() as stack:
        workers = []
        for app in apps:
            worker = ChannelWorker(
                channel=Channel.SMS,
                deliverer=app.deliverer,
                connect=app.consumer,
                threads=threads,
                pace=app.pace(Channel.SMS),
            )
            worker.start()
            stack.callback(worker.drain)
            workers.append(worker)
        wait_for(lambda: all(worker.connected for worker in workers))
        yield workers


@contextmanager
def let_go(event: threading.Event) -> Iterator[None]:
    """Whoever hangs goes on in the end, also when the test fails."""
    try:
        yield
    finally:
        event.set()


def publish_bulk(app: App, patients: int) -> set[UUID]:
    hospital = Hospital(app.database)
    for number in range(patients):
        hospital.add_patient(f"p{number}", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}")
    app.reminder_planner.plan(TODAY)
    assert app.due_publisher.publish_due(Lane.LOW).confirmed == patients
    return {row[0] for row in hospital.query("SELECT id FROM notifications WHERE lane = 'low'")}


def publish_urgent(app: App, name: str = "moved") -> UUID:
    Hospital(app.database).add_patient(name, mail=None)
    new = Appointment(name, name, NOON + timedelta(days=1), None, Venue("Hall"), AppointmentStatus.BOOKED)
    event = ChangeEvent(name, EventType.BOOKED, app.clock(), new)
    [notification_id] = app.event_acceptor.accept(event, body={}).notification_ids
    app.due_publisher.publish_due(Lane.HIGH)
    return notification_id


def test_two_workers_keep_to_the_rate_and_an_urgent_message_passes_what_waits(
    make_app: Callable[..., App], arrivals: Arrivals
) -> None:
    apps = [make_app(CARENOTIFY_TWILIO_MESSAGES_PER_SECOND="200") for _ in range(2)]
    hospital = Hospital(apps[0].database)
    bulk = publish_bulk(apps[0], 600)
    with working(*apps, threads=8):
        wait_for(lambda: len(arrivals.at) > 200)
        posted = time.monotonic()
        urgent = publish_urgent(apps[0])
        wait_for(lambda: urgent in arrivals.at)
        assert arrivals.at[urgent] - posted < SOON_SECONDS
        assert len(arrivals.at) < 550
        wait_for(lambda: hospital.statuses() == Counter(sent=601))
    took = max(arrivals.at.values()) - min(arrivals.at.values())
    # 80 of the 600 are the bucket's at the start; the others come 160 a second, four fifths of the rate.
    assert took > 0.9 * (600 - 80) / 160
    assert arrivals.most_within(1, bulk) <= 80 + 160 * 1.3
    assert arrivals.at.keys() == bulk | {urgent}


def test_bulk_that_hangs_at_the_provider_holds_up_no_urgent_message(
    make_app: Callable[..., App], arrivals: Arrivals
) -> None:
    go_on = threading.Event()
    app = make_app()
    bulk = publish_bulk(app, 60)

    def hang(message: OutgoingMessage) -> None:
        if message.notification_id in bulk:
            go_on.wait(60)

    arrivals.answer = hang
    with working(app, threads=16) as [worker], let_go(go_on):
        # 14 of the threads hang. Up to 14 more messages have been claimed for them, in groups; the rest waits.
        wait_for(lambda: len(arrivals.at) == 14 and worker.counts["claimed"] > 14)
        assert worker.counts["claimed"] <= 28
        for name in ("first", "second", "third"):
            posted = time.monotonic()
            urgent = publish_urgent(app, name)
            wait_for(lambda urgent=urgent: urgent in arrivals.at)
            assert arrivals.at[urgent] - posted < SOON_SECONDS
        assert len(arrivals.at) == 14 + 3
        go_on.set()
        wait_for(lambda: Hospital(app.database).statuses() == Counter(sent=63))


def test_bulk_that_may_not_be_sent_yet_is_not_claimed(make_app: Callable[..., App], arrivals: Arrivals) -> None:
    app = make_app(CARENOTIFY_TWILIO_MESSAGES_PER_SECOND="2")
    hospital = Hospital(app.database)
    publish_bulk(app, 20)
    with working(app, threads=8) as [worker]:
        wait_for(lambda: len(arrivals.at) >= 3)
        assert worker.counts["claimed"] <= len(arrivals.at) + 1
        assert hospital.statuses()["queued"] >= 20 - len(arrivals.at) - 1
    assert hospital.statuses()["sending"] == 0


def test_a_worker_that_waits_for_its_turn_does_not_spin(make_app: Callable[..., App], arrivals: Arrivals) -> None:
    app = make_app(CARENOTIFY_TWILIO_MESSAGES_PER_SECOND="1")
    publish_bulk(app, 10)
    pace = app.pace(Channel.SMS)
    asked: list[float] = []
    lease = pace.lease
    pace.lease = lambda **wanted: (asked.append(time.monotonic()), lease(**wanted))[1]  # type: ignore[method-assign]
    app.__dict__["pace"] = lambda _: pace
    with working(app, threads=8):
        wait_for(lambda: len(arrivals.at) == 4)
    assert len(asked) <= 3 * len(arrivals.at)


def test_what_is_not_sent_costs_nothing_of_the_rate(make_app: Callable[..., App], arrivals: Arrivals) -> None:
    app = make_app(CARENOTIFY_TWILIO_MESSAGES_PER_SECOND="10")
    hospital = Hospital(app.database)
    publish_bulk(app, 60)
    hospital.query("UPDATE appointments SET content_hash = 'other' WHERE id <> 'a59' RETURNING 1")
    began = time.monotonic()
    with working(app, threads=8):
        wait_for(lambda: hospital.statuses() == Counter(superseded=59, sent=1))
    # 60 messages would have taken 7 seconds.
    assert time.monotonic() - began < 4


def test_what_one_worker_is_told_to_slow_down_for_the_others_heed(
    make_app: Callable[..., App], arrivals: Arrivals, clock: SetClock
) -> None:
    apps = [make_app(CARENOTIFY_TWILIO_MESSAGES_PER_SECOND="20") for _ in range(2)]
    hospital = Hospital(apps[0].database)
    publish_bulk(apps[0], 60)
    throttled_at: list[float] = []

    def throttle_once(_: OutgoingMessage) -> DeliveryError | None:
        with arrivals.guard:
            if throttled_at:
                return None
            throttled_at.append(time.monotonic())
        return ThrottledError("20429", retry_after=timedelta(seconds=2))

    arrivals.answer = throttle_once
    with working(*apps, threads=8):
        wait_for(lambda: hospital.statuses()["sent"] >= 20)
    after = sorted(at - throttled_at[0] for at in arrivals.at.values())
    # What was claimed already goes; then there is silence for as long as was asked.
    longest = max(later - earlier for earlier, later in pairwise(after))
    assert longest > 1.5


def test_without_a_rate_the_database_is_not_asked(make_app: Callable[..., App], arrivals: Arrivals) -> None:
    app = make_app()
    publish_bulk(app, 50)
    with working(app, threads=8):
        wait_for(lambda: len(arrivals.at) == 50)
    assert Hospital(app.database).query("SELECT count(*) FROM provider_rates") == [(0,)]
