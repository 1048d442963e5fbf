"""Where the broker is: one AMQP URL, or several with commas for the nodes of a cluster."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from carenotify.errors import BrokerError, SettingsError
from carenotify.messaging.tolerance import tolerate_headers

_TIMEOUT_SECONDS = 5
_HEARTBEAT_SECONDS = 15


def parameters(url: str) -> list[pika.URLParameters]:
    """Connection parameters for each node of CARENOTIFY_BROKER_URL. Raises SettingsError, without the password."""
    tolerate_headers()  # here, since nobody connects without passing by
    nodes = []
    for part in url.split(","):
        try:
            node = pika.URLParameters(part.strip())
        except (ValueError, TypeError, KeyError, IndexError):
            raise SettingsError(
                "CARENOTIFY_BROKER_URL: not an AMQP URL (amqp://user:password@host:5672/vhost)"
            ) from None  # its text may hold a part of the password
        node.socket_timeout = node.stack_timeout = _TIMEOUT_SECONDS
        node.blocked_connection_timeout = None  # publishers wait for the end of an alarm; consumers go on
        node.heartbeat = _HEARTBEAT_SECONDS
        nodes.append(node)
    return nodes


@contextmanager
def blocking_channel(url: str) -> Iterator[BlockingChannel]:
    """A short-lived channel for declaring and counting. Raises BrokerError."""
    nodes = parameters(url)
    try:
        connection = pika.BlockingConnection(nodes)
        try:
            yield connection.channel()
        finally:
            if connection.is_open:
                connection.close()
    except (AMQPError, OSError) as error:
        places = ", ".join(f"{node.host}:{node.port}" for node in nodes)
        raise BrokerError(f"RabbitMQ at {places} cannot be used ({type(error).__name__})") from error


def is_reachable(url: str, *, timeout_seconds: float) -> bool:
    """Whether a node of CARENOTIFY_BROKER_URL accepts connections. Says nothing of its alarms or of our login."""
    for node in parameters(url):
        try:
            socket.create_connection((node.host, node.port), timeout=timeout_seconds).close()
        except OSError:
            continue
        return True
    return False
