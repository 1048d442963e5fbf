"""The figures of days on which nothing changes any more."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"

STATEMENTS = """
-- Counting a day reads all of its reminders and appointments, and a month has thirty of them. Counts only, nobody's
-- data: they may stay when those rows are gone.
CREATE TABLE settled_days (
    timezone             text NOT NULL,         -- whose day it is: in another zone it has other hours
    day                  date NOT NULL,
    patient_days_due     int NOT NULL,
    patient_days_reached int NOT NULL,
    untold               int NOT NULL,          -- patient-days
    by_channel           jsonb NOT NULL,        -- reminders
    failures             jsonb NOT NULL,        -- reminders by reason
    counted_at           timestamptz NOT NULL,
    PRIMARY KEY (timezone, day)
);
"""


def upgrade() -> None:
    """Create the table; workers fill it, newest day first."""
    op.execute(STATEMENTS)


def downgrade() -> None:
    """Drop it: days are counted whenever somebody looks at them."""
    op.execute("DROP TABLE settled_days")
