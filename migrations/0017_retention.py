"""Retention: how long what is kept, how far the pruner has come, what it cut off the audit log, and
how large the database was.

What is removed of a message's content, or of a provider's payload, leaves its row, with the time.
The audit log stays append-only but for one way: what a row of `audit_cuts` covers that the same
transaction has written. Such a row names the last entry that goes, with its hash, and nothing that
is younger than 89 days.

The new check of `message_bodies` holds for what is written from now on; 0020 reads what is there.
"""

TABLES = """
CREATE TABLE retention_policies (
    workspace_id integer PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    bodies_days integer,
    messages_days integer,
    webhooks_days integer,
    audit_days integer,
    version integer NOT NULL DEFAULT 1,
    updated_by text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT retention_policies_bodies CHECK (bodies_days BETWEEN 1 AND 3650),
    CONSTRAINT retention_policies_messages CHECK (messages_days BETWEEN 7 AND 3650),
    CONSTRAINT retention_policies_webhooks CHECK (webhooks_days BETWEEN 1 AND 3650),
    CONSTRAINT retention_policies_audit CHECK (audit_days BETWEEN 90 AND 3650)
);

CREATE TABLE retention_progress (
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    rule text NOT NULL,
    after_at timestamptz NOT NULL DEFAULT '-infinity',
    after_ref text,
    pruned_count bigint NOT NULL DEFAULT 0,
    pruned_at timestamptz,
    PRIMARY KEY (workspace_id, rule)
);

CREATE TABLE retention_leftovers (
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    rule text NOT NULL,
    ref text NOT NULL,
    look_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, rule, ref)
);
CREATE INDEX retention_leftovers_due ON retention_leftovers (workspace_id, rule, look_at);

CREATE TABLE audit_cuts (
    workspace_id integer PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    cut_count bigint NOT NULL,
    cut_at timestamptz NOT NULL DEFAULT now(),
    transaction_id bigint NOT NULL
);

CREATE TABLE disk_samples (
    day date NOT NULL,
    part text NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (day, part)
);
"""

CHANGES = """
ALTER TABLE message_bodies
    ADD COLUMN pruned_at timestamptz,
    DROP CONSTRAINT message_bodies_not_empty,
    ADD CONSTRAINT message_bodies_not_empty CHECK (
        body_text IS NOT NULL OR body_html IS NOT NULL OR pruned_at IS NOT NULL) NOT VALID;
ALTER TABLE webhook_payloads ADD COLUMN pruned_at timestamptz;
ALTER TABLE conservation_checks ADD COLUMN pruned_count bigint NOT NULL DEFAULT 0;
"""

# Tables that are pruned all day are vacuumed by what was removed, not by a fifth of what is there.
VACUUM = """
ALTER TABLE messages SET (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE message_bodies SET (
    autovacuum_vacuum_scale_factor = 0.02, toast.autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE events SET (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE attempts SET (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE webhook_payloads SET (
    autovacuum_vacuum_scale_factor = 0.02, toast.autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE provider_events SET (autovacuum_vacuum_scale_factor = 0.02);
"""

CUTS = """
CREATE FUNCTION audit_cuts_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = 'what was cut off the audit log stays known';
    END IF;
    IF TG_OP = 'DELETE' THEN
        IF EXISTS (SELECT FROM workspaces WHERE id = OLD.workspace_id) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'insufficient_privilege',
                MESSAGE = 'what was cut off the audit log stays known';
        END IF;
        RETURN OLD;
    END IF;
    IF NOT EXISTS (
        SELECT FROM audit_entries e
        WHERE e.workspace_id = NEW.workspace_id AND e.seq = NEW.seq AND e.hash = NEW.hash
            AND e.at < now() - interval '89 days')
        OR TG_OP = 'UPDATE' AND NEW.workspace_id <> OLD.workspace_id
    THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = 'the audit log is only cut where it is old, and at an entry that is there';
    END IF;
    NEW.transaction_id := pg_current_xact_id()::text::bigint;
    RETURN NEW;
END $$;

CREATE TRIGGER audit_cuts_check BEFORE INSERT OR UPDATE OR DELETE ON audit_cuts
    FOR EACH ROW EXECUTE FUNCTION audit_cuts_check();
CREATE TRIGGER audit_cuts_refuse_truncate BEFORE TRUNCATE ON audit_cuts
    FOR EACH STATEMENT EXECUTE FUNCTION audit_cuts_check();

CREATE OR REPLACE FUNCTION audit_entries_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF NOT EXISTS (SELECT FROM workspaces WHERE id = OLD.workspace_id) THEN
            RETURN OLD;
        END IF;
        IF EXISTS (
            SELECT FROM audit_cuts c
            WHERE c.workspace_id = OLD.workspace_id AND c.seq >= OLD.seq
                AND c.transaction_id = pg_current_xact_id()::text::bigint)
        THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'insufficient_privilege',
        MESSAGE = 'the audit log is only ever added to';
END $$;
"""

BACK = """
CREATE OR REPLACE FUNCTION audit_entries_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
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
DROP TABLE retention_policies, retention_progress, retention_leftovers, audit_cuts, disk_samples;
DROP FUNCTION audit_cuts_check;

ALTER TABLE conservation_checks DROP COLUMN pruned_count;
ALTER TABLE webhook_payloads DROP COLUMN pruned_at;
UPDATE message_bodies SET body_text = '' WHERE pruned_at IS NOT NULL;
ALTER TABLE message_bodies
    DROP COLUMN pruned_at,
    ADD CONSTRAINT message_bodies_not_empty CHECK (body_text IS NOT NULL OR body_html IS NOT NULL);

ALTER TABLE messages RESET (
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor);
ALTER TABLE message_bodies RESET (
    autovacuum_vacuum_scale_factor, toast.autovacuum_vacuum_scale_factor);
ALTER TABLE events RESET (
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor);
ALTER TABLE attempts RESET (autovacuum_vacuum_scale_factor);
ALTER TABLE webhook_payloads RESET (
    autovacuum_vacuum_scale_factor, toast.autovacuum_vacuum_scale_factor);
ALTER TABLE provider_events RESET (autovacuum_vacuum_scale_factor);
"""


def up(migrator, db):
    db.execute_sql(TABLES)
    db.execute_sql(CHANGES)
    db.execute_sql(VACUUM)
    db.execute_sql(CUTS)


def down(migrator, db):
    db.execute_sql(BACK)
