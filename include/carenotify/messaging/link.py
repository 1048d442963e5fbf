"""One AMQP connection on a thread of its own, which comes back by itself when it breaks.

pika is not thread-safe: everything that touches a channel runs on the link's thread, through `call`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from pika.adapters.select_connection import IOLoop, SelectConnection
from pika.channel import Channel as AmqpChannel

from carenotify.errors import BrokerError
from carenotify.messaging.address import parameters
from carenotify.messaging.topology import declare

log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0


class LinkUser(Protocol):
    """Who opens channels on the link. Both methods run on the link's thread."""

    def opened(self, connection: SelectConnection) -> None:
        """The connection is up: open channels."""

    def closed(self) -> None:
        """The connection is gone, and every channel and delivery tag with it."""


class Link:
    """Keeps a connection open until `stop`; tells its user when it opens and closes."""

    def __init__(self, url: str, user: LinkUser, *, name: str) -> None:
        self._url = url
        self._nodes = parameters(url)  # here, so that a wrong URL stops whoever starts and not only this thread
        self._user = user
        self._loop: IOLoop | None = None
        self._connection: SelectConnection | None = None
        self._stopping = threading.Event()
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"amqp-{name}", daemon=True)

    def start(self) -> None:
        """Begin connecting, in the background."""
        self._thread.start()

    def call(self, act: Callable[[], None]) -> bool:
        """Run `act` on the link's thread, soon. False when there is no connection to run it on."""
        with self._guard:
            if self._loop is None:
                return False
            self._loop.add_callback_threadsafe(act)
            return True

    def stop(self, *, timeout_seconds: float = 10.0) -> None:
        """Close the connection and end the thread."""
        self._stopping.set()
        self.call(self._close)
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def _close(self) -> None:
        if self._connection is not None and self._connection.is_open:
            self._connection.close()
        elif self._loop is not None:
            self._loop.stop()

    def _run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            try:
                declare(self._url)
                if self._serve():
                    pause = _FIRST_PAUSE_SECONDS
            except BrokerError as error:
                log.warning("%s; trying again in %.1f s", error, pause)
            self._stopping.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _serve(self) -> bool:
        """One connection's life. Returns whether it ever opened."""
        loop = IOLoop()
        opened = False

        def on_done(result: SelectConnection | BaseException) -> None:
            nonlocal opened
            if isinstance(result, BaseException):
                log.warning("RabbitMQ cannot be reached (%s)", type(result).__name__)
                loop.stop()
                return
            opened = True
            self._connection = result
            result.add_on_close_callback(lambda *_: loop.stop())
            self._user.opened(result)
            if self._stopping.is_set():
                result.close()

        with self._guard:
            self._loop = loop
        SelectConnection.create_connection(self._nodes, on_done, custom_ioloop=loop)
        try:
            loop.start()
        finally:
            with self._guard:
                self._loop = None
            self._connection = None
            if opened:
                self._user.closed()
            loop.close()
        return opened


def start_over(channel: AmqpChannel) -> None:
    """Close the channel's connection; the link opens a new one, and its user new channels."""
    if channel.connection.is_open:
        channel.connection.close()
