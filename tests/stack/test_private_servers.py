"""The private servers that the integration tests stand on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pika
import psycopg
import pytest

from stack.ports import is_free

ROOT = Path(__file__).parents[2]


def test_each_test_gets_a_migrated_database_of_its_own(database_url: str, fresh_database) -> None:
    with fresh_database() as other, psycopg.connect(other) as connection:
        found = connection.execute("SELECT count(*) FROM carenotify.alembic_version").fetchone()
        assert found == (1,)
    assert other != database_url


def test_each_test_gets_a_virtual_host_of_its_own(broker_url: str, fresh_broker) -> None:
    with fresh_broker() as other:
        for url in (broker_url, other):
            connection = pika.BlockingConnection(pika.URLParameters(url))
            channel = connection.channel()
            channel.queue_declare("probe", durable=True, arguments={"x-queue-type": "quorum"})
            channel.basic_publish("", "probe", b"1")
            connection.close()
        connection = pika.BlockingConnection(pika.URLParameters(broker_url))
        assert connection.channel().queue_declare("probe", passive=True).method.message_count == 1
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_test_session_leaves_no_server_behind(number: signal.Signals) -> None:
    holder = (
        "import subprocess, sys, time\n"
        "server = subprocess.Popen([sys.executable, '-m', 'stack.private', 'postgres'], stdin=subprocess.PIPE)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", holder], cwd=ROOT, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdout is not None
        port = urlsplit(json.loads(session.stdout.readline())["url"]).port
        assert port is not None
        assert not is_free(port)
        os.kill(session.pid, number)
    deadline = time.monotonic() + 20
    while not is_free(port):
        assert time.monotonic() < deadline
        time.sleep(0.05)
