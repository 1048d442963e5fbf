"""The figures of days on which nothing changes any more, kept so that nobody counts them again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime

from psycopg.types.json import Jsonb

from carenotify.storage.database import Transaction
from carenotify.storage.delivery_report import ReportedDay

_FIND = """
SELECT patient_days_due, patient_days_reached, untold, by_channel, failures
FROM settled_days
WHERE timezone = %(timezone)s AND day = %(day)s
"""

# What the first one counted stays. Of days before the oldest notification nothing is known: what there was is gone.
_KEEP = """
INSERT INTO settled_days
    (timezone, day, patient_days_due, patient_days_reached, untold, by_channel, failures, counted_at)
SELECT %(timezone)s, %(day)s, %(patient_days_due)s, %(patient_days_reached)s, %(untold)s, %(by_channel)s, %(failures)s,
       %(now)s
WHERE (SELECT created_at FROM notifications ORDER BY id LIMIT 1) < %(until)s
ON CONFLICT DO NOTHING
"""

_MISSING = """
SELECT recent.day
FROM (SELECT %(last)s::date - days_ago AS day FROM generate_series(0, %(at_most)s - 1) AS days_ago) recent
WHERE recent.day >= (SELECT (created_at AT TIME ZONE %(timezone)s)::date FROM notifications ORDER BY id LIMIT 1)
  AND NOT EXISTS (SELECT FROM settled_days s WHERE s.timezone = %(timezone)s AND s.day = recent.day)
ORDER BY recent.day DESC
"""


@dataclass(frozen=True, slots=True)
class DayFigures:
    """Due, reached and untold are patient-days; `by_channel` and `failures` (by reason) count reminders."""

    patient_days_due: int
    patient_days_reached: int
    untold: int
    by_channel: dict[str, int]
    failures: dict[str, int]


def find(transaction: Transaction, day: date, *, timezone: str) -> DayFigures | None:
    """What is kept of that day; None when nothing is."""
    row = transaction.execute(_FIND, {"day": day, "timezone": timezone}).fetchone()
    return None if row is None else DayFigures(*row)


def keep(transaction: Transaction, reported: ReportedDay, figures: DayFigures, *, now: datetime) -> None:
    """Keep a day's figures, unless somebody has, or it is older than all that is stored."""
    columns = asdict(figures) | {"by_channel": Jsonb(figures.by_channel), "failures": Jsonb(figures.failures)}
    where = {"timezone": reported.timezone, "day": reported.day, "until": reported.until}
    transaction.execute(_KEEP, columns | where | {"now": now})


def missing(transaction: Transaction, *, last: date, timezone: str, at_most: int) -> list[date]:
    """The days up to `last` that are not kept, newest first: none before the oldest notification, nor that long ago."""
    rows = transaction.execute(_MISSING, {"last": last, "timezone": timezone, "at_most": at_most})
    return [row[0] for row in rows]
