"""Mail to staff what waits to be told: one mail for all of it, grouped, and never two different mails of the same."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta

from carenotify.config import Settings
from carenotify.domain.alert import AlertKind
from carenotify.domain.alert_mail import AlertMail, message_id_of
from carenotify.domain.clock import Clock
from carenotify.errors import AlertNotSentError
from carenotify.journeys.word_alerts import word_alerts
from carenotify.storage import alerts
from carenotify.storage.alerts import LeasedMail
from carenotify.storage.database import Database

# Longer than the answer of a mail server is waited for; what was not marked by then is sent again.
_LEASE = timedelta(minutes=3)
# Once somebody is to be mailed, of what was raised before only that is still news. Not sooner: what one process is not
# set up for, another may be.
_NEWS_FOR = timedelta(days=1)

Send = Callable[[AlertMail], object]


@dataclass(frozen=True, slots=True)
class AlertMailer:
    """Any number of processes may mail at once; each alert is in one mail."""

    database: Database
    settings: Settings
    clock: Clock

    def mail(self, send: Send, *, kinds: Collection[AlertKind] | None = None) -> int:
        """Mail what waits (of these kinds; None: all) and return how many alerts were told. Nothing waits: no mail.

        A mail that was begun and perhaps sent, by whoever ended in between, is sent again first, with the same
        Message-ID and the same alerts. Without CARENOTIFY_ALERT_TO nothing is mailed, and what has waited for a day
        never will be.

        Raises AlertNotSentError when no mail server takes it, and StorageError; it is mailed the next time then.
        """
        if not self.settings.alert_to:
            self._leave_old()
            return 0
        total = 0
        while (leased := self._lease(kinds)) is not None:
            self._send(leased, send)
            with self.database.transaction() as transaction:
                total += alerts.mark_mailed(transaction, leased.mail_id, now=self.clock())
        return total

    def _leave_old(self) -> None:
        now = self.clock()
        with self.database.transaction() as transaction:
            alerts.leave_unmailed(transaction, raised_by=now - _NEWS_FOR, now=now)

    def _lease(self, kinds: Collection[AlertKind] | None) -> LeasedMail | None:
        now = self.clock()
        with self.database.transaction() as transaction:
            return alerts.lease_unmailed(transaction, now=now, until=now + _LEASE, kinds=kinds)

    def _send(self, leased: LeasedMail, send: Send) -> None:
        message_id = message_id_of(leased.mail_id, self.settings.email_from)
        try:
            send(word_alerts(leased.alerts, message_id=message_id, settings=self.settings))
        except BaseException as error:  # Airflow cuts a task off by one: the task's next try is to find the mail
            self._end_lease(leased, perhaps_taken=not isinstance(error, AlertNotSentError) or error.perhaps_taken)
            raise

    def _end_lease(self, leased: LeasedMail, *, perhaps_taken: bool) -> None:
        with self.database.transaction() as transaction:
            if perhaps_taken:
                alerts.let_go(transaction, leased.mail_id, now=self.clock())
            else:  # the next mail tells it together with all that is new by then
                alerts.give_back(transaction, leased.mail_id)
