"""One conversation with a mail server (RFC 5321): hello, log in, hand mails over."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from urllib.parse import unquote, urlsplit

from carenotify.channels.email.smtp_codes import Stage, lost, refusal, timed_out
from carenotify.errors import DeliveryError, SettingsError, UnconfirmedDeliveryError

_DEFAULT_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_LINE_DOT = re.compile(rb"^\.", re.MULTILINE)
_CLOSING = 421
_GO_AHEAD = 354


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail is handed in. `repr` shows no password."""

    scheme: str
    host: str
    port: int
    user: str | None
    password: str | None

    @classmethod
    def parse(cls, url: str) -> SmtpServer:
        """Read `smtp://`, `smtp+starttls://` or `smtps://[user:password@]host[:port]`. Raises SettingsError."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise SettingsError("CARENOTIFY_SMTP_URL: is not a URL") from None
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise SettingsError(
                "CARENOTIFY_SMTP_URL: has to be smtp://, smtp+starttls:// or smtps://[user:password@]host[:port]"
            )
        user, password = (unquote(part) if part is not None else None for part in (parts.username, parts.password))
        return cls(parts.scheme, parts.hostname, port or _DEFAULT_PORTS[parts.scheme], user, password)

    def __repr__(self) -> str:
        return f"SmtpServer({self.scheme}://{self.host}:{self.port})"

    def connect(self, timeout_seconds: float) -> SmtpConnection:
        """A connection that has said hello, and logged in if it has to. Raises TemporaryDeliveryError or Throttled."""
        try:
            smtp = self._open(timeout_seconds)
        except smtplib.SMTPResponseException as error:
            raise refusal(Stage.CONNECT, error.smtp_code, _bytes(error.smtp_error)) from None
        except OSError as error:
            raise lost(error) from None
        try:
            self._greet(smtp)
        except smtplib.SMTPResponseException as error:
            smtp.close()
            raise refusal(Stage.CONNECT, error.smtp_code, _bytes(error.smtp_error)) from None
        except OSError as error:
            smtp.close()
            raise lost(error) from None
        return SmtpConnection(smtp)

    def _open(self, timeout_seconds: float) -> smtplib.SMTP:
        if self.scheme == "smtps":
            return smtplib.SMTP_SSL(
                self.host, self.port, _own_name(), timeout=timeout_seconds, context=ssl.create_default_context()
            )
        return smtplib.SMTP(self.host, self.port, _own_name(), timeout=timeout_seconds)

    def _greet(self, smtp: smtplib.SMTP) -> None:
        smtp.ehlo_or_helo_if_needed()
        if self.scheme == "smtp+starttls":
            code, reply = smtp.starttls(context=ssl.create_default_context())
            if code != 220:  # RFC 3207: ready to start TLS
                raise smtplib.SMTPResponseException(code, reply)
        if self.user is not None:
            smtp.login(self.user, self.password or "")


@cache
def _own_name() -> str:
    """smtplib would ask DNS for it at every connection."""
    return socket.getfqdn()


def _bytes(reply: bytes | str) -> bytes:
    return reply if isinstance(reply, bytes) else reply.encode(errors="replace")


class StaleConnectionError(Exception):
    """A kept connection turned out to be closed, before anything of a mail was sent. Never leaves this room."""


class SmtpConnection:
    """One conversation with the server; for one thread at a time."""

    def __init__(self, smtp: smtplib.SMTP) -> None:
        self._smtp = smtp
        self.mails = 0
        self.last_used = time.monotonic()
        self.in_step = True

    def announce(self, sender: str, recipient: str) -> None:
        """MAIL, RCPT, DATA: everything before the mail itself.

        Raises a DeliveryError, or StaleConnectionError when a new connection may do better.
        """
        self._ask(Stage.SENDER, 250, f"MAIL FROM:<{sender}>")
        self._ask(Stage.RECIPIENT, 250, f"RCPT TO:<{recipient}>")
        self._ask(Stage.CONTENT, _GO_AHEAD, "DATA")

    def announce_to_several(self, sender: str, recipients: Mapping[int, str]) -> dict[int, DeliveryError]:
        """As `announce`, for one mail to all of these; gives the refusals of those whom the server does not take.

        Raises the first refusal when it takes none of them.
        """
        self._ask(Stage.SENDER, 250, f"MAIL FROM:<{sender}>")
        asked = {number: self._refusal_of(recipient) for number, recipient in recipients.items()}
        refused = {number: refusal for number, refusal in asked.items() if refusal is not None}
        if len(refused) == len(recipients):
            raise next(iter(refused.values()))
        self._ask(Stage.CONTENT, _GO_AHEAD, "DATA")
        return refused

    def hand_over(self, content: bytes, *, answer_seconds: float | None = None) -> None:
        """The mail itself. When the answer to its last dot is lost, the server may have it: code `unconfirmed`.

        That answer is waited for as long as any other, or for so many seconds from here on.
        """
        try:
            self._smtp.send(_LINE_DOT.sub(b"..", content) + b".\r\n")
        except OSError as error:
            self.in_step = False
            raise lost(error) from None
        try:
            if answer_seconds is not None and self._smtp.sock is not None:
                self._smtp.sock.settimeout(answer_seconds)
            code, reply = self._smtp.getreply()
        except OSError:
            self.in_step = False
            raise UnconfirmedDeliveryError("unconfirmed") from None
        self._note_use()
        if code // 100 != 2:  # 2xx is success
            self.in_step = _is_refusal(code)
            raise refusal(Stage.CONTENT, code, reply)

    def reset(self) -> None:
        """Forget a mail that was refused half-way; a connection that cannot is out of step."""
        if self.in_step:
            try:
                self._ask(Stage.CONTENT, 250, "RSET")
            except (DeliveryError, StaleConnectionError):
                self.in_step = False

    def close(self) -> None:
        """Say goodbye without waiting for the answer."""
        with suppress(OSError):
            self._smtp.putcmd("QUIT")
        self._smtp.close()

    def _refusal_of(self, recipient: str) -> DeliveryError | None:
        try:
            self._ask(Stage.RECIPIENT, 250, f"RCPT TO:<{recipient}>")
        except DeliveryError as error:
            if not self.in_step:  # it was the connection, and not this recipient
                raise
            return error
        return None

    def _ask(self, stage: Stage, wanted: int, command: str) -> None:
        try:
            code, reply = self._smtp.docmd(command)
        except OSError as error:
            self.in_step = False
            if self.mails and not timed_out(error):
                raise StaleConnectionError from None
            raise lost(error) from None
        if code // 10 != wanted // 10:
            self.in_step = _is_refusal(code) and code != _CLOSING
            if self.mails and code == _CLOSING:
                raise StaleConnectionError
            raise refusal(stage, code, reply)

    def _note_use(self) -> None:
        self.mails += 1
        self.last_used = time.monotonic()


def _is_refusal(code: int) -> bool:
    return 400 <= code < 600  # RFC 5321 4.2.1; anything else is not SMTP any more
