"""Which days' reminders were planned, so that a day without a plan is noticed."""

from __future__ import annotations

from datetime import date, datetime

from carenotify.storage.database import Transaction

_NOTE = """
INSERT INTO reminder_plans AS plan (day, planned_at, patient_days, planned)
VALUES (%(day)s, %(now)s, %(patient_days)s, %(planned)s)
ON CONFLICT (day) DO UPDATE
SET patient_days = plan.patient_days + excluded.patient_days, planned = plan.planned + excluded.planned
"""


def note(transaction: Transaction, day: date, *, patient_days: int, planned: int, now: datetime) -> None:
    """A day's window was planned: so many patient-days, as so many messages. Another plan of the day adds to them."""
    transaction.execute(_NOTE, {"day": day, "patient_days": patient_days, "planned": planned, "now": now})


def planned_at(transaction: Transaction, day: date) -> datetime | None:
    """When that day's window was first planned; None if it was not."""
    row = transaction.execute("SELECT planned_at FROM reminder_plans WHERE day = %s", (day,)).fetchone()
    return None if row is None else row[0]


def planned_before(transaction: Transaction, day: date) -> bool:
    """Whether any window of an earlier day was planned."""
    row = transaction.execute("SELECT EXISTS (SELECT FROM reminder_plans WHERE day < %s)", (day,)).fetchone()
    return row is not None and bool(row[0])


def last_planned_day(transaction: Transaction) -> date | None:
    """The newest day whose window was planned; None before the first one."""
    row = transaction.execute("SELECT max(day) FROM reminder_plans").fetchone()
    return None if row is None else row[0]
