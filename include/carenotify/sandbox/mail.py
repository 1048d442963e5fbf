"""The mail server on the other side: takes mail, keeps it, counts it by our notification id."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from carenotify.sandbox.faults import Faults
from carenotify.sandbox.ledger import Ledger

_NOTIFICATION_ID = re.compile(rb"^X-Carenotify-Notification-Id:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_BOUNCES = "bounce"
_REFUSALS = {
    "429": "421 4.7.0 too many connections, closing",
    "500": "451 4.3.0 local error in processing",
}


class MailHandler:
    """aiosmtpd's hooks, for one connection.

    Local parts that start with `bounce` and dead addresses are refused for good; a share of the mails is for now.
    """

    def __init__(self, ledger: Ledger, faults: Faults) -> None:
        self._ledger = ledger
        self._faults = faults
        self._fault: str | None = None

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Draws the mail's fault, once for all of its recipients; greylisting is said here, the others after DATA."""
        if address.lower().startswith(_BOUNCES) or self._faults.is_dead(address):
            return "550 5.1.1 no such mailbox"
        if not envelope.rcpt_tos:
            self._fault = self._faults.for_provider_call("mail")
        if self._fault == "503":
            return "451 4.3.2 greylisted, try again later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take the mail unless a fault was drawn for it."""
        if self._faults.latency_ms:
            await asyncio.sleep(self._faults.latency_ms / 1000)
        if self._fault in _REFUSALS:
            return _REFUSALS[self._fault]
        if self._fault == "cut":
            return _broken_off(server)
        notification_id = self._keep(envelope)
        if self._faults.answer_delay_ms:
            await asyncio.sleep(self._faults.answer_delay_ms / 1000)
        if self._fault is not None or server.transport is None or server.transport.is_closing():
            self._ledger.note_unanswered(notification_id)
            return _broken_off(server)
        return "250 2.0.0 OK"

    def _keep(self, envelope: Envelope) -> str | None:
        content = envelope.original_content or b""
        found = _NOTIFICATION_ID.search(content)
        notification_id = found[1].decode("ascii", "replace") if found else None
        kept = {"from": envelope.mail_from, "to": list(envelope.rcpt_tos), "raw": content}
        self._ledger.note("email", notification_id, kept)
        return notification_id


def _broken_off(server: SMTP) -> str:
    """Break the connection off now. What is returned is never seen."""
    if isinstance(server.transport, asyncio.Transport):
        server.transport.abort()
    return "250 2.0.0 OK"


def smtp_protocol(ledger: Ledger, faults: Faults, loop: asyncio.AbstractEventLoop) -> SMTP:
    """One connection's protocol; any credentials are taken."""
    return SMTP(
        MailHandler(ledger, faults),
        hostname="sandbox.example",
        ident="carenotify sandbox",
        enable_SMTPUTF8=True,
        auth_require_tls=False,
        authenticator=lambda *_arguments: AuthResult(success=True),
        loop=loop,
    )


def readable(kept: dict[str, Any]) -> dict[str, Any]:
    """A kept mail, parsed: subject, headers, text, html, attachments' names, and the raw text."""
    message = email.message_from_bytes(kept["raw"], EmailMessage, policy=email.policy.default)
    return kept | {
        "subject": message.get("Subject"),
        "headers": {name: str(value) for name, value in message.items()},
        "text": _body(message, "plain"),
        "html": _body(message, "html"),
        "attachments": [part.get_filename() for part in message.iter_attachments()],
        "raw": kept["raw"].decode("utf-8", "replace"),
    }


def _body(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body((kind,))
    return part.get_content().replace("\r\n", "\n") if part is not None else None
