"""Receipts, replies, fallback, the health and the pace of providers, and dead letters of every source."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

STATEMENTS = """
-- What providers and people say afterwards -------------------------------------------------------

CREATE TABLE receipts (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    notification_id     uuid NOT NULL,              -- no foreign key: a receipt can come before our own commit, or late
    provider            text NOT NULL,
    provider_message_id text NOT NULL,
    provider_status     text NOT NULL,              -- the provider's own word
    status              text,                       -- where it moves the notification; null when it is only progress
    code                text,
    received_at         timestamptz NOT NULL,
    applied_at          timestamptz,                -- when it was looked at together with a notification of that id
    UNIQUE (notification_id, provider, provider_message_id, provider_status)
);
CREATE INDEX receipts_unapplied ON receipts (received_at) WHERE applied_at IS NULL;
CREATE INDEX receipts_by_time ON receipts USING brin (received_at);

CREATE TABLE inbound_messages (
    id              text PRIMARY KEY,               -- the provider's id of it, so that it is taken in once
    channel         text NOT NULL,
    address_index   bytea NOT NULL,                 -- blind index of who wrote
    sealed_body     bytea NOT NULL,
    meaning         text NOT NULL,                  -- stop, start, help or other
    received_at     timestamptz NOT NULL
);

-- A number may be unknown to the carrier and have said STOP: START takes back only the latter.
ALTER TABLE suppressions DROP CONSTRAINT suppressions_pkey;
ALTER TABLE suppressions ADD PRIMARY KEY (address_index, reason);

-- Fallback ---------------------------------------------------------------------------------------

ALTER TABLE notifications
    ADD COLUMN sent_to          bytea,              -- blind index of the address that the last attempt went to
    ADD COLUMN tried_addresses  bytea[] NOT NULL DEFAULT '{}',  -- addresses that this message has failed at before
    ADD COLUMN fallback_of      uuid REFERENCES notifications (id) ON DELETE SET NULL,  -- whose place it takes
    ADD COLUMN followed_up_at   timestamptz,        -- when it was decided whether another one takes its place
    ADD COLUMN looked_up_at     timestamptz;        -- when the provider was last asked for a receipt that did not come
-- What reached nobody, or never got a receipt, and nobody has decided yet what follows.
CREATE INDEX notifications_to_follow_up ON notifications (finished_at)
    WHERE status IN ('failed', 'bounced', 'suppressed', 'unsubscribed', 'expired')
      AND (followed_up_at IS NULL OR followed_up_at < finished_at);
-- What is put back each time, by providers that are well.
CREATE INDEX notifications_held_back ON notifications (expires_at)
    WHERE status IN ('pending', 'queued') AND reason IN ('throttled', 'misconfigured');
CREATE INDEX notifications_without_receipt ON notifications (finished_at) WHERE status = 'sent';
CREATE INDEX notifications_by_fallback ON notifications (fallback_of) WHERE fallback_of IS NOT NULL;

-- Providers --------------------------------------------------------------------------------------

CREATE TABLE provider_states (
    provider    text PRIMARY KEY,
    state       text NOT NULL CHECK (state IN ('closed', 'open', 'half_open')),
    failures    int NOT NULL DEFAULT 0,             -- in a row, while closed
    successes   int NOT NULL DEFAULT 0,             -- in a row, while half open
    retry_at    timestamptz,                        -- when an open breaker lets a trial through
    changed_at  timestamptz NOT NULL,
    last_code   text
);

CREATE TABLE provider_rates (
    provider    text PRIMARY KEY,
    tokens      double precision NOT NULL,          -- messages that may be handed over now
    refilled_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Dead letters -----------------------------------------------------------------------------------

-- What the broker gave up may be no message of ours at all, so it has a source and, sealed, what it was.
ALTER TABLE dead_letters
    ALTER COLUMN notification_id DROP NOT NULL,
    ADD COLUMN source         text NOT NULL DEFAULT 'delivery' CHECK (source IN ('delivery', 'broker')),
    ADD COLUMN queue          text,
    ADD COLUMN message_hash   bytea UNIQUE,         -- a broken message is one dead letter, however often it comes
    ADD COLUMN sealed_message bytea,
    ADD COLUMN resolved_by    text;
"""


def upgrade() -> None:
    """Create the tables and columns."""
    op.execute(STATEMENTS)


def downgrade() -> None:
    """Drop them; what fell back stays as a notification of its own."""
    op.execute("DELETE FROM dead_letters WHERE notification_id IS NULL")
    op.execute("""
        ALTER TABLE dead_letters
            ALTER COLUMN notification_id SET NOT NULL,
            DROP COLUMN source, DROP COLUMN queue, DROP COLUMN message_hash, DROP COLUMN sealed_message,
            DROP COLUMN resolved_by
    """)
    op.execute("DROP TABLE provider_rates, provider_states, inbound_messages, receipts")
    op.execute("DROP INDEX notifications_held_back, notifications_without_receipt")
    op.execute("""
        ALTER TABLE notifications
            DROP COLUMN sent_to, DROP COLUMN tried_addresses, DROP COLUMN fallback_of, DROP COLUMN followed_up_at,
            DROP COLUMN looked_up_at
    """)
    op.execute(
        "DELETE FROM suppressions a USING suppressions b "
        "WHERE a.address_index = b.address_index AND a.reason > b.reason"
    )
    op.execute("ALTER TABLE suppressions DROP CONSTRAINT suppressions_pkey")
    op.execute("ALTER TABLE suppressions ADD PRIMARY KEY (address_index)")
