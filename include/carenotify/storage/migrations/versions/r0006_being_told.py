"""Alerts, signs of life, and what traces and the page look for."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"

STATEMENTS = """
-- Alerts -----------------------------------------------------------------------------------------

CREATE TABLE alerts (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text NOT NULL,                  -- domain/alert.py lists them
    subject     text NOT NULL,                  -- what it is about, in ids and codes: a run, a reason, a provider
    dedup_key   text UNIQUE,                    -- what is raised only once, such as "no_plan:2026-11-21"
    channel     text,
    count       int NOT NULL DEFAULT 1,
    details     jsonb NOT NULL DEFAULT '{}',    -- ids, codes and counts; nothing personal
    raised_at   timestamptz NOT NULL,
    resolved_at timestamptz,                    -- when a state that lasted was over
    mail_id     uuid,                           -- the mail that it is in, by which the Message-ID stays the same
    mail_until  timestamptz,                    -- lease of whoever is mailing it
    mailed_at   timestamptz                     -- when a mail server took it
);
CREATE INDEX alerts_to_mail ON alerts (raised_at) WHERE mailed_at IS NULL;
CREATE INDEX alerts_that_last ON alerts (kind) WHERE dedup_key IS NOT NULL AND resolved_at IS NULL;
CREATE INDEX alerts_by_time ON alerts (raised_at, id);

-- The failure that staff were last told of, by its `finished_at`: one that fails again is a new one.
ALTER TABLE notifications
    ADD COLUMN alerted_for  timestamptz,
    ADD COLUMN traceparent  text;               -- W3C Trace Context of what asked for it; null while nobody traces
ALTER TABLE dead_letters ADD COLUMN alerted_at timestamptz;
UPDATE notifications SET alerted_for = finished_at
WHERE status IN ('failed', 'bounced', 'suppressed', 'unsubscribed', 'expired');
UPDATE dead_letters SET alerted_at = created_at;
CREATE INDEX notifications_to_alert ON notifications (finished_at)
    WHERE status IN ('failed', 'bounced', 'suppressed', 'unsubscribed', 'expired')
      AND alerted_for IS DISTINCT FROM finished_at;
CREATE INDEX dead_letters_to_alert ON dead_letters (created_at) WHERE alerted_at IS NULL;

-- Signs of life ----------------------------------------------------------------------------------

CREATE TABLE heartbeats (
    name        text PRIMARY KEY,               -- what runs, such as "watch_delivery"
    beat_at     timestamptz NOT NULL
);

CREATE TABLE reminder_plans (
    day             date PRIMARY KEY,           -- the hospital's day whose window was planned
    planned_at      timestamptz NOT NULL,       -- the first time; a second plan of a day changes the counts
    patient_days    int NOT NULL,
    planned         int NOT NULL
);
-- Days that were planned before their plans were noted: nobody is to miss the plan of the day of this upgrade. The zone
-- of this transaction is the hospital's.
INSERT INTO reminder_plans (day, planned_at, patient_days, planned)
SELECT (due_at AT TIME ZONE current_setting('TimeZone'))::date AS day, min(created_at),
       count(DISTINCT patient_id), count(*)
FROM notifications
WHERE kind = 'reminder' AND fallback_of IS NULL AND created_at > now() - interval '3 days'
GROUP BY 1;

-- The page ---------------------------------------------------------------------------------------

-- What is rare is found among millions; what is usual is found by time.
CREATE INDEX notifications_unhappy ON notifications (status, id)
    WHERE status IN ('failed', 'bounced', 'suppressed', 'unsubscribed', 'expired', 'cancelled', 'superseded');
-- Neither has an entry for a reminder that goes its usual way, so sending reminders costs nothing more.
CREATE INDEX notifications_by_reason ON notifications (reason, id) WHERE reason IS NOT NULL;
CREATE INDEX notifications_by_unusual_kind ON notifications (kind, id) WHERE kind <> 'reminder';
-- Which of them come together, such as mails that no receipt says were delivered: nearly none.
CREATE STATISTICS notifications_together (mcv) ON kind, channel, status FROM notifications;
-- A few pages of index find what happened on a day. Without autosummarize, the newest rows are not in them before the
-- table is vacuumed, which is after it has grown by a fifth, and a look at today would go through days of rows.
CREATE INDEX delivery_attempts_by_time ON delivery_attempts USING brin (finished_at) WITH (autosummarize = on);
ALTER INDEX notifications_by_day SET (autosummarize = on);
ALTER INDEX receipts_by_time SET (autosummarize = on);
ALTER INDEX change_events_by_time SET (autosummarize = on);
"""


def upgrade() -> None:
    """Create the tables and columns; failures of before count as told."""
    op.execute(STATEMENTS)


def downgrade() -> None:
    """Drop them."""
    for index in ("notifications_by_day", "receipts_by_time", "change_events_by_time"):
        op.execute(f"ALTER INDEX {index} RESET (autosummarize)")
    op.execute("DROP STATISTICS notifications_together")
    op.execute("DROP INDEX delivery_attempts_by_time, notifications_by_unusual_kind, notifications_by_reason")
    op.execute("DROP INDEX notifications_unhappy, notifications_to_alert, dead_letters_to_alert")
    op.execute("DROP TABLE reminder_plans, heartbeats, alerts")
    op.execute("ALTER TABLE dead_letters DROP COLUMN alerted_at")
    op.execute("ALTER TABLE notifications DROP COLUMN alerted_for, DROP COLUMN traceparent")
