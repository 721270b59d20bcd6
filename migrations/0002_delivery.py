"""What the delivery engine needs: lanes, lifetimes, holds, providers' health, conservation.

Attempts are written when they end; until then the message itself carries the number of the one
that is under way (`attempt_count`, with `status = 'sending'`), committed before anything is on the
wire. One row less to write for each message, and none to find again.
"""

TABLES = """
CREATE TABLE suppressions (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    email text COLLATE pg_c_utf8 NOT NULL,
    stream text,
    reason text NOT NULL,
    source text NOT NULL,
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT suppressions_stream CHECK (stream IN ('transactional', 'marketing')),
    CONSTRAINT suppressions_email CHECK (email = lower(email))
);
CREATE UNIQUE INDEX suppressions_by_email ON suppressions (workspace_id, email, stream)
    NULLS NOT DISTINCT;

CREATE TABLE freezes (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    stream text,
    reason text NOT NULL,
    expires_at timestamptz,
    lifted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT freezes_stream CHECK (stream IN ('transactional', 'marketing'))
);
CREATE INDEX freezes_in_force ON freezes (workspace_id) WHERE lifted_at IS NULL;

CREATE TABLE breakers (
    account_id integer PRIMARY KEY,
    state text NOT NULL,
    error_class text,
    reason text,
    opened_at timestamptz,
    retry_at timestamptz,
    closed_at timestamptz,
    open_count integer NOT NULL DEFAULT 0,
    canary_worker_id uuid,
    canary_until timestamptz,
    passed_count integer NOT NULL DEFAULT 0,
    last_fault_at timestamptz,
    slowed_to double precision,
    slowed_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT breakers_state CHECK (state IN ('closed', 'open', 'half_open'))
);

CREATE TABLE account_tallies (
    account_id integer NOT NULL,
    slot_at timestamptz NOT NULL,
    worker_id uuid NOT NULL,
    try_count integer NOT NULL,
    fault_count integer NOT NULL,
    PRIMARY KEY (account_id, slot_at, worker_id)
);

CREATE TABLE accepted_tallies (
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    shard smallint NOT NULL,
    accepted_count bigint NOT NULL,
    PRIMARY KEY (workspace_id, shard)
);

CREATE TABLE periodic_jobs (
    name text PRIMARY KEY,
    ran_at timestamptz NOT NULL
);

CREATE TABLE conservation_checks (
    workspace_id integer PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    accepted_count bigint NOT NULL,
    by_status jsonb NOT NULL,
    difference bigint NOT NULL,
    broken_since timestamptz,
    checked_at timestamptz NOT NULL DEFAULT now()
);
"""

CHANGES = """
ALTER TABLE workers ADD COLUMN has_marks boolean NOT NULL DEFAULT false;

ALTER TABLE smtp_accounts
    ADD COLUMN max_connections integer NOT NULL DEFAULT 10,
    ADD COLUMN max_per_second real,
    ADD COLUMN priority integer NOT NULL DEFAULT 100,
    ADD COLUMN paused_at timestamptz,
    ADD COLUMN pause_reason text,
    ADD CONSTRAINT smtp_accounts_max_connections CHECK (max_connections BETWEEN 1 AND 1000),
    ADD CONSTRAINT smtp_accounts_max_per_second CHECK (max_per_second > 0),
    ADD CONSTRAINT smtp_accounts_priority CHECK (priority BETWEEN 0 AND 1000);

ALTER TABLE messages
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN excused_count smallint NOT NULL DEFAULT 0,
    ADD COLUMN path_fault_count smallint NOT NULL DEFAULT 0,
    ADD COLUMN hold_reason text,
    ADD COLUMN freeze_id integer REFERENCES freezes (id) ON DELETE SET NULL;
UPDATE messages SET
    expires_at = coalesce(scheduled_at, created_at)
        + CASE stream WHEN 'marketing' THEN interval '4 days' ELSE interval '2 days' END,
    hold_reason = CASE status WHEN 'held' THEN 'held' END;
ALTER TABLE messages
    ALTER COLUMN expires_at SET NOT NULL,
    ALTER COLUMN expires_at SET DEFAULT now() + interval '2 days',
    ADD CONSTRAINT messages_excused_count CHECK (excused_count BETWEEN 0 AND attempt_count),
    ADD CONSTRAINT messages_held_has_reason CHECK ((status = 'held') = (hold_reason IS NOT NULL));

DROP INDEX messages_due;
CREATE INDEX messages_due ON messages (priority, workspace_id, next_attempt_at)
    WHERE status = 'queued';
CREATE INDEX messages_expiring ON messages (expires_at) WHERE status IN ('queued', 'held');
CREATE INDEX messages_frozen ON messages (freeze_id) WHERE freeze_id IS NOT NULL;

DELETE FROM attempts a USING messages m
    WHERE a.status = 'started' AND m.id = a.message_id AND m.status = 'sending';
UPDATE attempts SET status = 'interrupted', finished_at = now() WHERE status = 'started';
ALTER TABLE attempts
    ADD COLUMN is_excused boolean NOT NULL DEFAULT false,
    ALTER COLUMN finished_at SET NOT NULL,
    DROP CONSTRAINT attempts_status,
    ADD CONSTRAINT attempts_status CHECK (status IN (
        'sent', 'deferred', 'failed', 'unknown', 'interrupted'));

ALTER TABLE events ALTER COLUMN workspace_id DROP NOT NULL;
CREATE INDEX events_of_workspace ON events (workspace_id, id) WHERE message_id IS NULL;

INSERT INTO accepted_tallies (workspace_id, shard, accepted_count)
    SELECT workspace_id, 0, count(*) FROM messages GROUP BY workspace_id;
"""

# The legal moves stand in the trigger's condition, so that they cost no call of a function.
TRANSITIONS = """
DROP TRIGGER messages_refuse_illegal_move ON messages;
DROP FUNCTION messages_refuse_illegal_move;

CREATE FUNCTION messages_refuse_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'check_violation',
        MESSAGE = 'message ' || OLD.id || ' cannot go from ' || OLD.status || ' to ' || NEW.status;
END $$;

CREATE TRIGGER messages_refuse_illegal_move BEFORE UPDATE OF status ON messages
    FOR EACH ROW WHEN (OLD.status <> NEW.status AND (OLD.status || '>' || NEW.status) NOT IN (
        'queued>sending', 'queued>suppressed', 'queued>cancelled', 'queued>expired',
        'queued>held', 'queued>failed',
        'sending>queued', 'sending>sent', 'sending>failed', 'sending>unknown',
        'sending>suppressed',
        'sent>delivered', 'sent>bounced', 'sent>complained',
        'delivered>bounced', 'delivered>complained',
        'bounced>complained',
        'held>queued', 'held>cancelled', 'held>expired', 'held>suppressed',
        'failed>queued',
        'unknown>queued', 'unknown>sent', 'unknown>delivered', 'unknown>bounced',
        'unknown>complained'))
    EXECUTE FUNCTION messages_refuse_move();
"""

BACK = """
DROP TRIGGER messages_refuse_illegal_move ON messages;
DROP FUNCTION messages_refuse_move;

DELETE FROM events WHERE workspace_id IS NULL;
DROP INDEX events_of_workspace;
ALTER TABLE events ALTER COLUMN workspace_id SET NOT NULL;

ALTER TABLE attempts
    DROP COLUMN is_excused,
    ALTER COLUMN finished_at DROP NOT NULL,
    DROP CONSTRAINT attempts_status,
    ADD CONSTRAINT attempts_status CHECK (status IN (
        'started', 'sent', 'deferred', 'failed', 'unknown', 'interrupted'));

DROP INDEX messages_due, messages_expiring, messages_frozen;
CREATE INDEX messages_due ON messages (priority, next_attempt_at) WHERE status = 'queued';
ALTER TABLE messages
    DROP COLUMN expires_at, DROP COLUMN excused_count, DROP COLUMN path_fault_count,
    DROP COLUMN hold_reason,
    DROP COLUMN freeze_id;

ALTER TABLE smtp_accounts
    DROP COLUMN max_connections, DROP COLUMN max_per_second, DROP COLUMN priority,
    DROP COLUMN paused_at, DROP COLUMN pause_reason;
ALTER TABLE workers DROP COLUMN has_marks;

DROP TABLE conservation_checks, periodic_jobs, accepted_tallies,
    account_tallies, breakers, freezes, suppressions;

CREATE FUNCTION messages_refuse_illegal_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.status || '>' || NEW.status) IN (
        'queued>sending', 'queued>suppressed', 'queued>cancelled', 'queued>expired',
        'queued>held', 'queued>failed',
        'sending>queued', 'sending>sent', 'sending>failed', 'sending>unknown',
        'sending>suppressed',
        'sent>delivered', 'sent>bounced', 'sent>complained',
        'delivered>bounced', 'delivered>complained',
        'bounced>complained',
        'held>queued', 'held>cancelled', 'held>expired', 'held>suppressed',
        'failed>queued',
        'unknown>queued', 'unknown>sent', 'unknown>delivered', 'unknown>bounced',
        'unknown>complained'
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'check_violation',
        MESSAGE = 'message ' || OLD.id || ' cannot go from ' || OLD.status || ' to ' || NEW.status;
END $$;
CREATE TRIGGER messages_refuse_illegal_move BEFORE UPDATE OF status ON messages
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION messages_refuse_illegal_move();
"""


def up(migrator, db):
    db.execute_sql(TABLES)
    db.execute_sql(CHANGES)
    db.execute_sql(TRANSITIONS)


def down(migrator, db):
    db.execute_sql(BACK)
