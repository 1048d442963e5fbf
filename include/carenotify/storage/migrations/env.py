"""Alembic's entry: runs the versions over the connection that `carenotify.storage.migrate` hands in."""

from __future__ import annotations

from alembic import context

SCHEMA = "carenotify"

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table_schema=SCHEMA)
with context.begin_transaction():
    context.run_migrations()
