"""Tell staff that the database is away, and when it is back: what cannot wait in a table, since there is none."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

from carenotify.config import Settings
from carenotify.domain.alert import Alert, AlertKind
from carenotify.domain.alert_mail import AlertMail, message_id_of
from carenotify.errors import AlertNotSentError
from carenotify.journeys.mail_alerts import Send
from carenotify.journeys.word_alerts import word_alerts

log = logging.getLogger(__name__)

_AWAY_FOR = timedelta(minutes=5)


@dataclass(slots=True)
class Outage:
    """Mailed once when it lasts, and once when it is over.

    Every process tells it for itself; those that noticed it in the same hour do so under one Message-ID.
    """

    settings: Settings
    _since: datetime | None = field(init=False, default=None)
    _told_at: datetime | None = field(init=False, default=None)
    _end: AlertMail | None = field(init=False, default=None)

    def goes_on(self, send: Send, *, since: datetime, now: datetime) -> None:
        """The database does not answer, as of a round that began at `since`."""
        self._since = self._since or since
        lasts = now - self._since >= _AWAY_FOR
        if lasts and self._told_at is None and self.settings.alert_to and _taken(send, self._worded(self._since, now)):
            self._told_at = now

    def is_over(self, send: Send, *, now: datetime) -> None:
        """The database answers. Staff who know that it was away are told, if need be at a later call."""
        if self._since is not None and self._told_at is not None:
            self._end = self._worded(self._since, self._told_at, over_at=now)
        self._since = self._told_at = None
        if self._end is not None and _taken(send, self._end):
            self._end = None

    def _worded(self, since: datetime, told_at: datetime, *, over_at: datetime | None = None) -> AlertMail:
        hour = since.replace(minute=0, second=0, microsecond=0).isoformat()
        name = f"{self.settings.public_url}/carenotify/database_away/{hour}" + ("/over" if over_at else "")
        message_id = message_id_of(uuid5(NAMESPACE_URL, name), self.settings.email_from)
        details = {"since": since.isoformat()}
        alert = Alert(0, AlertKind.DATABASE_AWAY, "PostgreSQL", None, 1, details, told_at, over_at, None)
        return word_alerts([alert], message_id=message_id, settings=self.settings)


def _taken(send: Send, mail: AlertMail) -> bool:
    """Whether a mail server took it, or perhaps did."""
    try:
        send(mail)
    except AlertNotSentError as error:
        log.warning("nobody could be mailed how the database stands: %s", error)
        return error.perhaps_taken
    return True
