"""Queues without a leader, and alarms: who is held up by them, and who is not; and the documented way out works."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from carenotify.domain.notification import Channel, Lane
from carenotify.messaging import topology
from carenotify.messaging.envelope import Envelope
from carenotify.messaging.publisher import Publisher
from drills.brokers import MORE_THAN_ANY_DISK, USUAL_LIMIT
from drills.private_server import ROOT, PrivateServer
from drills.ward import Size
from stack.waiting import wait_until
from tests.integration.drills.conftest import OpenWard, add_virtual_host

QUEUE = "sms.low"
CONFIRM_SECONDS = 5
MESSAGES = 1000  # more texts than RabbitMQ takes for a channel that stands still


def documented_deletion() -> str:
    """The program that docs/on-call.md gives whoever is on call."""
    found = re.search(r"-c '(import os, sys, pika.*?)' sms\.low", Path(ROOT, "docs/on-call.md").read_text(), re.DOTALL)
    assert found is not None
    return shlex.split(f"'{found[1]}'")[0]


def envelopes(channel: Channel, lane: Lane) -> list[Envelope]:
    """Of notifications that nobody has: whoever takes their messages drops them."""
    made = datetime(2026, 11, 24, 9, tzinfo=UTC)
    return [Envelope(uuid4(), "reminder", channel, lane, 1, made) for _ in range(MESSAGES)]


def publishes(publisher: Publisher, channel: Channel, lane: Lane) -> int:
    return len(publisher.publish(envelopes(channel, lane)))


def virtual_host(mortal_broker: PrivateServer) -> tuple[str, str]:
    """A new one, with our queues, and its broker's address."""
    name = f"lanes_{uuid4().hex[:12]}"
    url = add_virtual_host(mortal_broker, name)
    topology.declare(url)
    return name, url


def test_a_queue_that_has_a_leader_again_is_published_to_again(mortal_broker: PrivateServer) -> None:
    name, url = virtual_host(mortal_broker)
    mortal_broker.tell("orphan", name, QUEUE)
    with closing(Publisher(url, confirm_timeout_seconds=2, silence_seconds=3)) as publisher:
        assert publishes(publisher, Channel.SMS, Lane.LOW) == 0
        wait_until(lambda: publisher.silent_queues() == {QUEUE}, what="the queue is silent", seconds=10)
        mortal_broker.tell("elect", name, QUEUE)
        wait_until(lambda: not publisher.silent_queues(), what="another try", seconds=30)
        wait_until(
            lambda: publishes(publisher, Channel.SMS, Lane.LOW) == MESSAGES, what="every message confirmed", seconds=60
        )


def test_the_first_messages_after_an_alarm_are_taken(mortal_broker: PrivateServer) -> None:
    _, url = virtual_host(mortal_broker)
    with closing(Publisher(url, connect_timeout_seconds=30, confirm_timeout_seconds=CONFIRM_SECONDS)) as publisher:
        assert publishes(publisher, Channel.SMS, Lane.LOW) == MESSAGES
        mortal_broker.tell("disk-limit", MORE_THAN_ANY_DISK)
        assert publishes(publisher, Channel.SMS, Lane.LOW) == 0, "nothing is confirmed while the alarm is on"
        with ThreadPoolExecutor(1) as waiting:
            first = waiting.submit(publishes, publisher, Channel.SMS, Lane.LOW)
            mortal_broker.tell("disk-limit", USUAL_LIMIT)
            assert first.result() == MESSAGES


def test_the_others_go_on_and_once_it_is_deleted_it_goes_on_too(small_ward: OpenWard) -> None:
    ward = small_ward(Size(MESSAGES), CARENOTIFY_PUBLISH_LEASE_SECONDS="12", CARENOTIFY_RELAY_INTERVAL_SECONDS="0.2")
    ward.plan()
    broker_url = ward.app.settings.broker_url.get_secret_value()
    topology.declare(broker_url)
    ward.broker.tell("orphan", urlsplit(broker_url).path[1:], QUEUE)

    with closing(Publisher(broker_url, confirm_timeout_seconds=CONFIRM_SECONDS)) as publisher:
        assert publishes(publisher, Channel.SMS, Lane.LOW) == 0
        assert publishes(publisher, Channel.SMS, Lane.HIGH) == MESSAGES
        assert publishes(publisher, Channel.EMAIL, Lane.LOW) == MESSAGES
        begun = time.monotonic()
        assert publishes(publisher, Channel.SMS, Lane.LOW) == 0
        assert time.monotonic() - begun < CONFIRM_SECONDS, "nobody waits for a queue that is known to be silent"

        ward.start()
        ward.wait_for(lambda: ward.sandbox.received("email") == MESSAGES / 2, "every mail goes out", seconds=60)
        waiting = ward.query("SELECT DISTINCT channel, status FROM notifications WHERE status IN ('pending', 'queued')")
        assert waiting == [("sms", "pending")]

        program = [sys.executable, "-c", documented_deletion(), QUEUE]
        subprocess.run(program, env={"CARENOTIFY_BROKER_URL": broker_url}, check=True, timeout=30)
        ward.wait_until_done()
        assert ward.unfinished() == 0
        assert ward.sandbox.counts() == dict.fromkeys(ward.planned, 1)
        assert publishes(publisher, Channel.SMS, Lane.LOW) == MESSAGES
