"""The days before a believable one, for its month: sixty patients a day, nearly all of them reached."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

import uuid6

from carenotify.app import App
from carenotify.domain.appointment import Appointment, AppointmentStatus, Venue
from carenotify.domain.window import local_day
from carenotify.storage.database import Transaction

_PATIENTS_A_DAY = 60

_APPOINTMENTS = """
INSERT INTO appointments (id, patient_id, start_at, venue, status, content_hash, load_hash, fetched_at, updated_at)
SELECT id, patient_id, start_at, 'Eye clinic', 'booked', content_hash, content_hash, told_at, told_at
FROM unnest(%(ids)s::text[], %(patients)s::text[], %(starts)s::timestamptz[], %(hashes)s::bytea[],
            %(told_ats)s::timestamptz[]) AS a (id, patient_id, start_at, content_hash, told_at)
"""

_REMINDERS = """
WITH past AS (
    SELECT * FROM unnest(%(uuids)s::uuid[], %(ids)s::text[], %(patients)s::text[], %(hashes)s::bytea[],
                         %(told_ats)s::timestamptz[], %(days)s::date[], %(channels)s::text[], %(statuses)s::text[],
                         %(reasons)s::text[])
        AS p (id, appointment_id, patient_id, content_hash, told_at, appointment_day, channel, status, reason)
),
told AS (
    INSERT INTO notifications (id, dedup_key, kind, lane, channel, patient_id, status, reason, due_at, expires_at,
                               template_version_id, sealed_data, attempts, provider, created_at, queued_at, finished_at,
                               followed_up_at)
    SELECT p.id, 'reminder:' || p.patient_id || ':' || p.appointment_day || ':' || p.channel || ':1', 'reminder', 'low',
           p.channel, p.patient_id, p.status, p.reason, p.told_at, p.told_at + interval '3 h', t.id, %(sealed)s, 1,
           CASE p.channel WHEN 'sms' THEN 'twilio' ELSE 'smtp' END, p.told_at, p.told_at, p.told_at + interval '5 min',
           p.told_at + interval '6 min'
    FROM past p
    JOIN template_versions t
      ON t.code = 'reminder' AND t.channel = p.channel AND t.language = 'en' AND t.version = 1
)
INSERT INTO notification_appointments (notification_id, appointment_id, content_hash)
SELECT id, appointment_id, content_hash FROM past
"""

_LETTERS = """
INSERT INTO dead_letters (notification_id, reason, code, attempts, created_at, resolved_at, resolution, resolved_by)
SELECT id, COALESCE(reason, 'carrier'), '30003', 1, finished_at,
       CASE WHEN settled <> 'open' THEN finished_at + interval '20 min' END, NULLIF(settled, 'open'),
       CASE WHEN settled IN ('replayed', 'discarded') THEN 'person:op' END
FROM (
    SELECT *, (ARRAY['open', 'replayed', 'discarded', 'fallback', 'told_otherwise', 'delivered'])[
        row_number() OVER (ORDER BY id DESC) %% 6 + 1] AS settled
    FROM notifications WHERE created_at < %(since)s AND status = 'failed'
) failed
"""


def play_past(transaction: Transaction, app: App, today: date, *, days: int = 23) -> None:
    """Insert the reminders of the days before, with their appointments; call it before today's are planned."""
    rows = list(_rows(app, today, days))
    data = {"given_name": "Ada", "appointments": [{"start": rows[-1][0].start.isoformat(), "venue": "Eye clinic"}]}
    columns = {
        "uuids": [uuid6.uuid7() for _ in rows],
        "ids": [one.id for one, _ in rows],
        "patients": [one.patient_id for one, _ in rows],
        "starts": [one.start for one, _ in rows],
        "hashes": [one.content_hash for one, _ in rows],
        "told_ats": [told_at for _, told_at in rows],
        "days": [local_day(one.start, app.settings.timezone) for one, _ in rows],
        "channels": ["email" if place % 4 == 3 else "sms" for place in range(len(rows))],
        "statuses": ["failed" if place % 131 == 7 else "delivered" for place in range(len(rows))],
        "reasons": ["carrier" if place % 131 == 7 else None for place in range(len(rows))],
    }
    transaction.execute(_APPOINTMENTS, columns)
    transaction.execute(_REMINDERS, columns | {"sealed": app.sealer.seal(data)})
    since = datetime.combine(today, time(), app.settings.timezone)
    transaction.execute(_LETTERS, {"since": since})


def _rows(app: App, today: date, days: int) -> Iterator[tuple[Appointment, datetime]]:
    """Each appointment, and when it was told of; oldest first."""
    zone = app.settings.timezone
    for back in range(days, 0, -1):
        day = today - timedelta(days=back)
        told_at, _ = app.settings.send_window.bounds(day, zone)
        for number in range(_PATIENTS_A_DAY):
            patient_id = f"pat-{(back * _PATIENTS_A_DAY + number) % 280:04}"
            start = datetime.combine(day + timedelta(days=3), time(9 + number % 7), zone)
            venue = Venue("Eye clinic")
            appointment = Appointment(f"past-{back}-{number}", patient_id, start, None, venue, AppointmentStatus.BOOKED)
            yield appointment, told_at
