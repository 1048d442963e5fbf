"""Change events, and requests that may be repeated."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = """
-- When what an appointment row says became true in the hospital: an older event, or a page that lags, changes nothing.
ALTER TABLE appointments ADD COLUMN known_at timestamptz;

CREATE TABLE change_events (
    event_id         text PRIMARY KEY,
    type             text NOT NULL,
    source           text NOT NULL CHECK (source IN ('api', 'fhir', 'load')),
    appointment_id   text NOT NULL,
    occurred_at      timestamptz NOT NULL,
    received_at      timestamptz NOT NULL,
    body_hash        bytea NOT NULL,            -- keyed; another body under the same id is refused
    sealed_body      bytea NOT NULL,
    outcome          text,
    reason           text,
    notification_ids uuid[] NOT NULL DEFAULT '{}'
);
CREATE INDEX change_events_by_appointment ON change_events (appointment_id, received_at);
CREATE INDEX change_events_by_time ON change_events USING brin (received_at);

CREATE TABLE idempotency_keys (
    caller           text NOT NULL,
    key              text NOT NULL,
    body_hash        bytea NOT NULL,
    notification_ids uuid[] NOT NULL DEFAULT '{}',
    reason           text,                      -- why nobody is told
    created_at       timestamptz NOT NULL,
    PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);

-- Notifications that wait for an address which only the source knows.
CREATE INDEX notifications_awaiting_contact ON notifications (publish_until NULLS FIRST)
    WHERE status = 'pending' AND reason = 'awaiting_contact';
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(STATEMENTS)


def downgrade() -> None:
    """Drop the tables; notifications that events led to stay."""
    op.execute("DROP INDEX notifications_awaiting_contact")
    op.execute("DROP TABLE idempotency_keys, change_events")
    op.execute("ALTER TABLE appointments DROP COLUMN known_at")
