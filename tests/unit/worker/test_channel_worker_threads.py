"""What the worker's threads do when things come in an order that real servers rarely show."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from carenotify.domain.delivery import Attempt, Outcome, accepted
from carenotify.domain.notification import Channel, Lane
from carenotify.domain.patient import Patient
from carenotify.errors import DatabaseUnavailableError, DecryptionError, StorageError
from carenotify.messaging.consumer import Delivery
from carenotify.storage.claims import Claim
from carenotify.worker import __main__ as process
from carenotify.worker import channel_worker
from carenotify.worker.channel_worker import ChannelWorker
from tests.integration.ward import wait_for

NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)


class PaperConsumer:
    """Keeps what was acknowledged."""

    connected = True

    def __init__(
        self, queues: Sequence[str], *, prefetch: int, deliver: Callable[[Delivery], None], priority: int
    ) -> None:
        self.queues = queues
        self.prefetch = prefetch
        self.priority = priority
        self.deliver = deliver
        self.acked: list[int] = []
        self.wanted: list[bool] = []

    def start(self) -> None: ...

    def close(self) -> None: ...

    def consume(self, wanted: bool) -> None:
        self.wanted.append(wanted)

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        self.acked.extend(delivery.tag for delivery in deliveries)


class PaperDeliverer:
    """Claims whatever it is asked for; sends and records as the test says."""

    def __init__(self) -> None:
        self.claim_errors: list[StorageError] = []
        self.record_errors: list[StorageError] = []
        self.recorded: list[Outcome] = []
        self.sending: Callable[[Claim], None] = lambda _: None

    def claim(self, ids: Sequence[UUID]) -> tuple[list[Claim], Counter[str]]:
        if self.claim_errors:
            raise self.claim_errors.pop()
        token = uuid4()
        return [_claim(one, token) for one in ids], Counter()

    def send(self, claim: Claim) -> Outcome:
        self.sending(claim)
        return accepted(Attempt(claim.notification_id, claim.token, claim.attempt), "id", to="+491510000000")

    def record(self, outcomes: Sequence[Outcome]) -> int:
        if self.record_errors:
            raise self.record_errors.pop()
        self.recorded.extend(outcomes)
        return 0


def _claim(notification_id: UUID, token: UUID) -> Claim:
    until = NOW + timedelta(seconds=30)
    patient = Patient("anna", None, None)
    return Claim(
        notification_id, token, until, NOW, until, "reminder", Channel.SMS, Lane.LOW, 1, patient, frozenset(), 1, {}
    )


@contextmanager
def at_work(
    deliverer: PaperDeliverer, *, held: dict[Any, Any] | None = None, **options: Any
) -> Iterator[PaperConsumer]:
    made: list[PaperConsumer] = []

    def connect(queues: Sequence[str], **options: Any) -> PaperConsumer:
        made.append(PaperConsumer(queues, **options))
        return made[-1]

    worker = ChannelWorker(
        channel=Channel.SMS,
        deliverer=deliverer,  # type: ignore[arg-type]
        connect=connect,  # type: ignore[arg-type]
        **{"threads": 3, **options},
    )
    if held is not None:
        worker._held = held
    worker.start()
    yield made[0]
    worker.drain()


@pytest.fixture(autouse=True)
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_worker, "_DATABASE_PAUSE_SECONDS", 0.01)


@pytest.fixture
def deliverer() -> PaperDeliverer:
    return PaperDeliverer()


def message(tag: int, notification: int) -> Delivery:
    return Delivery(UUID(int=notification), "sms.low", tag, 1)


def test_what_was_delivered_is_acknowledged_once_it_is_recorded(deliverer: PaperDeliverer) -> None:
    with at_work(deliverer) as consumer:
        for tag in range(1, 6):
            consumer.deliver(message(tag, tag))
        wait_for(lambda: sorted(consumer.acked) == [1, 2, 3, 4, 5])
    assert len(deliverer.recorded) == 5


def test_a_message_that_came_again_while_its_first_send_hangs_stops_nobody(deliverer: PaperDeliverer) -> None:
    """As after a long standstill of the machine: the claim ran out, another was made, and then the first one ends."""
    go_on, hanging = threading.Event(), threading.Event()

    def hang_the_first(_: Claim) -> None:
        if not hanging.is_set():
            hanging.set()
            go_on.wait(20)

    deliverer.sending = hang_the_first
    with at_work(deliverer) as consumer:
        consumer.deliver(message(1, 7))
        assert hanging.wait(20)
        consumer.deliver(message(2, 7))
        wait_for(lambda: consumer.acked == [2])
        go_on.set()
        wait_for(lambda: consumer.acked == [2, 1])
        consumer.deliver(message(3, 8))
        wait_for(lambda: consumer.acked == [2, 1, 3])


def test_two_messages_of_one_notification_are_one_claim_and_both_are_acknowledged(deliverer: PaperDeliverer) -> None:
    with at_work(deliverer) as consumer:
        deliverer.claim_errors = [DatabaseUnavailableError("away")]
        consumer.deliver(message(1, 7))
        consumer.deliver(message(2, 7))
        wait_for(lambda: sorted(consumer.acked) == [1, 2])


@pytest.mark.parametrize("error", [DatabaseUnavailableError("away"), DecryptionError("another key")])
def test_claiming_goes_on_when_the_database_does(deliverer: PaperDeliverer, error: StorageError) -> None:
    deliverer.claim_errors = [error, error, error]
    with at_work(deliverer) as consumer:
        consumer.deliver(message(1, 1))
        wait_for(lambda: consumer.acked == [1])


def test_an_outcome_is_kept_until_the_database_has_it(deliverer: PaperDeliverer) -> None:
    deliverer.record_errors = [DatabaseUnavailableError("away")] * 3
    with at_work(deliverer) as consumer:
        consumer.deliver(message(1, 1))
        wait_for(lambda: consumer.acked == [1])
    assert [outcome.notification_id for outcome in deliverer.recorded] == [UUID(int=1)]


def test_a_bug_in_sending_ends_neither_the_thread_nor_the_worker(deliverer: PaperDeliverer) -> None:
    def break_the_first(claim: Claim) -> None:
        if claim.notification_id == UUID(int=1):
            raise ZeroDivisionError

    deliverer.sending = break_the_first
    with at_work(deliverer) as consumer:
        for tag in range(1, 9):
            consumer.deliver(message(tag, tag))
        wait_for(lambda: sorted(consumer.acked) == list(range(1, 9)))
    assert UUID(int=1) not in {outcome.notification_id for outcome in deliverer.recorded}


def test_a_surprise_before_sending_ends_neither_the_thread_nor_the_worker(
    deliverer: PaperDeliverer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Surprise(dict[Any, Any]):
        def __getitem__(self, key: tuple[UUID, UUID]) -> Any:
            if key[0] == UUID(int=1):
                raise KeyError("anna")
            return super().__getitem__(key)

    died: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda death: died.append(str(death.exc_type)))
    with at_work(deliverer, held=Surprise()) as consumer:
        for tag in range(1, 9):
            consumer.deliver(message(tag, tag))
        wait_for(lambda: died or sorted(consumer.acked) == list(range(1, 9)))
    assert died == []
    assert f"notification {UUID(int=1)} could not be sent: KeyError" in caplog.text
    assert "anna" not in caplog.text


def test_a_worker_listens_to_every_lane_of_its_channel(deliverer: PaperDeliverer) -> None:
    with at_work(deliverer) as consumer:
        assert list(consumer.queues) == ["sms.high", "sms.medium", "sms.low"]
        assert consumer.priority == 0


def test_a_worker_for_urgent_messages_listens_to_their_lane_and_is_served_first(deliverer: PaperDeliverer) -> None:
    with at_work(deliverer, urgent_only=True) as consumer:
        assert list(consumer.queues) == ["sms.high"]
        assert consumer.priority > 0


def test_a_thread_that_dies_takes_the_process_along_and_says_nothing_personal(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(process.os, "_exit", ended.append)
    monkeypatch.setattr(threading, "excepthook", process.end_with_thread)

    def die() -> None:
        raise ValueError("+4915112345678")

    dying = threading.Thread(target=die, name="sms-record")
    dying.start()
    dying.join()
    assert ended == [1]
    assert "thread sms-record died of a ValueError" in caplog.text
    assert "4915112345678" not in caplog.text


def test_a_worker_that_is_being_drained_is_not_opened_again_by_a_late_valve(deliverer: PaperDeliverer) -> None:
    consumer = PaperConsumer([], prefetch=1, deliver=lambda _: None, priority=0)
    worker = ChannelWorker(
        channel=Channel.SMS,
        deliverer=deliverer,  # type: ignore[arg-type]
        connect=lambda *_, **__: consumer,  # type: ignore[arg-type,return-value]
        threads=1,
    )
    worker.start()
    worker.consume(wanted=True)
    worker.drain()
    worker.consume(wanted=True)
    assert consumer.wanted == [True, False, False]
