"""E-mail through a mail server that takes mail by SMTP (RFC 5321)."""

from __future__ import annotations

import time
from typing import ClassVar

from carenotify.channels.base import OutgoingMessage, Provider
from carenotify.channels.email.compose import Sender, compose_mail, envelope_address, message_id
from carenotify.channels.email.smtp_connections import SmtpConnections
from carenotify.channels.email.smtp_session import SmtpConnection, SmtpServer, StaleConnectionError
from carenotify.domain.clock import Clock, system_clock
from carenotify.domain.notification import Channel
from carenotify.errors import DeliveryError, NotTriedError


class SmtpProvider(Provider):
    """`url` as in CARENOTIFY_SMTP_URL, `sender` as in CARENOTIFY_EMAIL_FROM. Raises SettingsError when one is wrong."""

    name: ClassVar[str] = "smtp"
    channel: ClassVar[Channel] = Channel.EMAIL

    def __init__(self, url: str, sender: str, *, timeout_seconds: float = 10.0, clock: Clock = system_clock) -> None:
        self._sender = Sender.parse(sender)
        self._connections = SmtpConnections(SmtpServer.parse(url), timeout_seconds=timeout_seconds)
        self._clock = clock

    def send(self, message: OutgoingMessage) -> str:
        """Hand one mail over and return its Message-ID, which is the same for every attempt."""
        to = envelope_address(message.to)
        content = compose_mail(message, self._sender, to, self._clock())
        connection = self._announced(to)
        try:
            if time.monotonic() >= message.deadline:
                connection.in_step = False  # the server waits for the mail, and must not get it
                raise NotTriedError("too-slow")
            connection.hand_over(content)
        finally:
            self._connections.give_back(connection)
        return message_id(message, self._sender)

    def close(self) -> None:
        """Let go of the kept connections."""
        self._connections.close()

    def _announced(self, to: str) -> SmtpConnection:
        """A connection that waits for the mail.

        A server may close a connection that was idle or served enough. Nothing of the mail was sent then, so one new
        connection is tried at once.
        """
        connection = self._connections.take()
        try:
            return self._announce(connection, to)
        except StaleConnectionError:
            return self._announce(self._connections.fresh(), to)

    def _announce(self, connection: SmtpConnection, to: str) -> SmtpConnection:
        try:
            connection.announce(self._sender.address, to)
        except (DeliveryError, StaleConnectionError):
            connection.reset()
            self._connections.give_back(connection)
            raise
        return connection
