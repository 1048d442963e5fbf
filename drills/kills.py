"""Drills in which a worker, the broker or the database is killed while messages are on their way."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import urlsplit

from carenotify.messaging.topology import FAILED_QUEUE, lane_queues
from drills.private_server import DrillError
from drills.ward import THREADS, WORKERS, Ward

_LATENCY_MS = 200
_HELD_MS = 3000
# One kill in four is between the provider's accept and our record, whatever chance does.
_FORCED_EVERY = 4
_DOWN_SECONDS = (1.0, 5.0)
_PAUSE_SECONDS = (3.0, 10.0)
_SECONDS_EACH = 12.0


def worker_killed(ward: Ward) -> None:
    """SIGKILL at random instants of the sending, some of them between the provider's accept and our record."""
    ward.sandbox.set(latency_ms=_LATENCY_MS)
    ward.plan(publish=True)
    ward.start()
    last = int(0.9 * ward.size.messages)
    for number, instant in enumerate(sorted(ward.random.sample(range(1, last), ward.size.rounds))):
        ward.wait_for_received(instant)
        if number % _FORCED_EVERY == 0:
            _hold_answers(ward)
        ward.kill_worker(ward.random.randrange(WORKERS))
        ward.sandbox.set(answer_delay_ms=0)
    ward.wait_until_done()
    if not ward.sandbox.unanswered():
        raise DrillError("no kill fell between the provider's accept and our record")


def _hold_answers(ward: Ward) -> None:
    """Come back when the provider has taken messages of every worker and has answered none of them."""
    before = ward.sandbox.received()
    ward.sandbox.set(answer_delay_ms=_HELD_MS)
    ward.wait_for_received(before + (WORKERS - 1) * 2 * THREADS + 1)


def broker_killed(ward: Ward) -> None:
    """The broker is killed and started again while messages come due, are published and consumed."""
    _start_workers(ward)
    ward.plan(over_seconds=_SECONDS_EACH * ward.size.rounds)
    for number in range(ward.size.rounds):
        ward.wait_for_share(_moment(ward, number))
        _kill_broker(ward)


def _start_workers(ward: Ward) -> None:
    """Before anything comes due, so that it does while the fault is on, however slowly they start."""
    ward.start()
    ward.wait_for(lambda: _queues_are_on_disk(ward), "the workers have declared their queues")


def _moment(ward: Ward, number: int) -> float:
    """When fault `number` strikes, as a share of the messages: each at random within a part of its own."""
    return 0.1 + 0.8 * (number + ward.random.random()) / ward.size.rounds


def _kill_broker(ward: Ward) -> None:
    ward.broker.tell("kill")
    down = ward.random.uniform(*_DOWN_SECONDS)
    time.sleep(down)
    ward.broker.tell("start")
    ward.note_recovery()
    ward.tell(f"broker killed, started again after {down:.1f} s; deliveries go on")


def _queues_are_on_disk(ward: Ward) -> bool:
    """RabbitMQ 3.10 writes the names of new quorum queues down a second later.

    A kill before that leaves them without a leader, for good; what becomes of us then is another test's.
    """
    virtual_host = urlsplit(ward.app.settings.broker_url.get_secret_value()).path[1:]
    names = b"".join(file.read_bytes() for file in Path(ward.broker.address["folder"]).rglob("names.dets"))
    return all(f"{virtual_host}_{queue}".encode() in names for queue in (*lane_queues(), FAILED_QUEUE))


def postgres_killed(ward: Ward) -> None:
    """PostgreSQL is ended at once, without a checkpoint, and started again while messages are claimed and recorded."""
    _start_workers(ward)
    ward.plan(over_seconds=_SECONDS_EACH * ward.size.rounds)
    for number in range(ward.size.rounds):
        ward.wait_for_share(_moment(ward, number))
        _kill_postgres(ward)


def _kill_postgres(ward: Ward) -> None:
    ward.database.tell("kill")
    down = ward.random.uniform(*_DOWN_SECONDS)
    time.sleep(down)
    ward.database.tell("start")
    claimed = ward.note_claims()
    ward.note_recovery()
    ward.tell(f"PostgreSQL killed, {claimed} messages claimed; started again after {down:.1f} s; deliveries go on")


def all_at_random(ward: Ward) -> None:
    """Workers, broker and database, one after the other as chance wills, while messages come due."""
    ward.sandbox.set(latency_ms=_LATENCY_MS)
    _start_workers(ward)
    ward.plan(over_seconds=ward.size.seconds)
    end = time.monotonic() + ward.size.seconds
    while time.monotonic() < end:
        time.sleep(ward.random.uniform(*_PAUSE_SECONDS))
        ward.random.choice((_kill_any_worker, _kill_broker, _kill_postgres))(ward)


def _kill_any_worker(ward: Ward) -> None:
    ward.kill_worker(ward.random.randrange(WORKERS))
