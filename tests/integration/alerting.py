"""What tests of alerts are played with: messages that fail, a mailbox of staff, and an app that mails it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from carenotify.app import App, build_app
from carenotify.domain.alert import Alert
from carenotify.domain.alert_mail import AlertMail
from carenotify.errors import AlertNotSentError
from carenotify.storage import alerts
from tests.integration.ward import NOON, Hospital, SetClock

STAFF = {"alert_to": ("staff@hospital.example",), "email_from": "St. Mary <info@hospital.example>"}

_INSERT = """
INSERT INTO notifications (id, dedup_key, kind, lane, channel, patient_id, status, reason, error_code, due_at,
                           expires_at, template_version_id, sealed_data, created_at, finished_at, followed_up_at)
SELECT gen_random_uuid(), 'reminder:' || patient || ':2026-11-27:' || %(channel)s || ':1', 'reminder', 'low',
       %(channel)s, patient, %(status)s, %(reason)s, %(code)s, %(at)s, %(at)s + interval '1 hour', template.id, '',
       %(at)s, CASE WHEN %(status)s NOT IN ('pending', 'queued', 'sending') THEN %(at)s END,
       CASE WHEN %(decided)s THEN %(at)s END
FROM (SELECT %(name)s || number AS patient FROM generate_series(1, %(many)s) AS number) patients,
     (SELECT min(id) AS id FROM template_versions) template
RETURNING id
"""


@dataclass
class Messages:
    """Puts notifications where delivery would leave them."""

    hospital: Hospital

    def add(
        self,
        many: int = 1,
        *,
        name: str = "anna",
        channel: str = "sms",
        status: str = "failed",
        reason: str | None = "retries_spent",
        code: str | None = "503",
        at: datetime = NOON,
        decided: bool = True,
    ) -> list[UUID]:
        """So many of one channel, each for a patient of its own; the same name again means the same patients."""
        parameters = locals() | {"self": None}
        with self.hospital.database.transaction() as transaction:
            return [row[0] for row in transaction.execute(_INSERT, parameters)]

    def fail_again(self, ids: Sequence[UUID], *, at: datetime, decided: bool = True) -> None:
        """Somebody replayed them, and they failed once more. What follows was decided of the last time, if not anew."""
        statement = (
            "UPDATE notifications SET finished_at = %s, followed_up_at = CASE WHEN %s THEN %s ELSE followed_up_at END"
            " WHERE id = ANY (%s) RETURNING 1"
        )
        self.hospital.query(statement, at, decided, at, list(ids))


@dataclass
class Mailbox:
    """Staff's mailbox behind a mail server that can be down, or lose its answers."""

    mails: list[AlertMail] = field(default_factory=list)
    down: bool = False
    answers_lost: bool = False

    def __call__(self, mail: AlertMail) -> None:
        if self.down:
            raise AlertNotSentError("connection-refused")
        self.mails.append(mail)
        if self.answers_lost:
            raise AlertNotSentError("unconfirmed", perhaps_taken=True)


_TABLES = (
    "notifications",
    "alerts",
    "dead_letters",
    "receipts",
    "provider_states",
    "pauses",
    "ingest_runs",
    "heartbeats",
    "reminder_plans",
    "appointments",
    "patients",
    "preferences",
    "suppressions",
    "notification_appointments",
)


def empty(hospital: Hospital) -> None:
    """As a database is at first, but for its templates."""
    deletions = ", ".join(f"d{number} AS (DELETE FROM {table})" for number, table in enumerate(_TABLES))
    hospital.query(f"WITH {deletions} SELECT 1")


def app_of_staff(app: App, clock: SetClock, **settings: object) -> App:
    """The app on the same database, for a hospital whose staff are mailed."""
    return build_app(app.settings.model_copy(update=STAFF | settings), clock=clock)


def all_alerts(app: App) -> list[Alert]:
    """Oldest first."""
    with app.database.transaction() as transaction:
        return alerts.page(transaction, limit=100_000)[::-1]
