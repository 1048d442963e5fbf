"""From rows to queues: each due row once, none that may not go, and nothing lost when the broker says no."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

import pytest

from carenotify.app import App
from carenotify.domain.notification import Channel, Lane
from carenotify.errors import BrokerError
from carenotify.journeys.publish_due import DuePublisher, Published
from carenotify.messaging import topology
from carenotify.messaging.envelope import Envelope
from carenotify.storage import outbox, pauses
from tests.integration.ward import NOON, Hospital, SetClock

TODAY = date(2026, 11, 24)


class PaperBroker:
    """Confirms what it is told to, and keeps the order in which it was asked."""

    def __init__(self, *, confirms: bool = True, away: bool = False) -> None:
        self.confirms = confirms
        self.away = away
        self.asked: list[Envelope] = []
        self.silent: set[str] = set()

    def silent_queues(self) -> set[str]:
        return self.silent

    def publish(self, envelopes: Sequence[Envelope]) -> set[UUID]:
        if self.away:
            raise BrokerError("away")
        self.asked.extend(envelopes)
        return {envelope.notification_id for envelope in envelopes} if self.confirms else set()


def publisher(app: App, broker: PaperBroker, *, batch: int = 10) -> DuePublisher:
    return replace(app.due_publisher, publisher=broker, batch=batch)  # type: ignore[arg-type]


def add_reminders(app: App, hospital: Hospital, patients: int) -> None:
    for number in range(patients):
        hospital.add_patient(f"p{number}", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}")
    app.reminder_planner.plan(TODAY)


def leases(hospital: Hospital) -> int:
    return int(hospital.query("SELECT count(*) FROM notifications WHERE publish_until IS NOT NULL")[0][0])


@pytest.mark.parametrize("patients", [0, 1, 9, 10, 11, 35])
def test_everything_that_is_due_is_published_once_whatever_the_batch(
    app: App, hospital: Hospital, patients: int
) -> None:
    add_reminders(app, hospital, patients)
    broker = PaperBroker()
    assert publisher(app, broker).publish_due(Lane.LOW) == Published(patients, 0)
    assert len({envelope.notification_id for envelope in broker.asked}) == len(broker.asked) == patients
    assert hospital.statuses() == Counter(queued=patients)
    assert leases(hospital) == 0


def test_a_message_asks_for_the_attempt_that_comes_next(app: App, hospital: Hospital) -> None:
    add_reminders(app, hospital, 1)
    hospital.query("UPDATE notifications SET attempts = 2 RETURNING 1")
    broker = PaperBroker()
    publisher(app, broker).publish_due(Lane.LOW)
    assert [(one.attempt, one.kind, one.channel, one.lane) for one in broker.asked] == [
        (3, "reminder", Channel.SMS, Lane.LOW)
    ]


@pytest.mark.parametrize(
    "changed",
    [
        "due_at = '2026-11-24 08:31Z'",
        "expires_at = '2026-11-24 08:30Z'",
        "lane = 'high'",
        "status = 'superseded'",
        "status = 'sending'",
        "status = 'queued'",
        "publish_until = '2026-11-24 08:30:01Z'",
    ],
)
def test_what_may_not_go_now_stays_where_it_is(app: App, hospital: Hospital, changed: str) -> None:
    add_reminders(app, hospital, 2)
    hospital.query(f"UPDATE notifications SET {changed} WHERE patient_id = 'p0' RETURNING 1")
    broker = PaperBroker()
    assert publisher(app, broker).publish_due(Lane.LOW) == Published(1, 0)
    assert len(broker.asked) == 1


def test_a_range_is_published_and_nothing_outside_it(app: App, hospital: Hospital) -> None:
    object.__setattr__(app.settings, "publish_batch", 4)
    add_reminders(app, hospital, 10)
    batches = app.reminder_planner.plan(TODAY).batches
    broker = PaperBroker()
    assert publisher(app, broker).publish_due(Lane.LOW, within=batches[1][0]) == Published(4, 0)
    assert {one.notification_id for one in broker.asked} == {
        row[0]
        for row in hospital.query(
            "SELECT id FROM notifications WHERE id BETWEEN %s AND %s", batches[1][0].first, batches[1][0].last
        )
    }


@pytest.mark.parametrize("channel", [None, Channel.SMS])
def test_a_paused_channel_is_not_published(app: App, hospital: Hospital, channel: Channel | None) -> None:
    add_reminders(app, hospital, 1)
    with app.database.transaction() as transaction:
        pauses.pause(transaction, channel, by="a test", now=NOON)
    assert publisher(app, PaperBroker()).publish_due(Lane.LOW) == Published()
    with app.database.transaction() as transaction:
        pauses.resume(transaction, channel)
    assert publisher(app, PaperBroker()).publish_due(Lane.LOW) == Published(1, 0)


def test_a_broker_that_is_away_leaves_every_row_free_for_the_next_try(app: App, hospital: Hospital) -> None:
    add_reminders(app, hospital, 3)
    with pytest.raises(BrokerError):
        publisher(app, PaperBroker(away=True)).publish_due(Lane.LOW)
    assert hospital.statuses() == Counter(pending=3)
    assert leases(hospital) == 0
    assert publisher(app, PaperBroker()).publish_due(Lane.LOW) == Published(3, 0)


def test_what_was_not_confirmed_waits_out_its_lease(app: App, hospital: Hospital, clock: SetClock) -> None:
    add_reminders(app, hospital, 3)
    assert publisher(app, PaperBroker(confirms=False)).publish_due(Lane.LOW) == Published(0, 3)
    assert publisher(app, PaperBroker()).publish_due(Lane.LOW) == Published()
    clock.advance(seconds=31)
    assert publisher(app, PaperBroker()).publish_due(Lane.LOW) == Published(3, 0)


def test_whoever_lost_the_lease_marks_nothing(app: App, hospital: Hospital, clock: SetClock) -> None:
    add_reminders(app, hospital, 1)
    first, second = NOON + timedelta(seconds=30), NOON + timedelta(seconds=90)
    with app.database.transaction() as transaction:
        [row] = outbox.lease_due(transaction, lane=Lane.LOW, now=NOON, lease=first, limit=9)
    clock.advance(seconds=60)
    with app.database.transaction() as transaction:
        assert len(outbox.lease_due(transaction, lane=Lane.LOW, now=clock.now, lease=second, limit=9)) == 1
        assert outbox.mark_queued(transaction, [row.notification_id], lease=first, now=clock.now) == 0
        outbox.release(transaction, [row.notification_id], lease=first)
    assert leases(hospital) == 1


def test_a_mark_comes_too_late_for_a_row_that_a_quick_worker_has(app: App, hospital: Hospital) -> None:
    add_reminders(app, hospital, 1)

    class QuickWorker(PaperBroker):
        def publish(self, envelopes: Sequence[Envelope]) -> set[UUID]:
            app.deliverer.claim([envelope.notification_id for envelope in envelopes])
            return super().publish(envelopes)

    publisher(app, QuickWorker()).publish_due(Lane.LOW)
    assert hospital.statuses() == Counter(sending=1)


def test_several_who_publish_at_once_never_publish_the_same_row(app: App, hospital: Hospital) -> None:
    add_reminders(app, hospital, 120)
    broker = PaperBroker()
    with ThreadPoolExecutor(4) as four:
        published = [four.submit(publisher(app, broker, batch=7).publish_due, Lane.LOW) for _ in range(4)]
        assert sum((one.result() for one in published), start=Published()) == Published(120, 0)
    assert set(Counter(one.notification_id for one in broker.asked).values()) == {1}


def test_a_full_queue_keeps_the_rows_that_did_not_fit(broker_app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(topology.LANE_ARGUMENTS, "x-max-length", 5)
    hospital = Hospital(broker_app.database)
    add_reminders(broker_app, hospital, 60)
    due = replace(broker_app.due_publisher, batch=10)
    published = due.publish_due(Lane.LOW)
    assert published.unconfirmed > 0
    statuses = hospital.statuses()
    assert statuses["queued"] == published.confirmed == topology.ready_counts(broker_app.relay.broker_url)["sms.low"]
    assert statuses["pending"] == 60 - published.confirmed


def test_rows_of_a_queue_that_confirms_nothing_stay_put_and_take_nobodys_turn(app: App, hospital: Hospital) -> None:
    add_reminders(app, hospital, 3)
    broker = PaperBroker()
    broker.silent = {topology.queue_name(Channel.SMS, Lane.LOW)}
    assert publisher(app, broker).publish_due(Lane.LOW) == Published()
    assert leases(hospital) == 0
    broker.silent = {topology.queue_name(Channel.EMAIL, Lane.LOW)}
    assert publisher(app, broker).publish_due(Lane.LOW) == Published(3, 0)
