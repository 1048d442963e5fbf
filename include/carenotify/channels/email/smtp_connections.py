"""Connections to one mail server, kept open between mails and shared by many threads."""

from __future__ import annotations

import time
from collections import deque
from threading import Lock

from carenotify.channels.email.smtp_session import SmtpConnection, SmtpServer


class SmtpConnections:
    """Lends connections, the warmest first, so that few stay open when little is sent."""

    def __init__(
        self, server: SmtpServer, *, timeout_seconds: float, mails_per_connection: int = 100, idle_seconds: float = 30.0
    ) -> None:
        self._server = server
        self._timeout_seconds = timeout_seconds
        self._mails_per_connection = mails_per_connection
        self._idle_seconds = idle_seconds
        self._idle: deque[SmtpConnection] = deque()
        self._lock = Lock()
        self._closed = False

    def take(self) -> SmtpConnection:
        """A kept connection, else a new one. Raises a DeliveryError when there is no connecting."""
        while (kept := self._pop()) is not None:
            if not self._too_old(kept):
                return kept
            kept.close()
        return self.fresh()

    def fresh(self) -> SmtpConnection:
        """A new connection, whatever is kept."""
        return self._server.connect(self._timeout_seconds)

    def give_back(self, connection: SmtpConnection) -> None:
        """Keep it for the next mail, or let it go when it is worn out or out of step."""
        worn_out = connection.mails >= self._mails_per_connection or not connection.in_step
        with self._lock:
            leaving = [self._idle.popleft() for _ in range(self._old_ones())]
            if worn_out or self._closed:
                leaving.append(connection)
            else:
                self._idle.append(connection)
        for each in leaving:
            each.close()

    def close(self) -> None:
        """Close what is kept; what is lent is closed when it comes back."""
        with self._lock:
            self._closed = True
            leaving = list(self._idle)
            self._idle.clear()
        for each in leaving:
            each.close()

    def _pop(self) -> SmtpConnection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _too_old(self, connection: SmtpConnection) -> bool:
        return time.monotonic() - connection.last_used > self._idle_seconds

    def _old_ones(self) -> int:
        """The coldest stand first."""
        return next((place for place, kept in enumerate(self._idle) if not self._too_old(kept)), len(self._idle))
