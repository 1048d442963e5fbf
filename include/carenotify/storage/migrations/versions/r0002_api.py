"""Who may use the HTTP surface, and who did what."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = """
CREATE TABLE api_keys (
    id           text PRIMARY KEY,              -- the part of a key that may be shown
    name         text NOT NULL,
    key_hash     bytea NOT NULL UNIQUE,         -- SHA-256 of the whole key, which is stored nowhere
    scopes       text[] NOT NULL,
    created_at   timestamptz NOT NULL,
    created_by   text NOT NULL,
    last_used_at timestamptz,                   -- to ten minutes or so
    revoked_at   timestamptz,
    revoked_by   text
);

CREATE TABLE audit_log (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    happened_at timestamptz NOT NULL,
    actor       text NOT NULL,                  -- key:<id>, person:<Airflow user> or command:<system user>
    action      text NOT NULL,
    subject     text NOT NULL                   -- ids and codes only
);
CREATE INDEX audit_log_by_time ON audit_log (happened_at);
CREATE INDEX audit_log_by_subject ON audit_log (subject, happened_at);
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(STATEMENTS)


def downgrade() -> None:
    """Drop the tables, and every key with them."""
    op.execute("DROP TABLE audit_log, api_keys")
