"""What safety needs: versioned policies, suppressions with their provenance, unsubscribes, freezes
of many kinds, hourly limits, idempotency keys, an audit log, and who submitted a message.
"""

TABLES = """
CREATE TABLE policies (
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    version integer NOT NULL,
    rate_limit_workspace_per_hour integer,
    rate_limit_domain_per_hour integer,
    on_limit text NOT NULL,
    blocked_recipient_domains text[] NOT NULL,
    allowed_from_domains text[] NOT NULL,
    transactional jsonb NOT NULL,
    marketing jsonb NOT NULL,
    soft_bounce_threshold integer NOT NULL,
    reason text,
    restored_version integer,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, version),
    CONSTRAINT policies_version CHECK (version >= 1),
    CONSTRAINT policies_on_limit CHECK (on_limit IN ('reject', 'defer'))
);

CREATE TABLE limit_tallies (
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    domain text NOT NULL,
    slot integer NOT NULL,
    message_count integer NOT NULL,
    PRIMARY KEY (workspace_id, domain, slot)
);
CREATE INDEX limit_tallies_by_slot ON limit_tallies (slot);

CREATE TABLE idempotency_keys (
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    answer jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, key)
);
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);

CREATE TABLE unsubscribes (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    email text COLLATE pg_c_utf8 NOT NULL,
    stream text,
    topic text,
    reason text,
    source text NOT NULL,
    message_id uuid,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz,
    removed_by text,
    removal_reason text,
    CONSTRAINT unsubscribes_stream CHECK (stream IN ('transactional', 'marketing')),
    CONSTRAINT unsubscribes_email CHECK (email = lower(email))
);
CREATE UNIQUE INDEX unsubscribes_in_force ON unsubscribes (workspace_id, email, stream, topic)
    NULLS NOT DISTINCT WHERE removed_at IS NULL;
CREATE INDEX unsubscribes_by_workspace ON unsubscribes (workspace_id, id);

CREATE TABLE link_keys (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    secret_encrypted bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX link_keys_by_workspace ON link_keys (workspace_id, id);

CREATE TABLE audit_heads (
    workspace_id integer PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    seq bigint NOT NULL,
    hash bytea NOT NULL
);

CREATE TABLE audit_entries (
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    seq bigint NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    actor_ip text,
    request_id text,
    action text NOT NULL,
    target text NOT NULL,
    before jsonb,
    after jsonb,
    reason text,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (workspace_id, seq)
);
"""

CHANGES = """
ALTER TABLE api_keys
    ADD COLUMN created_by text NOT NULL DEFAULT 'unknown',
    ADD COLUMN revoked_by text,
    DROP CONSTRAINT api_keys_role,
    ADD CONSTRAINT api_keys_role CHECK (role IN ('admin', 'operator', 'viewer', 'sender'));
ALTER TABLE api_keys ALTER COLUMN created_by DROP DEFAULT;

ALTER TABLE suppressions
    ADD COLUMN class text NOT NULL DEFAULT 'manual',
    ADD COLUMN message_id uuid,
    ADD COLUMN created_by text NOT NULL DEFAULT 'unknown',
    ADD COLUMN removed_at timestamptz,
    ADD COLUMN removed_by text,
    ADD COLUMN removal_reason text,
    ADD CONSTRAINT suppressions_class CHECK (class IN (
        'hard_bounce', 'soft_bounce', 'complaint', 'manual'));
ALTER TABLE suppressions
    ALTER COLUMN class DROP DEFAULT, ALTER COLUMN created_by DROP DEFAULT;
DROP INDEX suppressions_by_email;
CREATE UNIQUE INDEX suppressions_in_force ON suppressions (workspace_id, email, stream)
    NULLS NOT DISTINCT WHERE removed_at IS NULL;
CREATE INDEX suppressions_by_workspace ON suppressions (workspace_id, id);
CREATE INDEX suppressions_of_email ON suppressions (workspace_id, email, id);

ALTER TABLE messages DROP CONSTRAINT messages_freeze_id_fkey;
ALTER TABLE freezes RENAME TO old_freezes;
ALTER TABLE old_freezes RENAME CONSTRAINT freezes_pkey TO old_freezes_pkey;
ALTER TABLE old_freezes
    RENAME CONSTRAINT freezes_workspace_id_fkey TO old_freezes_workspace_id_fkey;
ALTER SEQUENCE freezes_id_seq RENAME TO old_freezes_id_seq;
DROP INDEX freezes_in_force;
CREATE TABLE freezes (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    kind text NOT NULL,
    target text,
    reason text NOT NULL,
    expires_at timestamptz NOT NULL,
    lifted_at timestamptz,
    lifted_by text,
    lift_reason text,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT freezes_kind CHECK (kind IN (
        'workspace', 'stream', 'smtp_account', 'api_key', 'from_email', 'recipient_domain')),
    CONSTRAINT freezes_target CHECK ((kind = 'workspace') = (target IS NULL))
);
INSERT INTO freezes (id, workspace_id, kind, target, reason, expires_at, lifted_at, created_by,
        created_at)
    SELECT id, workspace_id, CASE WHEN stream IS NULL THEN 'workspace' ELSE 'stream' END, stream,
        reason, coalesce(expires_at, now() + interval '30 days'), lifted_at, 'unknown', created_at
    FROM old_freezes;
SELECT setval('freezes_id_seq', coalesce((SELECT max(id) FROM freezes), 0) + 1, false);
DROP TABLE old_freezes;
CREATE INDEX freezes_in_force ON freezes (workspace_id) WHERE lifted_at IS NULL;

ALTER TABLE messages
    ADD CONSTRAINT messages_freeze_id_fkey
        FOREIGN KEY (freeze_id) REFERENCES freezes (id) ON DELETE SET NULL,
    ADD COLUMN submission_id uuid,
    ADD COLUMN topic text,
    ADD COLUMN api_key_id integer,
    ADD COLUMN suppression_id integer REFERENCES suppressions (id) ON DELETE SET NULL,
    ADD COLUMN unsubscribe_id integer REFERENCES unsubscribes (id) ON DELETE SET NULL,
    ADD COLUMN policy_version integer NOT NULL DEFAULT 0,
    ADD COLUMN pinned_account text NOT NULL DEFAULT '',
    ADD COLUMN not_before timestamptz;
DROP INDEX messages_due;
CREATE INDEX messages_due ON messages (priority, workspace_id, pinned_account, next_attempt_at)
    WHERE status = 'queued';
CREATE INDEX messages_by_submission ON messages (submission_id) WHERE submission_id IS NOT NULL;
CREATE INDEX messages_suppressed ON messages (suppression_id) WHERE suppression_id IS NOT NULL;
CREATE INDEX messages_unsubscribed ON messages (unsubscribe_id) WHERE unsubscribe_id IS NOT NULL;

ALTER TABLE message_bodies
    ADD COLUMN visible_to text,
    ADD COLUMN visible_cc text[];

ALTER TABLE attempts
    ADD COLUMN policy_version integer,
    ADD COLUMN route text;
"""

# The log of who did what is only ever added to. What hangs from a workspace still goes with it.
APPEND_ONLY = """
CREATE FUNCTION audit_entries_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF NOT EXISTS (SELECT FROM workspaces WHERE id = OLD.workspace_id) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'insufficient_privilege',
        MESSAGE = 'the audit log is only ever added to';
END $$;

CREATE TRIGGER audit_entries_refuse_change BEFORE UPDATE OR DELETE ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION audit_entries_refuse_change();
CREATE TRIGGER audit_entries_refuse_truncate BEFORE TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION audit_entries_refuse_change();
"""

BACK = """
ALTER TABLE attempts DROP COLUMN policy_version, DROP COLUMN route;
ALTER TABLE message_bodies DROP COLUMN visible_to, DROP COLUMN visible_cc;

DROP INDEX messages_by_submission, messages_suppressed, messages_unsubscribed, messages_due;
ALTER TABLE messages
    DROP CONSTRAINT messages_freeze_id_fkey,
    DROP COLUMN submission_id, DROP COLUMN topic, DROP COLUMN api_key_id,
    DROP COLUMN suppression_id, DROP COLUMN unsubscribe_id, DROP COLUMN policy_version,
    DROP COLUMN pinned_account, DROP COLUMN not_before;
CREATE INDEX messages_due ON messages (priority, workspace_id, next_attempt_at)
    WHERE status = 'queued';

ALTER TABLE freezes RENAME TO new_freezes;
ALTER TABLE new_freezes RENAME CONSTRAINT freezes_pkey TO new_freezes_pkey;
ALTER TABLE new_freezes
    RENAME CONSTRAINT freezes_workspace_id_fkey TO new_freezes_workspace_id_fkey;
ALTER SEQUENCE freezes_id_seq RENAME TO new_freezes_id_seq;
DROP INDEX freezes_in_force;
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
INSERT INTO freezes (id, workspace_id, stream, reason, expires_at, lifted_at, created_at)
    SELECT id, workspace_id, target, reason, expires_at, lifted_at, created_at FROM new_freezes
    WHERE kind IN ('workspace', 'stream');
SELECT setval('freezes_id_seq', coalesce((SELECT max(id) FROM freezes), 0) + 1, false);
DROP TABLE new_freezes;
UPDATE messages SET freeze_id = NULL
    WHERE freeze_id IS NOT NULL AND freeze_id NOT IN (SELECT id FROM freezes);
CREATE INDEX freezes_in_force ON freezes (workspace_id) WHERE lifted_at IS NULL;
ALTER TABLE messages
    ADD CONSTRAINT messages_freeze_id_fkey
        FOREIGN KEY (freeze_id) REFERENCES freezes (id) ON DELETE SET NULL;

DELETE FROM suppressions WHERE removed_at IS NOT NULL;
DROP INDEX suppressions_in_force, suppressions_by_workspace, suppressions_of_email;
ALTER TABLE suppressions
    DROP CONSTRAINT suppressions_class,
    DROP COLUMN class, DROP COLUMN message_id, DROP COLUMN created_by,
    DROP COLUMN removed_at, DROP COLUMN removed_by, DROP COLUMN removal_reason;
CREATE UNIQUE INDEX suppressions_by_email ON suppressions (workspace_id, email, stream)
    NULLS NOT DISTINCT;

DELETE FROM api_keys WHERE role = 'viewer';
ALTER TABLE api_keys
    DROP COLUMN created_by, DROP COLUMN revoked_by,
    DROP CONSTRAINT api_keys_role,
    ADD CONSTRAINT api_keys_role CHECK (role IN ('admin', 'operator', 'sender'));

DROP TABLE audit_entries, audit_heads, link_keys, unsubscribes, idempotency_keys, limit_tallies,
    policies;
DROP FUNCTION audit_entries_refuse_change;
"""


def up(migrator, db):
    db.execute_sql(TABLES)
    db.execute_sql(CHANGES)
    db.execute_sql(APPEND_ONLY)


def down(migrator, db):
    db.execute_sql(BACK)
