"""A worker for urgent messages only, beside one that takes everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import pytest

from carenotify.app import App
from carenotify.domain.notification import Channel, Lane
from carenotify.worker.channel_worker import ChannelWorker
from tests.integration.ward import Hospital, wait_for

TODAY = date(2026, 11, 24)


@pytest.fixture
def hospital(broker_app: App) -> Hospital:
    return Hospital(broker_app.database)


@contextmanager
def working(app: App, *, urgent_only: bool) -> Iterator[ChannelWorker]:
    worker = ChannelWorker(
        channel=Channel.SMS, deliverer=app.deliverer, connect=app.consumer, threads=2, urgent_only=urgent_only
    )
    worker.start()
    wait_for(lambda: worker.connected)
    yield worker
    worker.drain()


def publish(app: App, hospital: Hospital, lane: Lane, *, first: int, patients: int) -> None:
    for number in range(first, first + patients):
        hospital.add_patient(f"p{number}", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}")
    app.reminder_planner.plan(TODAY)
    hospital.query("UPDATE notifications SET lane = %s WHERE status = 'pending' RETURNING 1", lane)
    assert app.due_publisher.publish_due(lane).confirmed == patients


def test_it_is_given_what_is_urgent_before_the_others_and_nothing_else(broker_app: App, hospital: Hospital) -> None:
    with working(broker_app, urgent_only=False) as everything, working(broker_app, urgent_only=True) as urgent:
        publish(broker_app, hospital, Lane.HIGH, first=0, patients=10)
        publish(broker_app, hospital, Lane.LOW, first=10, patients=5)
        wait_for(lambda: hospital.statuses() == Counter(sent=15))
        wait_for(lambda: (urgent.counts["sent"], everything.counts["sent"]) == (10, 5))


def test_when_it_is_gone_the_others_take_its_part(broker_app: App, hospital: Hospital) -> None:
    with working(broker_app, urgent_only=False) as everything:
        with working(broker_app, urgent_only=True):
            pass
        publish(broker_app, hospital, Lane.HIGH, first=0, patients=5)
        wait_for(lambda: everything.counts["sent"] == 5)
    assert hospital.statuses() == Counter(sent=5)
