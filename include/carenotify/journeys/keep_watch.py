"""The watchdog: notices from outside Airflow that Airflow does not do its part, and says so by itself.

Any number of processes may keep watch: what they find is raised once, and mailed by one of them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from carenotify.config import Settings
from carenotify.domain.alert import AlertKind, NewAlert
from carenotify.domain.alert_mail import AlertMail
from carenotify.domain.clock import Clock
from carenotify.domain.window import day_bounds, local_day
from carenotify.errors import AlertNotSentError, DatabaseUnavailableError
from carenotify.journeys.find_states import States
from carenotify.journeys.mail_alerts import AlertMailer, Send
from carenotify.journeys.tell_outage import Outage
from carenotify.journeys.watch_delivery import DeliveryWatch
from carenotify.storage import alerts, failures, figures, heartbeats, reminder_plans, watched
from carenotify.storage.database import Database, Transaction

log = logging.getLogger(__name__)

# A worker sends at the same time, so nothing here waits long for a connection.
_CONNECTION_SECONDS = 5.0
_STATEMENTS_FOR = timedelta(seconds=20)
# A server that stands still answers nothing and ends nothing, so a round is not waited for any longer than that.
_ROUND_SECONDS = 30.0
# After a start of the whole system, loads come with the next half hour.
_FIRST_LOAD_WITHIN = timedelta(minutes=45)
_SILENT_DAGS = {
    AlertKind.NOTHING_INGESTED: "ingest_appointments",
    AlertKind.WATCHER_SILENT: heartbeats.WATCH_DELIVERY,
}
# How far back a day without a plan is still a matter.
_DAYS_BACK = timedelta(days=60)


@dataclass(slots=True)
class Watchdog:
    """Keeps watch for as long as its process runs; what was before, it gives time to."""

    database: Database
    settings: Settings
    clock: Clock
    watch: DeliveryWatch
    mailer: AlertMailer
    send: Send
    _began: datetime = field(init=False)
    _outage: Outage = field(init=False)
    _round: Future[None] | None = field(init=False, default=None)
    _mailing: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._began = self.clock()
        self._outage = Outage(self.settings)

    def look(self) -> None:
        """Raise what is new, end what is over, and mail it. While the DAG is silent, do its work as well.

        Raises StorageError when the database refuses something; one that is away, or hangs, is noted, and mailed in
        the end.
        """
        since = self.clock()
        if self._finds_database():
            self._outage.is_over(self.send, now=self.clock())
        elif not self._mailing:  # a mail server that takes its time is no database that is away
            self._outage.goes_on(self.send, since=since, now=self.clock())

    # --- rounds ------------------------------------------------------------------------------

    def _finds_database(self) -> bool:
        """Whether a round came to its end, and the database answered. While one hangs, no other begins."""
        if self._round is None or self._round.done():
            self._round = Future()
            threading.Thread(target=self._run, args=(self._round,), name="watchdog round", daemon=True).start()
            wait([self._round], timeout=_ROUND_SECONDS)
        if not self._round.done():
            return False
        try:
            self._round.result()
        except DatabaseUnavailableError:
            return False
        except AlertNotSentError as error:
            log.warning("alerts could not be mailed, and wait: %s", error)
        return True

    def _run(self, ended: Future[None]) -> None:
        try:
            self._do_round()
        except BaseException as error:  # noqa: BLE001 - whoever waits for it raises it
            ended.set_exception(error)
        else:
            ended.set_result(None)

    def _do_round(self) -> None:
        """What the DAG leaves undone is mailed from here too: all of it, when nobody else mails or can mail."""
        silent, late = self._raise_and_resolve()
        try:
            if silent:
                self.watch.find()
        finally:
            self.mailer.mail(self._send, kinds=None if silent or late else list(self._finders))

    def _send(self, mail: AlertMail) -> None:
        self._mailing = True
        try:
            self.send(mail)
        finally:
            self._mailing = False

    # --- what there is to notice -------------------------------------------------------------

    @property
    def _finders(self) -> Mapping[AlertKind, Callable[[Transaction, datetime], States]]:
        return {
            AlertKind.NO_PLAN: self._unplanned,
            AlertKind.NOTHING_INGESTED: self._nothing_ingested,
            AlertKind.WATCHER_SILENT: self._watcher_silent,
        }

    def _raise_and_resolve(self) -> tuple[bool, bool]:
        """Whether the DAG is silent, and was given its time; and whether what it mails waits as long."""
        now = self.clock()
        with self.database.transaction(timeout_seconds=_CONNECTION_SECONDS) as transaction:
            figures.bound(transaction, _STATEMENTS_FOR)
            failures.take_turn(transaction)
            found = {kind: find(transaction, now) for kind, find in self._finders.items()}
            for kind, states in found.items():
                alerts.raise_alerts(transaction, states.all, now=now)
                alerts.resolve(transaction, kind, except_keys=states.lasting, now=now)
            oldest = alerts.oldest_unmailed(transaction)
        late = oldest is not None and now - oldest >= timedelta(minutes=self.settings.alert_watch_silence_minutes)
        return bool(found[AlertKind.WATCHER_SILENT].all), late

    def _unplanned(self, transaction: Transaction, now: datetime) -> States:
        if not self.settings.alert_plan_grace_minutes:  # this hospital plans nothing
            return States([], [])
        last = reminder_plans.last_planned_day(transaction)
        today = local_day(now, self.settings.timezone)
        new = [
            NewAlert(AlertKind.NO_PLAN, day.isoformat(), _key(day), details={"day": day.isoformat()})
            for day in self._days_to_plan(today, now, known=last is not None)
            if reminder_plans.planned_at(transaction, day) is None
        ]
        first = today - _DAYS_BACK if last is None else max(last + timedelta(days=1), today - _DAYS_BACK)
        return States(new, [_key(first + timedelta(days=ahead)) for ahead in range((today - first).days + 1)])

    def _days_to_plan(self, today: date, now: datetime, *, known: bool) -> Iterator[date]:
        """Days whose plan should be there by now: today, and yesterday when its time came after midnight only.

        A window that was over before anybody could plan (`known`: somebody ever did) is nobody's fault.
        """
        grace = timedelta(minutes=self.settings.alert_plan_grace_minutes)
        for day in (today - timedelta(days=1), today):
            opens, closes = self.settings.send_window.bounds(day, self.settings.timezone)
            of_today = opens + grace >= day_bounds(today, self.settings.timezone)[0]
            could_be = opens < closes and (known or self._began < closes)
            if of_today and could_be and now >= max(opens, self._began) + grace:
                yield day

    def _nothing_ingested(self, transaction: Transaction, now: datetime) -> States:
        """Where appointments come by events alone, there is nothing to miss."""
        patience = timedelta(hours=self.settings.alert_ingest_silence_hours)
        last = watched.last_loaded(transaction)
        if last is None and self.settings.patient_api_url is None:
            return States([], [])
        silent = now - (last or self._began) >= patience
        return self._silence(
            AlertKind.NOTHING_INGESTED,
            last,
            silent=silent,
            given_time=now - self._began >= min(patience, _FIRST_LOAD_WITHIN),
        )

    def _watcher_silent(self, transaction: Transaction, now: datetime) -> States:
        patience = timedelta(minutes=self.settings.alert_watch_silence_minutes)
        last = heartbeats.last_beat(transaction, heartbeats.WATCH_DELIVERY)
        return self._silence(
            AlertKind.WATCHER_SILENT,
            last,
            silent=last is None or now - last >= patience,
            given_time=now - self._began >= patience,
        )

    def _silence(self, kind: AlertKind, last: datetime | None, *, silent: bool, given_time: bool) -> States:
        """One that another process has raised goes on, although this one has just begun."""
        if not silent:
            return States([], [])
        since = None if last is None else last.isoformat()
        new = NewAlert(kind, _SILENT_DAGS[kind], kind.value, details={"since": since})
        return States([new] if given_time else [], [kind.value])


def _key(day: date) -> str:
    return f"{AlertKind.NO_PLAN}:{day.isoformat()}"
