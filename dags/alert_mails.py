"""What every DAG does when a run of it fails, or is not done in time: a mail to staff at once, and an alert.

The alert is on the page; when no mail server took the mail, `watch_delivery` mails it later.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import NAMESPACE_URL, UUID, uuid5

from airflow.sdk import BaseNotifier, DeadlineAlert, DeadlineReference, SyncCallback

from airflow_mail import alert_sender, notify
from carenotify.app import App
from carenotify.domain.alert import AlertKind
from carenotify.domain.alert_mail import message_id_of
from carenotify.errors import AlertNotSentError, DatabaseUnavailableError, StorageError
from carenotify.journeys.note_failure import (
    note_deadline_missed,
    note_load_held,
    note_mailed,
    note_perhaps_mailed,
    note_run_failed,
    note_unmailed,
)
from carenotify.storage.database import Database
from day_of_run import opened_app
from private_errors import private_errors

# What calls us does one thing after the other, and a mail is what matters here.
_PATIENCE_SECONDS = 2
_RUN = "{{ address }}/dags/{{ dag_id }}/runs/{{ run_id | urlencode }}"
_WHERE = f'<a href="{_RUN}">{_RUN}</a>'


def _more(kind: AlertKind) -> str:
    return f"<p>In the handbook: docs/operations.md{kind.anchor}</p>\n"


def told_of_trouble(*, what_to_do: str, done_within: timedelta, loads: bool = False) -> dict[str, Any]:
    """A DAG's `on_failure_callback` and `deadline`: a run is to be done so long after it was queued.

    `loads`: its runs are loads, which can be held.
    """
    return {
        "on_failure_callback": [(LoadFailed if loads else RunFailed)(what_to_do=what_to_do)],
        "deadline": DeadlineAlert(
            reference=DeadlineReference.DAGRUN_QUEUED_AT,
            interval=done_within,
            callback=SyncCallback(DeadlineMissed, kwargs={"what_to_do": what_to_do}),
        ),
    }


class _RunNotifier(BaseNotifier):
    """Notes what happened to a run as an alert, and mails it at once: without our database all the same."""

    kind: ClassVar[AlertKind]
    subject: ClassVar[str]
    body: ClassVar[str]
    note: ClassVar[Callable[[Database, str, str, str, datetime], UUID | None]]

    def __init__(self, *, what_to_do: str, context: Any = None) -> None:
        super().__init__(context)
        self.what_to_do = what_to_do

    @private_errors
    def notify(self, context: Any) -> None:
        """Tell staff, unless they were told before."""
        run = self.run_to_tell_of(context)
        if run is None:
            return
        with opened_app("alert_mails") as app:
            try:
                mail_id = self._noted(app, *run)
            except StorageError as error:
                self.log.warning("The mail goes out without an alert on the page: %s", error)
                if app.settings.alert_to:
                    self._mail(app, self._id_without_a_database(*run), *run)
                return
            if mail_id is not None:
                self._mail_what_is_noted(app, mail_id, *run)

    @abstractmethod
    def run_to_tell_of(self, context: Any) -> tuple[str, str] | None:
        """The DAG's name and the run's id; None when there is nothing to tell."""

    def _id_without_a_database(self, dag_id: str, run_id: str) -> UUID:
        """The same whoever mails it: a scheduler may call twice."""
        return uuid5(NAMESPACE_URL, f"{self.kind}:{dag_id}:{run_id}")

    def _noted(self, app: App, dag_id: str, run_id: str) -> UUID | None:
        if not app.database.answers(timeout_seconds=_PATIENCE_SECONDS):
            raise DatabaseUnavailableError("the database does not answer")
        return type(self).note(app.database, dag_id, run_id, self.what_to_do, app.clock())

    def _mail_what_is_noted(self, app: App, mail_id: UUID, *run: str) -> None:
        if not app.settings.alert_to:
            note_unmailed(app.database, mail_id)
            return
        try:
            self._mail(app, mail_id, *run)
        except AlertNotSentError as error:
            if error.perhaps_taken:
                note_perhaps_mailed(app.database, mail_id, app.clock())
            else:
                note_unmailed(app.database, mail_id)
            raise
        note_mailed(app.database, mail_id, app.clock())

    def _mail(self, app: App, mail_id: UUID, dag_id: str, run_id: str) -> None:
        address = app.settings.public_url.rstrip("/")
        named = {"dag_id": dag_id, "run_id": run_id, "what_to_do": self.what_to_do, "address": address}
        message_id = message_id_of(mail_id, app.settings.email_from)
        notify(app.settings, message_id=message_id, subject=self.subject, html=self.body, named=named)


class RunFailed(_RunNotifier):
    """For `on_failure_callback`: one mail a run, however many of its tasks failed."""

    kind = AlertKind.TASK_FAILED
    # Names only what every such context has and is true: a manual run has no logical date, the task instance that
    # comes along is the run's last one, which need not be the one that failed, and an exception's text may hold data.
    subject = "carenotify: {{ dag_id }} failed"
    body = f"""\
<p>The run <b>{{{{ run_id | e }}}}</b> of <b>{{{{ dag_id }}}}</b> failed.</p>
<p>What to do: {{{{ what_to_do | e }}}}</p>
<p>Which task failed, and why, stands here: {_WHERE}. After mending the cause, clear the failed tasks there: they can \
be run again without harm.</p>
{_more(kind)}"""
    note = staticmethod(note_run_failed)

    def run_to_tell_of(self, context: Any) -> tuple[str, str]:
        """The run that failed."""
        return context["dag"].dag_id, context["run_id"]


class LoadFailed(RunFailed):
    """For a DAG that loads: a load that is held is told as that, with the reason, since staff are told of its end too.

    Every other failure is told as that of any run.
    """

    @private_errors
    def notify(self, context: Any) -> None:
        """Tell staff, unless they were told before."""
        _, run_id = self.run_to_tell_of(context)
        with opened_app("alert_mails") as app:
            held = self._notes_that_it_is_held(app, run_id)
            if held:
                app.alert_mailer.mail(alert_sender(app.settings, app.clock), kinds=[AlertKind.LOAD_HELD])
        if not held:
            super().notify(context)

    def _notes_that_it_is_held(self, app: App, run_id: str) -> bool:
        try:
            return app.database.answers(timeout_seconds=_PATIENCE_SECONDS) and note_load_held(
                app.database, run_id, app.clock()
            )
        except StorageError as error:
            self.log.warning("Whether the load is held cannot be found out: %s", error)
            return False


class DeadlineMissed(_RunNotifier):
    """For a `DeadlineAlert`'s callback, which knows the run as Airflow's REST API shows it."""

    kind = AlertKind.DEADLINE_MISSED
    subject = "carenotify: {{ dag_id }} takes too long"
    body = f"""\
<p>The run <b>{{{{ run_id | e }}}}</b> of <b>{{{{ dag_id }}}}</b> was not done in its time. Nobody has stopped it.</p>
<p>What to do: see which task it is in, and whether that goes on or waits: {_WHERE}. You are told when it \
fails. Then: {{{{ what_to_do | e }}}}</p>
{_more(kind)}"""
    note = staticmethod(note_deadline_missed)

    def run_to_tell_of(self, context: Any) -> tuple[str, str] | None:
        """The run that is late: not one that has failed, which staff were told of, nor one that waits in a backfill."""
        run = context["dag_run"]
        if run["state"] == "failed" or run["run_type"] == "backfill":
            return None
        return run["dag_id"], run["dag_run_id"]
