"""Taking back what the broker gave up: the queue `failed`, message by message, acknowledged once it is kept.

Bodies may be of any size, and everything about them may be wrong, so that nothing in here trusts them. Messages are
asked for one by one: with a prefetch, the broker would push that many bodies of 128 MiB at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from carenotify.domain.dead_letter import ReturnedMessage
from carenotify.errors import BrokerError, EnvelopeError
from carenotify.messaging.address import parameters
from carenotify.messaging.envelope import decode_notification_id
from carenotify.messaging.topology import FAILED_QUEUE, declare_failed

KEPT_BYTES = 64 * 1024
# https://www.rabbitmq.com/docs/dlx#effects
_CAUSES = {"rejected", "expired", "maxlen", "delivery_limit"}
_LONGEST_QUEUE_NAME = 255


class FailedQueue:
    """The broker's queue of what it gave up. Connects on first use; for one thread at a time."""

    def __init__(self, url: str) -> None:
        self._nodes = parameters(url)
        self._connection: pika.BlockingConnection | None = None
        self._channel: BlockingChannel | None = None

    @contextmanager
    def batch(self, *, most: int) -> Iterator[list[ReturnedMessage]]:
        """Up to `most` messages. They are acknowledged when the block ends well, else they are the broker's again.

        Raises BrokerError when the broker is away.
        """
        try:
            channel = self._opened()
            messages, last = _take(channel, most)
            yield messages
            if last is not None:
                channel.basic_ack(last, multiple=True)
        except (AMQPError, OSError) as error:
            self.close()
            raise BrokerError(f"the dead letters of RabbitMQ cannot be read ({type(error).__name__})") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection; what was taken and not acknowledged goes back to the queue."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None and connection.is_open:
            with suppress(AMQPError, OSError):
                connection.close()

    def _opened(self) -> BlockingChannel:
        if self._channel is None or not self._channel.is_open:
            self.close()
            self._connection = pika.BlockingConnection(self._nodes)
            self._channel = self._connection.channel()
            declare_failed(self._channel)
        return self._channel


def _take(channel: BlockingChannel, most: int) -> tuple[list[ReturnedMessage], int | None]:
    messages: list[ReturnedMessage] = []
    last = None
    while len(messages) < most:
        method, properties, body = channel.basic_get(FAILED_QUEUE)
        if method is None or properties is None or body is None:
            break
        last = method.delivery_tag
        messages.append(read_returned(properties.headers, body))
    return messages, last


def read_returned(headers: object, body: bytes) -> ReturnedMessage:
    """What is worth keeping of a message with these headers. Nothing that is wrong with them raises anything."""
    queue, cause = _death(headers)
    try:
        notification_id = decode_notification_id(body)
    except EnvelopeError:
        notification_id = None
    fingerprint = hashlib.sha256((queue or "").encode() + b"\n")
    fingerprint.update(body)
    return ReturnedMessage(fingerprint.digest(), len(body), body[:KEPT_BYTES], notification_id, queue, cause)


def _death(headers: object) -> tuple[str | None, str | None]:
    """Queue and cause of the last death, which the broker writes first. Whoever published may have made them up."""
    deaths: Any = headers.get("x-death") if isinstance(headers, dict) else None
    last = deaths[0] if isinstance(deaths, list) and deaths else None
    if not isinstance(last, dict):
        return None, None
    queue, cause = last.get("queue"), last.get("reason")
    named = isinstance(queue, str) and queue.isprintable() and 0 < len(queue) <= _LONGEST_QUEUE_NAME
    return queue if named else None, cause if isinstance(cause, str) and cause in _CAUSES else None
