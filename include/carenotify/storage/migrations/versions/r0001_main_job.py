"""Appointments in, reminders out."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = """
-- What the source told us ------------------------------------------------------------------------

CREATE TABLE patients (
    id              text PRIMARY KEY,
    sealed_contact  bytea NOT NULL,             -- name and addresses
    language        text,
    deceased        boolean NOT NULL,
    merged_into     text,
    address_indexes bytea[] NOT NULL,           -- blind index of every address
    content_hash    bytea NOT NULL,             -- keyed, so that nobody can guess names and numbers from it
    fetched_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
CREATE INDEX patients_by_address ON patients USING gin (address_indexes);

CREATE TABLE appointments (
    id             text PRIMARY KEY,
    patient_id     text NOT NULL,               -- no foreign key: an event can come before its patient
    start_at       timestamptz NOT NULL,
    end_at         timestamptz,
    venue          text NOT NULL,
    location_id    text,
    status         text NOT NULL,
    content_hash   bytea NOT NULL,              -- of what is true now
    load_hash      bytea,                       -- of what the last load said; only a difference to this is a change
    source_version text,
    fetched_at     timestamptz NOT NULL,        -- when the source was last asked; older answers change nothing
    updated_at     timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
CREATE INDEX appointments_by_start ON appointments (start_at);
CREATE INDEX appointments_by_patient ON appointments (patient_id, start_at);

CREATE TABLE ingest_runs (
    id              text PRIMARY KEY,           -- the DAG run's id, or the command's
    started_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    status          text NOT NULL CHECK (status IN ('running', 'loaded', 'held', 'released', 'discarded', 'failed')),
    reason          text,
    first_day       date NOT NULL,
    last_day        date NOT NULL,
    complete_days   date[] NOT NULL DEFAULT '{}',
    updates_complete boolean NOT NULL DEFAULT false,  -- whether all changes since the last such load were fetched
    counts          jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX ingest_runs_by_start ON ingest_runs (started_at);

CREATE TABLE staging_appointments (
    run_id          text NOT NULL REFERENCES ingest_runs (id) ON DELETE CASCADE,
    row_id          bigint GENERATED ALWAYS AS IDENTITY,
    part            text NOT NULL,              -- which mapped task fetched it: a day, "updates" or "missing"
    appointment_id  text,
    row_key         text NOT NULL,              -- the appointment's id, or a keyed hash of a row that has none
    sealed_row      bytea NOT NULL,             -- appointment and patient as the source gave them, normalised
    fetched_at      timestamptz NOT NULL,
    verdict         text CHECK (verdict IN ('good', 'address_left_out', 'rejected', 'duplicate')),
    rules           text[] NOT NULL DEFAULT '{}',
    bad_contacts    int[] NOT NULL DEFAULT '{}', -- positions of the addresses to leave out
    PRIMARY KEY (run_id, row_id)
);
CREATE INDEX staging_by_part ON staging_appointments (run_id, part);
CREATE INDEX staging_by_appointment ON staging_appointments (run_id, appointment_id);

CREATE TABLE quarantine (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id          text NOT NULL,
    appointment_id  text,
    row_key         text NOT NULL,              -- as in staging; one open row each, however often it is met again
    rules           text[] NOT NULL,            -- the names of the rules that the row broke
    sealed_row      bytea NOT NULL,
    fetched_at      timestamptz NOT NULL,
    rejected        boolean NOT NULL,           -- false: only an address was left out, the appointment was loaded
    quarantined_at  timestamptz NOT NULL,
    resolved_at     timestamptz,
    resolution      text
);
CREATE UNIQUE INDEX quarantine_open ON quarantine (row_key) WHERE resolved_at IS NULL;
CREATE INDEX quarantine_by_appointment ON quarantine (appointment_id);
CREATE INDEX quarantine_by_run ON quarantine (run_id);

-- What patients asked for ------------------------------------------------------------------------

CREATE TABLE preferences (
    patient_id          text PRIMARY KEY,
    channels            text[] NOT NULL DEFAULT '{}',
    language            text,
    opted_out_channels  text[] NOT NULL DEFAULT '{}',
    opted_out_kinds     text[] NOT NULL DEFAULT '{}',
    updated_at          timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE suppressions (
    address_index   bytea PRIMARY KEY,
    reason          text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now()
);

-- Wording ----------------------------------------------------------------------------------------

CREATE TABLE templates (
    code            text PRIMARY KEY,
    created_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE template_versions (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code            text NOT NULL REFERENCES templates (code),
    channel         text NOT NULL,
    language        text NOT NULL,
    version         int NOT NULL,
    subject         text,
    text            text NOT NULL,
    html            text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (code, channel, language, version)
);

-- Notifications ----------------------------------------------------------------------------------

CREATE TABLE notifications (
    id                  uuid PRIMARY KEY,       -- UUIDv7 (RFC 9562): sorts by time of making
    dedup_key           text COLLATE "C" NOT NULL UNIQUE,
    kind                text NOT NULL,
    lane                text NOT NULL,
    channel             text NOT NULL,
    patient_id          text NOT NULL,
    status              text NOT NULL DEFAULT 'pending',
    reason              text,
    due_at              timestamptz NOT NULL,
    expires_at          timestamptz NOT NULL,
    template_version_id bigint NOT NULL REFERENCES template_versions (id),
    sealed_data         bytea NOT NULL,         -- the wording's data as of the day it was planned
    attempts            int NOT NULL DEFAULT 0,
    publish_until       timestamptz,            -- lease of whoever is publishing it
    claim_token         uuid,
    claimed_until       timestamptz,            -- lease of the worker that is sending it
    possible_duplicate  boolean NOT NULL DEFAULT false,
    provider            text,
    provider_message_id text,
    error_code          text,
    created_at          timestamptz NOT NULL DEFAULT now(),
    queued_at           timestamptz,
    finished_at         timestamptz
) WITH (fillfactor = 70);
CREATE INDEX notifications_due ON notifications (lane, due_at) WHERE status = 'pending';
CREATE INDEX notifications_claimed ON notifications (claimed_until) WHERE status = 'sending';
CREATE INDEX notifications_waiting ON notifications (expires_at) WHERE status IN ('pending', 'queued');
CREATE INDEX notifications_by_patient ON notifications (patient_id, created_at);
-- Rows come in the order of their making, so a few pages of index find a day.
CREATE INDEX notifications_by_day ON notifications USING brin (created_at);

CREATE TABLE notification_appointments (
    notification_id uuid NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
    appointment_id  text NOT NULL,
    content_hash    bytea NOT NULL,             -- what the notification tells; another hash now means: do not send
    PRIMARY KEY (notification_id, appointment_id)
);
CREATE INDEX notification_appointments_by_appointment ON notification_appointments (appointment_id);

CREATE TABLE reminder_skips (
    day             date NOT NULL,              -- the day of the plan
    patient_id      text NOT NULL,
    appointment_day date NOT NULL,
    reason          text NOT NULL,
    appointments    int NOT NULL,
    PRIMARY KEY (day, patient_id, appointment_day, reason)
);

CREATE TABLE delivery_attempts (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    notification_id uuid NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
    attempt         int NOT NULL,
    provider        text,
    outcome         text NOT NULL,
    code            text,
    finished_at     timestamptz NOT NULL
);
CREATE INDEX delivery_attempts_by_notification ON delivery_attempts (notification_id);

CREATE TABLE dead_letters (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    notification_id uuid NOT NULL,
    reason          text NOT NULL,
    code            text,
    attempts        int NOT NULL,
    created_at      timestamptz NOT NULL,
    resolved_at     timestamptz,
    resolution      text
);
CREATE INDEX dead_letters_open ON dead_letters (created_at) WHERE resolved_at IS NULL;
CREATE INDEX dead_letters_by_notification ON dead_letters (notification_id);

CREATE TABLE pauses (
    channel         text PRIMARY KEY,           -- a channel, or '*' for all of them
    paused_at       timestamptz NOT NULL,
    paused_by       text NOT NULL
);
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(STATEMENTS)


def downgrade() -> None:
    """There is nothing before the first version."""
    raise NotImplementedError("the first version cannot be taken back; drop the schema instead")
