"""A server for as long as somebody holds its standard input: `python -m stack.private postgres|rabbitmq [--durable]`.

Prints one JSON line with its address when it is ready, and stops it and removes its folder when the input closes.
So nothing is left behind even when the tests that asked for it are killed.
"""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from stack import postgres
from stack.ports import pick_free
from stack.postgres import Postgres
from stack.processes import Processes
from stack.rabbitmq import RabbitMQ, RabbitPorts


def main(kind: str, *, durable: bool) -> None:
    """Start the server, say where it is, wait, and tidy up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the closed input is the one way to end
    folder = Path(tempfile.mkdtemp(prefix="carenotify-test-"))
    folder.chmod(0o755)  # the postgres account must get in
    processes = Processes(folder)
    try:
        print(json.dumps(_start(kind, processes, durable=durable)), flush=True)
        sys.stdin.read()
    finally:
        # Killed, PostgreSQL would leave shared memory behind; RabbitMQ would leave nothing that matters here.
        processes.stop([postgres.NAME], seconds=5, first={postgres.NAME: postgres.STOP_SIGNAL})
        processes.kill_everything()
        shutil.rmtree(folder, ignore_errors=True)


def _start(kind: str, processes: Processes, *, durable: bool) -> dict[str, str]:
    password = secrets.token_hex(8)
    if kind == "postgres":
        server = Postgres(processes, pick_free(), password, durable=durable)
        server.start()
        return {"url": server.url("postgres")}
    taken: set[int] = set()
    while len(taken) < 5:
        taken.add(pick_free(taken))
    broker = RabbitMQ(processes, RabbitPorts(*taken), password)
    broker.start()
    return {"url": broker.url(), "management_url": broker.management_url, "password": password}


if __name__ == "__main__":
    main(sys.argv[1], durable="--durable" in sys.argv)
