"""What staff of a believable day are told of: alerts of every kind, a pause, a provider that is down, a held load."""

from __future__ import annotations

import uuid
from datetime import date, datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from carenotify.app import App
from carenotify.storage import audit_log
from carenotify.storage.database import Transaction


def _failures(status: str, reason: str, code: str, *, told: str, patients: int) -> dict[str, Any]:
    return {"status": status, "reason": reason, "code": code, "told": told, "patients": patients}


def _run(dag_id: str, run: str) -> dict[str, Any]:
    return {"dag_id": dag_id, "run": run, "what_to_do": "Open the run and look at the log of the task that failed."}


_HELD = {
    "status": "held",
    "reason": "patients would be told of 612 changes ahead",
    "besides": ["days that did not come whole: 2026-11-26"],
    "dag_id": "ingest_appointments",
    "run": "scheduled__2026-11-24T05",
}

# kind, subject, channel, count, details, minutes ago, over after minutes (None: goes on), mailed after minutes (None:
# waits).
_ALERTS: tuple[tuple[str, str, str | None, int, dict[str, Any], int, int | None, int | None], ...] = (
    ("no_plan", "2026-11-19", None, 1, {}, 4320, 25, 1),
    ("nothing_ingested", "3 h", None, 1, {}, 2880, 50, 1),
    ("watcher_silent", "watch_delivery", None, 1, {}, 1500, 12, 1),
    (
        "task_failed",
        "send_reminders scheduled__2026-11-23",
        None,
        1,
        _run("send_reminders", "scheduled__2026-11-23"),
        1440,
        None,
        1,
    ),
    (
        "deadline_missed",
        "ingest_appointments manual__1",
        None,
        1,
        _run("ingest_appointments", "manual__1"),
        1300,
        None,
        1,
    ),
    ("load_held", "scheduled__2026-11-24T05", None, 1, _HELD, 240, None, 2),
    (
        "broker_gave_up",
        "sms.low not_an_envelope rejected",
        None,
        1,
        {"reason": "not_an_envelope", "code": "rejected", "queue": "sms.low"},
        70,
        None,
        2,
    ),
    (
        "delivery_failed",
        "sms failed carrier 30003",
        "sms",
        4,
        _failures("failed", "carrier", "30003", told="nobody", patients=4),
        60,
        None,
        2,
    ),
    ("sending_stalled", "sms.low", "sms", 31, {}, 45, 20, 2),
    (
        "delivery_failed",
        "sms failed retries_spent 503",
        "sms",
        9,
        _failures("failed", "retries_spent", "503", told="otherwise", patients=9),
        30,
        None,
        2,
    ),
    ("provider_down", "smtp", "email", 1, {"provider": "smtp", "code": "421"}, 20, None, 2),
    (
        "delivery_failed",
        "email bounced bounced 550",
        "email",
        2,
        _failures("bounced", "bounced", "550", told="under_way", patients=2),
        10,
        None,
        2,
    ),
    ("paused_in_window", "email", "email", 1, {}, 3, None, None),
    (
        "delivery_failed",
        "sms failed address_rejected 21211",
        "sms",
        3,
        _failures("failed", "address_rejected", "21211", told="nobody", patients=3),
        1,
        None,
        None,
    ),
)


def play_troubles(transaction: Transaction, app: App, *, day: date, opens: datetime) -> None:
    """Insert them, with what the broker gave up and who did what."""
    now = app.clock()
    _raise_alerts(transaction, now)
    _name_samples(transaction)
    _give_up_messages(transaction, app, now)
    _load(transaction, day, opens)
    transaction.execute("INSERT INTO pauses VALUES ('email', %s, 'person:op')", (now - timedelta(minutes=3),))
    transaction.execute(
        "INSERT INTO provider_states (provider, state, failures, retry_at, changed_at, last_code)"
        " VALUES ('twilio', 'closed', 0, NULL, %(since)s, NULL), ('smtp', 'open', 5, %(retry)s, %(since)s, '421')",
        {"since": now - timedelta(minutes=20), "retry": now + timedelta(seconds=40)},
    )
    transaction.execute("INSERT INTO heartbeats VALUES ('watch_delivery', %s)", (now - timedelta(minutes=1),))
    transaction.execute(
        "INSERT INTO reminder_plans (day, planned_at, patient_days, planned)"
        " SELECT %(day)s, %(opens)s, count(DISTINCT patient_id), count(*)"
        " FROM notifications WHERE created_at = %(opens)s ON CONFLICT DO NOTHING",
        {"day": day, "opens": opens},
    )
    for minutes, action, subject in ((90, "pause", "sms"), (80, "resume", "sms"), (3, "pause", "email")):
        at = now - timedelta(minutes=minutes)
        audit_log.record(transaction, actor="person:op", action=action, subject=subject, now=at)


def _raise_alerts(transaction: Transaction, now: datetime) -> None:
    for kind, subject, channel, count, details, ago, lasted, mailed in _ALERTS:
        raised = now - timedelta(minutes=ago)
        transaction.execute(
            "INSERT INTO alerts (kind, subject, channel, count, details, raised_at, resolved_at, mail_id, mailed_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                kind,
                subject,
                channel,
                count,
                Jsonb(details),
                raised,
                None if lasted is None else raised + timedelta(minutes=lasted),
                None if mailed is None else uuid.uuid4(),
                None if mailed is None else raised + timedelta(minutes=mailed),
            ),
        )


def _name_samples(transaction: Transaction) -> None:
    """The first messages of each group of failures."""
    transaction.execute("""
        UPDATE alerts a SET details = a.details || jsonb_build_object('samples', (
            SELECT to_jsonb((array_agg(n.id ORDER BY n.id))[1:5]) FROM notifications n
            WHERE n.status = a.details ->> 'status' AND n.reason = a.details ->> 'reason' AND n.channel = a.channel
              AND n.error_code = a.details ->> 'code'))
        WHERE a.kind = 'delivery_failed'
    """)


def _give_up_messages(transaction: Transaction, app: App, now: datetime) -> None:
    """Two messages of which the broker got rid and that lead to no notification."""
    sealed = app.sealer.seal({"size": 14, "beginning": "bm90IGFuIGVudmVsb3Bl"})
    transaction.execute(
        "INSERT INTO dead_letters (source, notification_id, queue, reason, code, attempts, created_at, sealed_message)"
        " VALUES ('broker', NULL, 'sms.low', 'not_an_envelope', 'rejected', 3, %(at)s, %(sealed)s),"
        " ('broker', %(unknown)s, 'email.high', 'unknown_notification', 'rejected', 1, %(at)s, NULL)",
        {"at": now - timedelta(minutes=50), "sealed": sealed, "unknown": uuid.uuid4()},
    )


def _load(transaction: Transaction, day: date, opens: datetime) -> None:
    transaction.execute(
        "INSERT INTO ingest_runs (id, started_at, finished_at, status, reason, first_day, last_day, counts) VALUES"
        " ('scheduled__loaded', %(loaded)s, %(loaded)s + interval '40 s', 'loaded', NULL, %(day)s, %(last)s,"
        "  %(counts)s),"
        " ('scheduled__held', %(held)s, %(held)s + interval '35 s', 'held', 'too_many_changes', %(day)s, %(last)s,"
        "  %(counts)s)",
        {
            "loaded": opens - timedelta(hours=1),
            "held": opens - timedelta(hours=2),
            "day": day,
            "last": day + timedelta(days=14),
            "counts": Jsonb({"good": 292, "rejected": 3, "address_left_out": 2}),
        },
    )
