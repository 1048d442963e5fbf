"""What the broker gives up ends in the table once, or is due again; nothing of it can go round in circles."""

from __future__ import annotations

import struct
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import orjson
import pika
import pytest

from carenotify.app import App
from carenotify.domain.notification import Channel, Lane
from carenotify.errors import BrokerError, DatabaseUnavailableError
from carenotify.journeys import drain_dead_letters
from carenotify.messaging import topology
from carenotify.messaging.address import blocking_channel
from carenotify.messaging.dead_letters import KEPT_BYTES
from carenotify.messaging.envelope import Envelope
from carenotify.storage.database import Database
from carenotify.worker.channel_worker import ChannelWorker
from tests.integration.ward import NOON, Hospital, ScriptedProvider, SetClock, wait_for

TODAY = date(2026, 11, 24)
UNKNOWN = {"schema": 1, "notification_id": str(uuid4()), "channel": "sms", "attempt": 1, "created_at": "2026-11-24"}
GARBAGE = {
    "no JSON": b"not an envelope",
    "nothing at all": b"",
    "another encoding": '{"schema": 1, "notification_id": "\N{LATIN SMALL LETTER U WITH DIAERESIS}"}'.encode("utf-16"),
    "another schema": orjson.dumps(UNKNOWN | {"schema": "Anna Schmidt +4915112345678"}),
    "no id": orjson.dumps({"schema": 1, "notification_id": 7}),
    "a list": b"[1, 2]",
    "megabytes": b"\xff" * 3_000_000,
    "depth without end": b"[" * 100_000,
}


@pytest.fixture
def hospital(broker_app: App) -> Hospital:
    return Hospital(broker_app.database)


@pytest.fixture
def url(broker_app: App) -> str:
    topology.declare(broker_app.relay.broker_url)
    return broker_app.relay.broker_url


@contextmanager
def at_work(app: App, *channels: Channel) -> Iterator[list[ChannelWorker]]:
    workers = [
        ChannelWorker(channel=channel, deliverer=app.deliverer, connect=app.consumer, threads=2) for channel in channels
    ]
    for worker in workers:
        worker.start()
    try:
        wait_for(lambda: all(worker.connected for worker in workers))
        yield workers
    finally:
        for worker in workers:
            worker.drain()


@pytest.fixture
def workers(broker_app: App, url: str) -> Iterator[list[ChannelWorker]]:
    with at_work(broker_app, *Channel) as workers:
        yield workers


def put(url: str, queue: str, body: bytes, headers: Mapping[str, Any] | None = None) -> None:
    with blocking_channel(url) as channel:
        channel.confirm_delivery()
        properties = pika.BasicProperties(headers=dict(headers or {}), delivery_mode=2)
        exchange = "" if queue == topology.FAILED_QUEUE else topology.EXCHANGE
        channel.basic_publish(exchange, queue, body, properties, mandatory=True)


def failed_messages(url: str) -> int:
    with blocking_channel(url) as channel:
        return int(channel.queue_declare(topology.FAILED_QUEUE, passive=True).method.message_count)


def letters(hospital: Hospital) -> list[tuple[Any, ...]]:
    return hospital.query("SELECT source, reason, code, queue, attempts, resolution FROM dead_letters ORDER BY id")


def plan(app: App, hospital: Hospital, patients: int = 1) -> list[UUID]:
    for number in range(patients):
        hospital.add_patient(f"p{number}", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}")
    app.reminder_planner.plan(TODAY)
    return [row[0] for row in hospital.query("SELECT id FROM notifications ORDER BY id")]


def opened(app: App, hospital: Hospital) -> list[bytes]:
    sealed = [row[0] for row in hospital.query("SELECT sealed_message FROM dead_letters ORDER BY id")]
    return [b64decode(app.sealer.open(each)["beginning"]) for each in sealed]


# --- what is no message of ours --------------------------------------------------------------


def test_garbage_on_every_lane_ends_in_the_table_once_and_every_queue_is_empty(
    broker_app: App, hospital: Hospital, url: str, workers: list[ChannelWorker], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        for queue in topology.lane_queues():
            for body in GARBAGE.values():
                put(url, queue, body)
    expected = len(topology.lane_queues()) * len(GARBAGE)
    wait_for(lambda: failed_messages(url) == 2 * expected, seconds=60)
    assert broker_app.dead_letter_drain.drain()["not_an_envelope"] >= expected
    found = letters(hospital)
    assert Counter(row[3] for row in found) == dict.fromkeys(topology.lane_queues(), len(GARBAGE))
    assert {row[:3] for row in found} == {("broker", "not_an_envelope", "rejected")}
    assert {row[4] for row in found} == {2}
    assert {row[5] for row in found} == {None}
    assert failed_messages(url) == 0
    assert set(topology.ready_counts(url).values()) == {0}
    assert set(opened(broker_app, hospital)) == {body[:KEPT_BYTES] for body in GARBAGE.values()}
    for personal in ("Schmidt", "4915112345678"):
        assert personal not in caplog.text


def test_what_was_kept_of_a_broken_message_is_sealed(broker_app: App, hospital: Hospital, url: str) -> None:
    put(url, topology.FAILED_QUEUE, b"Anna Schmidt")
    broker_app.dead_letter_drain.drain()
    [(sealed,)] = hospital.query("SELECT sealed_message FROM dead_letters")
    assert b"Anna" not in bytes(sealed)
    assert opened(broker_app, hospital) == [b"Anna Schmidt"]
    assert letters(hospital) == [("broker", "not_an_envelope", None, None, 1, None)]


def test_an_envelope_of_a_notification_that_nobody_knows_is_a_dead_letter(
    broker_app: App, hospital: Hospital, url: str
) -> None:
    put(url, topology.FAILED_QUEUE, orjson.dumps(UNKNOWN))
    assert broker_app.dead_letter_drain.drain() == Counter(unknown_notification=1)
    assert hospital.query("SELECT notification_id, resolved_at FROM dead_letters") == [
        (UUID(UNKNOWN["notification_id"]), None)
    ]


def test_one_on_a_lane_is_a_dead_letter_too_however_often_it_comes(
    broker_app: App, hospital: Hospital, url: str, workers: list[ChannelWorker]
) -> None:
    """As after a restored backup: the broker knows what the database has forgotten."""
    plan(broker_app, hospital)
    for _ in range(2):
        put(url, "sms.low", orjson.dumps(UNKNOWN))
    broker_app.due_publisher.publish_due(Lane.LOW)
    wait_for(lambda: [row[4] for row in letters(hospital)] == [2])
    assert hospital.query("SELECT source, reason, notification_id, resolved_at FROM dead_letters") == [
        ("broker", "unknown_notification", UUID(UNKNOWN["notification_id"]), None)
    ]
    wait_for(lambda: hospital.statuses() == Counter(sent=1))
    assert set(topology.ready_counts(url).values()) == {0}


def test_what_was_discarded_and_comes_again_is_open_again(broker_app: App, hospital: Hospital, url: str) -> None:
    put(url, topology.FAILED_QUEUE, b"x")
    broker_app.dead_letter_drain.drain()
    hospital.query(
        "UPDATE dead_letters SET resolved_at = now(), resolution = 'discarded', resolved_by = 'me' RETURNING 1"
    )
    put(url, topology.FAILED_QUEUE, b"x")
    broker_app.dead_letter_drain.drain()
    assert hospital.query("SELECT attempts, resolved_at, resolution, resolved_by FROM dead_letters") == [
        (2, None, None, None)
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"x-death": "made up"},
        {"x-death": []},
        {"x-death": [{"queue": "sms.\0low", "reason": "Anna Schmidt"}]},
        {"x-death": [{"queue": "a\nb", "reason": ["rejected"]}]},
    ],
    ids=str,
)
def test_headers_that_somebody_made_up_do_no_harm(
    broker_app: App, hospital: Hospital, url: str, workers: list[ChannelWorker], headers: dict[str, Any]
) -> None:
    put(url, topology.FAILED_QUEUE, b"straight", headers)
    put(url, "sms.low", b"by a lane", headers)
    wait_for(lambda: failed_messages(url) == 2)
    broker_app.dead_letter_drain.drain()
    assert Counter(row[3] for row in letters(hospital)) == {None: 1, "sms.low": 1}
    assert failed_messages(url) == 0


@contextmanager
def publishing_unreadable_headers(monkeypatch: pytest.MonkeyPatch, field: bytes) -> Iterator[None]:
    """pika itself refuses to write what it could not read; other clients do write it."""

    def encode(pieces: list[bytes], _: object) -> int:
        table = b"\x01a" + field
        pieces.append(struct.pack(">I", len(table)) + table)
        return len(table) + 4

    with monkeypatch.context() as patch:
        patch.setattr("pika.data.encode_table", encode)
        yield


def _nested(depth: int) -> bytes:
    field = b"V"
    for _ in range(depth):
        field = b"A" + struct.pack(">I", len(field)) + field
    return field


@pytest.mark.parametrize(
    "field", [b"T" + struct.pack(">Q", 2**60), _nested(3000)], ids=["a time beyond all years", "tables without end"]
)
def test_headers_that_pika_cannot_read_end_neither_the_worker_nor_the_drain(
    broker_app: App,
    hospital: Hospital,
    url: str,
    workers: list[ChannelWorker],
    monkeypatch: pytest.MonkeyPatch,
    field: bytes,
) -> None:
    parameters = pika.URLParameters(url)
    with pika.BlockingConnection(parameters) as connection:
        channel = connection.channel()
        with publishing_unreadable_headers(monkeypatch, field):
            for exchange, queue in ((topology.EXCHANGE, "sms.low"), ("", topology.FAILED_QUEUE)):
                channel.basic_publish(exchange, queue, b"x", pika.BasicProperties(headers={"a": 1}))
    wait_for(lambda: failed_messages(url) == 2)
    broker_app.dead_letter_drain.drain()
    # Nobody can tell by which queue they came, so they are one.
    assert letters(hospital) == [("broker", "not_an_envelope", None, None, 2, None)]
    assert failed_messages(url) == 0
    assert set(topology.ready_counts(url).values()) == {0}


# --- what still can be sent ------------------------------------------------------------------


def test_a_message_that_waited_too_long_is_due_again_and_is_sent_once(
    broker_app: App,
    hospital: Hospital,
    broker_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(topology.LANE_ARGUMENTS, "x-message-ttl", 50)
    topology.declare(broker_url)
    ids = plan(broker_app, hospital, patients=3)
    broker_app.due_publisher.publish_due(Lane.LOW)
    wait_for(lambda: failed_messages(broker_url) == 3)
    assert hospital.statuses() == Counter(queued=3)
    assert broker_app.dead_letter_drain.drain() == Counter(due_again=3)
    assert hospital.statuses() == Counter(pending=3)
    assert letters(hospital) == [("broker", "returned_by_broker", "expired", "sms.low", 0, "due_again")] * 3
    with blocking_channel(broker_url) as channel:
        for queue in topology.lane_queues():
            channel.queue_delete(queue)
    monkeypatch.undo()
    with at_work(broker_app, Channel.SMS):
        broker_app.due_publisher.publish_due(Lane.LOW)
        wait_for(lambda: hospital.statuses() == Counter(sent=3))
    (provider,) = broker_app.providers[Channel.SMS]
    assert isinstance(provider, ScriptedProvider)
    assert provider.times == Counter(ids)


def test_a_message_that_was_delivered_too_often_is_due_again(
    broker_app: App, hospital: Hospital, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when its worker dies each time that it takes it."""
    monkeypatch.setitem(topology.LANE_ARGUMENTS, "x-delivery-limit", 2)
    topology.declare(broker_url)
    plan(broker_app, hospital)
    broker_app.due_publisher.publish_due(Lane.LOW)

    def taken_and_gone() -> bool:
        with blocking_channel(broker_url) as channel:
            channel.basic_get("sms.low")
        return failed_messages(broker_url) == 1

    wait_for(taken_and_gone)
    assert broker_app.dead_letter_drain.drain() == Counter(due_again=1)
    assert hospital.statuses() == Counter(pending=1)
    assert [row[2] for row in letters(hospital)] == ["delivery_limit"]


def returned(app: App, identity: UUID) -> None:
    """Publish what is due, and let the broker give that message up."""
    app.due_publisher.publish_due(Lane.LOW)
    with blocking_channel(app.relay.broker_url) as channel:
        method, _, body = channel.basic_get("sms.low")
        assert method is not None
        assert str(identity).encode() in body
        channel.basic_reject(method.delivery_tag, requeue=False)
    wait_for(lambda: failed_messages(app.relay.broker_url) == 1)


def test_what_comes_back_again_and_again_fails_and_is_for_a_person(
    broker_app: App, hospital: Hospital, url: str, clock: SetClock
) -> None:
    (identity,) = plan(broker_app, hospital)
    for _ in range(2):
        returned(broker_app, identity)
        assert broker_app.dead_letter_drain.drain() == Counter(due_again=1)
        clock.advance(seconds=1)
    returned(broker_app, identity)
    assert broker_app.dead_letter_drain.drain() == Counter(returned_by_broker=1)
    assert hospital.query("SELECT status, reason, finished_at FROM notifications") == [
        ("failed", "returned_by_broker", clock.now)
    ]
    assert [row[5] for row in letters(hospital)] == ["due_again", "due_again", None]


def test_a_message_whose_publisher_has_not_marked_it_yet_is_due_again(
    broker_app: App, hospital: Hospital, url: str, clock: SetClock
) -> None:
    (identity,) = plan(broker_app, hospital)
    hospital.query("UPDATE notifications SET publish_until = %s RETURNING 1", clock.now)
    put(url, topology.FAILED_QUEUE, Envelope(identity, "reminder", Channel.SMS, Lane.LOW, 1, NOON).encode())
    broker_app.dead_letter_drain.drain()
    assert hospital.query("SELECT status, publish_until FROM notifications") == [("pending", None)]


@pytest.mark.parametrize("status", ["sending", "sent", "failed", "expired", "superseded"])
def test_a_message_whose_notification_is_being_sent_or_over_has_served_its_purpose(
    broker_app: App, hospital: Hospital, url: str, status: str
) -> None:
    (identity,) = plan(broker_app, hospital)
    hospital.query("UPDATE notifications SET status = %s RETURNING 1", status)
    put(url, topology.FAILED_QUEUE, Envelope(identity, "reminder", Channel.SMS, Lane.LOW, 1, NOON).encode())
    assert broker_app.dead_letter_drain.drain() == Counter()
    assert hospital.statuses() == {status: 1}
    assert letters(hospital) == []
    assert failed_messages(url) == 0


# --- commits and acknowledgements ------------------------------------------------------------


class _AwayDatabase(Database):
    """A server that goes away in the middle."""

    def transaction(self, **_: Any) -> Any:
        raise DatabaseUnavailableError("away")


def test_nothing_is_acknowledged_that_is_not_committed(broker_app: App, hospital: Hospital, url: str) -> None:
    put(url, topology.FAILED_QUEUE, b"x")
    away = _AwayDatabase("postgresql://nowhere/none", sealer=broker_app.sealer)
    drain = drain_dead_letters.DeadLetterDrain(away, broker_app.failed_queue, broker_app.clock)
    for _ in range(2):
        with pytest.raises(DatabaseUnavailableError):
            drain.drain()
    wait_for(lambda: failed_messages(url) == 1)
    assert broker_app.dead_letter_drain.drain() == Counter(not_an_envelope=1)
    assert failed_messages(url) == 0


def test_an_acknowledgement_that_is_lost_changes_nothing_but_a_count(
    broker_app: App, hospital: Hospital, url: str
) -> None:
    (identity,) = plan(broker_app, hospital)
    message = Envelope(identity, "reminder", Channel.SMS, Lane.LOW, 1, NOON).encode()
    for _ in range(4):
        hospital.query("UPDATE notifications SET status = 'queued' RETURNING 1")
        put(url, topology.FAILED_QUEUE, message)
        broker_app.dead_letter_drain.drain()
    assert letters(hospital) == [("broker", "returned_by_broker", None, None, 0, "due_again")]


def test_more_than_a_batch_is_drained_at_once(
    broker_app: App, hospital: Hospital, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain_dead_letters, "_BATCH", 10)
    with blocking_channel(url) as channel:
        channel.confirm_delivery()
        for number in range(35):
            channel.basic_publish("", topology.FAILED_QUEUE, str(number).encode())
    assert broker_app.dead_letter_drain.drain() == Counter(not_an_envelope=35)
    assert failed_messages(url) == 0


def test_without_a_broker_it_says_so_and_names_no_password(app: App) -> None:
    with pytest.raises(BrokerError) as caught:
        app.dead_letter_drain.drain()
    assert "cannot be read" in str(caught.value)
