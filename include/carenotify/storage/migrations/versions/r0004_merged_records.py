"""The records of a person whose records were merged."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = """
CREATE INDEX patients_by_survivor ON patients (merged_into) WHERE merged_into IS NOT NULL;

-- Ids of every stored record of the person behind a record, the surviving one first; null for an unknown id.
-- Merges are followed to their end, ten at most, since a source may say that two records replaced each other.
CREATE FUNCTION person_records(patient_id text) RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH RECURSIVE replaced AS (
        SELECT id, merged_into, 1 AS step FROM carenotify.patients WHERE id = $1
        UNION ALL
        SELECT p.id, p.merged_into, step + 1
        FROM replaced JOIN carenotify.patients p ON p.id = replaced.merged_into WHERE step < 10
    ),
    survivor AS (
        SELECT id FROM replaced ORDER BY step DESC LIMIT 1
    ),
    person AS (
        SELECT id FROM survivor
        UNION
        SELECT p.id FROM person JOIN carenotify.patients p ON p.merged_into = person.id
    )
    SELECT array_agg(id ORDER BY id <> (SELECT id FROM survivor), id) FROM person
$$;
"""


def upgrade() -> None:
    """Add the function and the index that it needs."""
    op.execute(STATEMENTS)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP FUNCTION person_records")
    op.execute("DROP INDEX patients_by_survivor")
