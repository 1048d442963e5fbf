"""A server for as long as somebody holds its standard input.

`python -m stack.private postgres|rabbitmq|rabbitmq-cluster [--durable]` prints one JSON line with its address when it
is ready, and stops it and removes its folder when the input closes, with every process that carries the folder's
marker. So nothing is left behind even when the tests that asked for it are killed. Its folder is in memory, where a new
database takes a tenth of the time, unless it is to be durable or the memory is short.

Until then each line of the input is obeyed, and answered by a JSON line when it is done: `kill`, `start`, and for
RabbitMQ `disk-limit SIZE`, `orphan VIRTUAL-HOST QUEUE` and `elect VIRTUAL-HOST QUEUE`; with a cluster, each names a
node first.
"""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack import postgres
from stack.errors import StackError
from stack.ports import pick_free
from stack.postgres import Postgres
from stack.processes import Processes
from stack.rabbitmq import RabbitMQ, RabbitPorts

_NODES = ("a", "b", "c")
_AT_ONCE_SECONDS = 10
_MEMORY = Path("/dev/shm")  # noqa: S108  # a folder of our own in it, and only ours
_MEMINFO = Path("/proc/meminfo")
_ROOM_BYTES = 4 * 2**30  # Docker gives a container 64 MB of it
_QUEUE = '{{ok, Queue}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"{virtual_host}">>, queue, <<"{queue}">>)), '
_ELECT = _QUEUE + "ok = ra:trigger_election(amqqueue:get_pid(Queue))."
_ORPHAN = (
    _QUEUE
    + """\
ok = ra:force_delete_server(quorum_queues, amqqueue:get_pid(Queue)),
{{[_], []}} = rabbit_quorum_queue:recover(<<"{virtual_host}">>, [Queue]).
"""
)


@dataclass(frozen=True)
class Private:
    """What is told of a server, and what it obeys."""

    address: dict[str, Any]
    acts: dict[str, Callable[..., None]]


def main(kind: str, *, durable: bool) -> None:
    """Start the server, say where it is, obey, and tidy up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the closed input is the one way to end
    folder = Path(tempfile.mkdtemp(prefix="carenotify-test-", dir=None if durable else _memory()))
    folder.chmod(0o755)  # the postgres account must get in
    processes = Processes(folder)
    try:
        private = _start(kind, processes, durable=durable)
        print(json.dumps(private.address | {"folder": str(processes.folder)}), flush=True)
        for line in sys.stdin:
            print(json.dumps(_obey(private, line.split())), flush=True)
    finally:
        # Killed, PostgreSQL would leave shared memory behind; RabbitMQ would leave nothing that matters here.
        processes.stop([postgres.NAME], seconds=5, first={postgres.NAME: postgres.STOP_SIGNAL})
        processes.kill_everything()
        shutil.rmtree(folder, ignore_errors=True)


def _memory() -> Path | None:
    """Where files are kept in memory; None, which is the usual place on the disk, when there is too little of it.

    The room that is left there is a limit, and not memory that nobody uses.
    """
    if not _MEMORY.is_dir():
        return None
    return _MEMORY if min(shutil.disk_usage(_MEMORY).free, _available_bytes()) >= _ROOM_BYTES else None


def _available_bytes() -> int:
    """What can be taken before the machine swaps (proc_meminfo(5), MemAvailable, which is in kB)."""
    lines = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024


def _obey(private: Private, words: list[str]) -> dict[str, str]:
    try:
        private.acts[words[0]](*words[1:])
    except StackError as error:
        return {"error": str(error)}
    return {"done": " ".join(words)}


def _start(kind: str, processes: Processes, *, durable: bool) -> Private:
    password = secrets.token_hex(8)
    if kind == "postgres":
        return _postgres(Postgres(processes, pick_free(), password, durable=durable))
    return _rabbitmq(processes, password) if kind == "rabbitmq" else _cluster(processes, password)


def _postgres(server: Postgres) -> Private:
    server.start()
    at_once = {postgres.NAME: signal.SIGQUIT}  # its "immediate" way: no checkpoint, and recovery at the next start
    return Private(
        {"url": server.url("postgres")},
        {
            "kill": lambda: _stopped(server.processes, postgres.NAME, at_once, seconds=_AT_ONCE_SECONDS),
            "start": server.start,
        },
    )


def _rabbitmq(processes: Processes, password: str) -> Private:
    broker = RabbitMQ(processes, RabbitPorts(*_free_ports(5)), password)
    broker.start()
    return Private(
        {
            "url": broker.url(),
            "management_url": broker.management_url,
            "metrics_url": f"http://127.0.0.1:{broker.ports.prometheus}",
            "password": password,
        },
        {
            "kill": lambda: _killed(broker),
            "start": broker.start,
            "disk-limit": lambda size: _limit_disk(broker, size),
            "orphan": lambda virtual_host, queue: _orphan(broker, virtual_host, queue),
            "elect": lambda virtual_host, queue: _elect(broker, virtual_host, queue),
        },
    )


def _cluster(processes: Processes, password: str) -> Private:
    free = _free_ports(4 * len(_NODES) + 1)
    epmd = free.pop()
    nodes = {}
    for name in _NODES:
        ports = RabbitPorts(free.pop(), free.pop(), epmd, free.pop(), free.pop())
        nodes[name] = RabbitMQ(processes, ports, password, node=name, peers=_NODES)
    first, *others = nodes.values()
    first.start()
    with ThreadPoolExecutor(len(others)) as starters:
        list(starters.map(RabbitMQ.start, others))
    return Private(
        {
            "url": ",".join(node.url() for node in nodes.values()),
            "management_urls": {name: node.management_url for name, node in nodes.items()},
            "password": password,
        },
        {"kill": lambda name: _killed(nodes[name]), "start": lambda name: nodes[name].start()},
    )


def _free_ports(number: int) -> list[int]:
    taken: set[int] = set()
    while len(taken) < number:
        taken.add(pick_free(taken))
    return list(taken)


def _killed(broker: RabbitMQ) -> None:
    _stopped(broker.processes, broker.name, {broker.name: signal.SIGKILL}, seconds=0)


def _stopped(processes: Processes, name: str, first: dict[str, signal.Signals], *, seconds: float) -> None:
    processes.stop([name], seconds=seconds, first=first)


def _limit_disk(broker: RabbitMQ, size: str) -> None:
    """With more than the disk has free, the disk alarm is on: publishers are blocked."""
    broker.control("set_disk_free_limit", size)


def _orphan(broker: RabbitMQ, virtual_host: str, queue: str) -> None:
    """Leave a quorum queue without a leader, as RabbitMQ 3.10 does when it is killed right after its declaration.

    It finds no log of the queue then, begins an empty one, and nobody calls an election.
    """
    broker.control("eval", _ORPHAN.format(virtual_host=virtual_host, queue=queue))


def _elect(broker: RabbitMQ, virtual_host: str, queue: str) -> None:
    """Let a queue without a leader choose one."""
    broker.control("eval", _ELECT.format(virtual_host=virtual_host, queue=queue))


if __name__ == "__main__":
    main(sys.argv[1], durable="--durable" in sys.argv)
