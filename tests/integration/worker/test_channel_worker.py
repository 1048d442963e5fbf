"""The whole way from due rows to the provider, on a real broker and database."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from uuid import UUID

import pytest

from carenotify.app import App
from carenotify.channels.base import OutgoingMessage
from carenotify.domain.appointment import Appointment, AppointmentStatus, Venue
from carenotify.domain.event import ChangeEvent, EventType
from carenotify.domain.notification import Channel, Lane
from carenotify.errors import (
    AddressRejectedError,
    DecryptionError,
    DeliveryError,
    MisconfiguredError,
    OptedOutError,
    TemporaryDeliveryError,
    ThrottledError,
    UnconfirmedDeliveryError,
)
from carenotify.messaging import topology
from carenotify.messaging.address import blocking_channel
from carenotify.storage import pauses
from carenotify.worker.channel_worker import ChannelWorker
from carenotify.worker.relay_loop import RelayLoop
from carenotify.worker.valve import Valve
from tests.integration.ward import NOON, Hospital, ScriptedProvider, SetClock, let_pass, wait_for

TODAY = date(2026, 11, 24)


@pytest.fixture
def hospital(broker_app: App) -> Hospital:
    return Hospital(broker_app.database)


@pytest.fixture
def sms(broker_app: App) -> ScriptedProvider:
    [provider] = broker_app.providers[Channel.SMS]
    assert isinstance(provider, ScriptedProvider)
    return provider


@pytest.fixture
def worker(broker_app: App) -> Iterator[ChannelWorker]:
    worker = ChannelWorker(channel=Channel.SMS, deliverer=broker_app.deliverer, connect=broker_app.consumer, threads=4)
    worker.start()
    yield worker
    worker.drain()


@pytest.fixture
def relay(broker_app: App, worker: ChannelWorker) -> Iterator[RelayLoop]:
    loop = RelayLoop(broker_app.relay, interval_seconds=0.05)
    loop.start()
    yield loop
    loop.stop()


@pytest.fixture
def valve(broker_app: App, worker: ChannelWorker) -> Iterator[Valve]:
    valve = Valve(database=broker_app.database, chooser=broker_app.provider_chooser, workers=[worker])
    valve.start()
    yield valve
    valve.stop()


def plan(app: App, hospital: Hospital, patients: int = 1) -> None:
    for number in range(patients):
        hospital.add_patient(f"p{number}", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}")
    app.reminder_planner.plan(TODAY)


def publish(app: App) -> None:
    app.due_publisher.publish_due(Lane.LOW)


def test_everything_that_is_due_is_sent_once(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, worker: ChannelWorker
) -> None:
    plan(broker_app, hospital, patients=300)
    published = broker_app.due_publisher.publish_due(Lane.LOW)
    assert (published.confirmed, published.unconfirmed) == (300, 0)
    wait_for(lambda: hospital.statuses() == Counter(sent=300))
    assert len(sms.times) == 300
    assert set(sms.times.values()) == {1}
    assert hospital.query("SELECT count(*), max(attempt) FROM delivery_attempts WHERE outcome = 'sent'") == [(300, 1)]
    wait_for(lambda: sum(topology.ready_counts(broker_app.relay.broker_url).values()) == 0)


def test_a_message_that_comes_twice_is_sent_once(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, worker: ChannelWorker
) -> None:
    plan(broker_app, hospital, patients=50)
    publish(broker_app)
    hospital.query("UPDATE notifications SET status = 'pending' WHERE status = 'queued' RETURNING 1")
    publish(broker_app)
    wait_for(lambda: hospital.statuses() == Counter(sent=50))
    wait_for(lambda: worker.counts["claimed"] + worker.counts["not_ours"] >= 50)
    assert set(sms.times.values()) == {1}


def test_a_temporary_failure_comes_due_again_and_then_fails(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, relay: RelayLoop, valve: Valve, clock: SetClock
) -> None:
    attempts: list[int] = []
    waits: list[timedelta] = []

    def fail(message: object) -> TemporaryDeliveryError:
        attempts.append(message.attempt)  # type: ignore[attr-defined]
        return TemporaryDeliveryError("500")

    sms.script = fail
    plan(broker_app, hospital)
    for attempt in range(1, 6):
        wait_for(lambda attempt=attempt: hospital.query("SELECT attempts FROM notifications") == [(attempt,)])
        [(due_at,)] = hospital.query("SELECT due_at FROM notifications")
        waits.append(due_at - clock.now)
        clock.now = due_at
    clock.advance(seconds=60)  # after five failures its provider rests
    let_pass(clock, lambda: hospital.statuses() == Counter(failed=1))
    assert attempts == [1, 2, 3, 4, 5, 6]
    assert waits == [timedelta(seconds=seconds) for seconds in (2, 4, 8, 16, 32)]
    assert hospital.query("SELECT status, reason, error_code FROM notifications") == [
        ("failed", "retries_spent", "500")
    ]
    assert hospital.query("SELECT reason, code, attempts FROM dead_letters") == [("retries_spent", "500", 6)]


def test_throttling_spends_no_attempt(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, relay: RelayLoop, clock: SetClock
) -> None:
    answers = [ThrottledError("20429", retry_after=timedelta(seconds=7))]
    sms.script = lambda _: answers.pop() if answers else None
    plan(broker_app, hospital)
    wait_for(lambda: hospital.query("SELECT reason FROM notifications") == [("throttled",)])
    assert hospital.query("SELECT attempts, due_at FROM notifications") == [(0, clock.now + timedelta(seconds=7))]
    clock.advance(seconds=7)
    wait_for(lambda: hospital.statuses() == Counter(sent=1))


def test_wrong_credentials_spend_no_attempt_and_spoil_nothing(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, relay: RelayLoop, valve: Valve, clock: SetClock
) -> None:
    answers = [MisconfiguredError("20003") for _ in range(8)]
    sms.script = lambda _: answers.pop() if answers else None
    plan(broker_app, hospital)
    for left in range(7, -1, -1):
        let_pass(clock, lambda left=left: len(answers) == left and hospital.statuses() == Counter(pending=1))
        assert hospital.query("SELECT attempts FROM notifications") == [(0,)]
        clock.advance(seconds=60)
    let_pass(clock, lambda: hospital.statuses() == Counter(sent=1))


def test_an_answer_that_was_lost_makes_a_possible_duplicate(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, relay: RelayLoop, clock: SetClock
) -> None:
    answers: list[DeliveryError] = [UnconfirmedDeliveryError("timeout")]
    sms.script = lambda _: answers.pop() if answers else None
    plan(broker_app, hospital)
    wait_for(lambda: hospital.query("SELECT reason, possible_duplicate FROM notifications") == [("temporary", True)])
    clock.advance(seconds=2)
    wait_for(lambda: hospital.statuses() == Counter(sent=1))
    assert hospital.query("SELECT possible_duplicate FROM notifications") == [(True,)]


def test_a_row_that_cannot_be_opened_fails_alone(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, worker: ChannelWorker
) -> None:
    plan(broker_app, hospital, patients=4)
    hospital.query("UPDATE patients SET sealed_contact = 'spoilt' WHERE id = 'p2' RETURNING 1")
    publish(broker_app)
    wait_for(lambda: hospital.statuses() == Counter(sent=3, failed=1))
    assert hospital.query("SELECT reason FROM dead_letters") == [("unreadable",)]


def test_a_spoilt_record_that_is_claimed_first_and_alone_holds_nobody_up(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, worker: ChannelWorker
) -> None:
    plan(broker_app, hospital, patients=4)
    hospital.query("UPDATE patients SET sealed_contact = 'spoilt' WHERE id = 'p2' RETURNING 1")
    later = "UPDATE notifications SET due_at = due_at + %s WHERE patient_id <> 'p2' RETURNING 1"
    hospital.query(later, timedelta(hours=1))
    publish(broker_app)
    wait_for(lambda: hospital.statuses() == Counter(pending=3, failed=1))
    hospital.query(later, timedelta(hours=-1))
    publish(broker_app)
    wait_for(lambda: hospital.statuses() == Counter(sent=3, failed=1))


def test_with_keys_that_open_nothing_no_row_is_given_up(broker_app: App, hospital: Hospital) -> None:
    plan(broker_app, hospital, patients=2)
    ids = [row[0] for row in hospital.query("SELECT id FROM notifications")]
    hospital.query("UPDATE patients SET sealed_contact = 'spoilt' RETURNING 1")
    with pytest.raises(DecryptionError):
        broker_app.deliverer.claim(ids)
    assert hospital.statuses() == Counter(pending=2)


def test_a_publisher_whose_clock_is_ahead_loses_no_time(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, clock: SetClock, worker: ChannelWorker
) -> None:
    plan(broker_app, hospital)
    publish(broker_app)
    hospital.query("UPDATE notifications SET due_at = %s RETURNING 1", clock.now + timedelta(milliseconds=20))
    wait_for(lambda: hospital.statuses() == Counter(sent=1))


def test_an_appointment_that_has_begun_does_not_silence_the_later_one(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, clock: SetClock
) -> None:
    hospital.add_patient("p0", mail=None)
    hospital.add_appointment("early", "p0", start=NOON + timedelta(minutes=5), venue="Laboratory")
    hospital.add_appointment("late", "p0", start=NOON + timedelta(hours=5), venue="Cardiology")
    broker_app.reminder_planner.plan(TODAY)
    clock.advance(minutes=6)
    [(notification_id,)] = hospital.query("SELECT id FROM notifications")
    [claim], _ = broker_app.deliverer.claim([notification_id])
    broker_app.deliverer.record([broker_app.deliverer.send(claim)])
    [message] = sms.taken
    assert "Cardiology" in message.text
    assert "Laboratory" not in message.text


def test_a_refused_address_fails_at_once(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, relay: RelayLoop
) -> None:
    sms.script = lambda _: AddressRejectedError("21211")
    plan(broker_app, hospital)
    wait_for(lambda: hospital.query("SELECT status, reason FROM notifications") == [("failed", "address_rejected")])


def test_a_person_who_said_stop_is_suppressed_for_all_who_share_the_number(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, relay: RelayLoop
) -> None:
    sms.script = lambda _: OptedOutError("21610")
    plan(broker_app, hospital)
    wait_for(lambda: hospital.statuses() == Counter(unsubscribed=1))
    hospital.add_patient("sister", mail=None)
    hospital.add_appointment("of-sister", "sister")
    assert broker_app.reminder_planner.plan(TODAY).skipped == {"opted_out": 1}


@pytest.mark.parametrize(
    ("meanwhile", "status", "reason"),
    [
        ("UPDATE appointments SET content_hash = 'other'", "superseded", "appointment_changed"),
        ("DELETE FROM appointments", "superseded", "appointment_changed"),
        ("UPDATE appointments SET start_at = '2026-11-24 08:00Z'", "expired", "appointment_past"),
        ("UPDATE notifications SET expires_at = '2026-11-24 08:30Z'", "expired", "window_closed"),
        ("UPDATE patients SET deceased = true", "suppressed", "deceased"),
        ("INSERT INTO preferences (patient_id, opted_out_channels) VALUES ('p0', '{sms}')", "suppressed", "opted_out"),
        (
            "INSERT INTO preferences (patient_id, opted_out_kinds) VALUES ('p0', '{reminder}')",
            "suppressed",
            "opted_out",
        ),
        ("UPDATE notifications SET expires_at = '2026-11-24 08:00Z'", "expired", "window_closed"),
    ],
)
def test_what_became_untrue_after_queueing_is_not_sent(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, meanwhile: str, status: str, reason: str
) -> None:
    plan(broker_app, hospital)
    publish(broker_app)
    hospital.query(f"{meanwhile} RETURNING 1")
    worker = ChannelWorker(channel=Channel.SMS, deliverer=broker_app.deliverer, connect=broker_app.consumer, threads=2)
    worker.start()
    wait_for(lambda: hospital.query("SELECT status, reason FROM notifications") == [(status, reason)])
    worker.drain()
    assert not sms.taken


def test_a_paused_channel_sends_nothing_until_it_is_resumed(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, relay: RelayLoop, valve: Valve, clock: SetClock
) -> None:
    with broker_app.database.transaction() as transaction:
        pauses.pause(transaction, Channel.SMS, by="a test", now=clock.now)
    plan(broker_app, hospital, patients=5)
    assert broker_app.relay.sweep().published.confirmed == 0
    with broker_app.database.transaction() as transaction:
        pauses.resume(transaction, None)
    wait_for(lambda: hospital.statuses() == Counter(sent=5))
    assert set(sms.times.values()) == {1}


def test_pausing_with_messages_in_the_queue_puts_them_back(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, clock: SetClock
) -> None:
    plan(broker_app, hospital, patients=5)
    publish(broker_app)
    with broker_app.database.transaction() as transaction:
        pauses.pause(transaction, None, by="a test", now=clock.now)
    worker = ChannelWorker(channel=Channel.SMS, deliverer=broker_app.deliverer, connect=broker_app.consumer, threads=2)
    worker.start()
    wait_for(lambda: hospital.statuses() == Counter(pending=5))
    worker.drain()
    assert not sms.taken


def test_an_abandoned_claim_is_sent_again_and_marked(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, relay: RelayLoop, clock: SetClock
) -> None:
    plan(broker_app, hospital)
    [(notification_id,)] = hospital.query("SELECT id FROM notifications")
    taken, _ = broker_app.deliverer.claim([notification_id])
    assert len(taken) == 1
    clock.advance(seconds=60)
    wait_for(lambda: hospital.statuses() == Counter(sent=1))
    assert hospital.query("SELECT possible_duplicate, attempts FROM notifications") == [(True, 2)]


def test_whoever_lost_the_claim_cannot_record_any_more(broker_app: App, hospital: Hospital, clock: SetClock) -> None:
    plan(broker_app, hospital)
    [(notification_id,)] = hospital.query("SELECT id FROM notifications")
    [claim], _ = broker_app.deliverer.claim([notification_id])
    outcome = broker_app.deliverer.send(claim)
    clock.advance(seconds=60)
    broker_app.relay.sweep()
    assert broker_app.deliverer.record([outcome]) == 1
    assert hospital.statuses() == Counter(queued=1)


def test_nothing_is_sent_on_a_lease_that_would_run_out_meanwhile(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, clock: SetClock
) -> None:
    plan(broker_app, hospital)
    [(notification_id,)] = hospital.query("SELECT id FROM notifications")
    [claim], _ = broker_app.deliverer.claim([notification_id])
    clock.advance(seconds=21)
    outcome = broker_app.deliverer.send(claim)
    assert broker_app.deliverer.record([outcome]) == 0
    assert not sms.taken
    rows = hospital.query("SELECT status, attempts, due_at, possible_duplicate FROM notifications")
    assert rows == [("pending", 0, clock.now, False)]


def test_what_the_broker_lost_is_queued_again(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, relay: RelayLoop, clock: SetClock, worker: ChannelWorker
) -> None:
    worker.consume(wanted=False)
    plan(broker_app, hospital, patients=3)
    hospital.query("UPDATE notifications SET status = 'queued', queued_at = %s RETURNING 1", clock.now)
    assert broker_app.relay.requeue_lost() == 0
    clock.advance(seconds=121)
    assert broker_app.relay.requeue_lost() == 3
    worker.consume(wanted=True)
    wait_for(lambda: hospital.statuses() == Counter(sent=3))


def test_a_queue_that_the_broker_lost_is_made_again_and_consumed(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, relay: RelayLoop, worker: ChannelWorker
) -> None:
    wait_for(lambda: worker.connected)
    with blocking_channel(broker_app.relay.broker_url) as channel:
        channel.queue_delete("sms.low")
    plan(broker_app, hospital, patients=3)
    wait_for(lambda: hospital.statuses() == Counter(sent=3))


def test_rows_past_their_window_expire_and_are_counted(broker_app: App, hospital: Hospital, clock: SetClock) -> None:
    plan(broker_app, hospital, patients=2)
    clock.now = NOON + timedelta(hours=3)
    assert broker_app.relay.sweep().expired == 2
    assert hospital.statuses() == Counter(expired=2)


def test_a_message_that_is_not_ours_ends_in_the_failed_queue(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, worker: ChannelWorker
) -> None:
    wait_for(lambda: worker.connected)
    with blocking_channel(broker_app.relay.broker_url) as channel:
        channel.basic_publish(topology.EXCHANGE, "sms.low", b"not an envelope")
        wait_for(lambda: channel.queue_declare("failed", passive=True).method.message_count == 1)
    plan(broker_app, hospital)
    publish(broker_app)
    wait_for(lambda: hospital.statuses() == Counter(sent=1))


def test_a_wording_that_cannot_be_made_is_a_dead_letter_and_stops_nobody_else(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, worker: ChannelWorker
) -> None:
    plan(broker_app, hospital, patients=2)
    hospital.query(
        "UPDATE notifications SET sealed_data = %s WHERE patient_id = 'p0' RETURNING 1",
        broker_app.sealer.seal({"x": 1}),
    )
    publish(broker_app)
    wait_for(lambda: hospital.statuses() == Counter(sent=1, failed=1))
    assert hospital.query("SELECT reason FROM dead_letters") == [("wording",)]


def test_draining_finishes_what_is_claimed_and_gives_the_rest_back(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider
) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(_: object) -> None:
        started.set()
        go_on.wait(20)

    sms.script = slow
    plan(broker_app, hospital, patients=100)
    publish(broker_app)
    worker = ChannelWorker(channel=Channel.SMS, deliverer=broker_app.deliverer, connect=broker_app.consumer, threads=2)
    worker.start()
    assert started.wait(20)
    draining = threading.Thread(target=worker.drain)
    draining.start()
    go_on.set()
    draining.join(20)
    assert not draining.is_alive()
    statuses = hospital.statuses()
    assert statuses["sending"] == 0
    assert statuses["sent"] == len(sms.times) < 100
    assert statuses["sent"] + statuses["queued"] == 100
    waiting = topology.ready_counts(broker_app.relay.broker_url)["sms.low"]
    assert waiting >= statuses["queued"]


def test_urgent_messages_pass_bulk_that_is_claimed_already(
    broker_app: App, hospital: Hospital, sms: ScriptedProvider, clock: SetClock
) -> None:
    go_on = threading.Semaphore(0)
    begun: list[UUID] = []

    def slow(message: OutgoingMessage) -> None:
        begun.append(message.notification_id)
        go_on.acquire(timeout=20)

    sms.script = slow
    plan(broker_app, hospital, patients=4)
    publish(broker_app)
    worker = ChannelWorker(channel=Channel.SMS, deliverer=broker_app.deliverer, connect=broker_app.consumer, threads=3)
    worker.start()
    wait_for(lambda: worker.counts["claimed"] == 4 and len(begun) == 2)
    urgent: set[UUID] = set()
    for name in ("moved", "moved-too"):
        hospital.add_patient(name, mail=None)
        new_time = Appointment(name, name, NOON + timedelta(days=1), None, Venue("Hall"), AppointmentStatus.BOOKED)
        event = ChangeEvent(name, EventType.BOOKED, clock.now, new_time)
        urgent |= set(broker_app.event_acceptor.accept(event, body={}).notification_ids)
    broker_app.due_publisher.publish_due(Lane.HIGH)
    # One goes at once, through a thread that takes no bulk; the other one as soon as any thread is free.
    wait_for(lambda: worker.counts["claimed"] == 6 and len(begun) == 3)
    go_on.release()
    wait_for(lambda: len(begun) == 4)
    assert set(begun[2:]) == urgent
    go_on.release(10)
    wait_for(lambda: hospital.statuses() == Counter(sent=6))
    worker.drain()
