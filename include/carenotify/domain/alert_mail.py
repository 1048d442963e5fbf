"""The mail that tells staff."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from email.utils import parseaddr
from uuid import UUID


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A table that comes along with a mail. `name` is in ASCII."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class AlertMail:
    """A mail for staff. `message_id` is the same however often it is sent (RFC 5322 3.6.4).

    `report_day` is the day that it reports; None for an alert.
    """

    message_id: str
    subject: str
    text: str
    html: str
    files: Sequence[CsvFile] = ()
    report_day: date | None = None


@dataclass(frozen=True, slots=True)
class RefusedReceiver:
    """Who gets no mail although others do: the place among them, from 1, and the mail server's code."""

    number: int
    code: str


AlertSender = Callable[[AlertMail], Sequence[RefusedReceiver]]


def message_id_of(mail_id: UUID, sender: str | None) -> str:
    """The Message-ID of the mail of that id; `sender` as in CARENOTIFY_EMAIL_FROM, whose host it ends with."""
    host = parseaddr(sender or "")[1].rpartition("@")[2]
    return f"<carenotify-{mail_id}@{host or 'localhost'}>"
