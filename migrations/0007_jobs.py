"""Jobs: work that is too long for a request, with what it was given and what it has changed.

A job that runs has a lease, which is renewed with each of its steps. What a job has changed is
listed by the message's id, or by another number that its kind knows.
"""

TABLES = """
CREATE TABLE jobs (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    kind text NOT NULL,
    params jsonb NOT NULL,
    reason text,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    status text NOT NULL,
    total_count integer,
    done_count integer NOT NULL DEFAULT 0,
    skipped_count integer NOT NULL DEFAULT 0,
    failed_count integer NOT NULL DEFAULT 0,
    breakdown jsonb NOT NULL,
    cursor jsonb,
    error text,
    fault_count smallint NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    stepped_at timestamptz,
    running_seconds real NOT NULL DEFAULT 0,
    lease_id uuid,
    lease_until timestamptz,
    cancelled_by text,
    undo_of_id integer REFERENCES jobs (id) ON DELETE SET NULL,
    CONSTRAINT jobs_status CHECK (
        status IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    CONSTRAINT jobs_finished CHECK ((finished_at IS NULL) = (status IN ('queued', 'running'))),
    CONSTRAINT jobs_lease CHECK ((lease_id IS NULL) = (lease_until IS NULL)),
    CONSTRAINT jobs_leased_while_running CHECK (lease_id IS NULL OR status = 'running')
);
CREATE INDEX jobs_by_workspace ON jobs (workspace_id, id);
CREATE INDEX jobs_by_turn ON jobs (workspace_id, stepped_at);
CREATE INDEX jobs_open ON jobs (workspace_id, id) WHERE finished_at IS NULL;
CREATE INDEX jobs_by_end ON jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE UNIQUE INDEX jobs_undone ON jobs (undo_of_id) WHERE undo_of_id IS NOT NULL;

CREATE TABLE job_inputs (
    job_id integer PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    content bytea NOT NULL
);

CREATE TABLE job_items (
    id bigserial PRIMARY KEY,
    job_id integer NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    message_id uuid,
    target_id bigint,
    outcome text NOT NULL,
    CONSTRAINT job_items_one_target CHECK ((message_id IS NULL) <> (target_id IS NULL))
);
CREATE INDEX job_items_by_job ON job_items (job_id, id);
"""

BACK = "DROP TABLE job_items, job_inputs, jobs"


def up(migrator, db):
    db.execute_sql(TABLES)


def down(migrator, db):
    db.execute_sql(BACK)
