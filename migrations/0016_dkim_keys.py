"""DKIM keys: what maild signs the mail of a workspace's domains with, and how far each key is on
its way from its record in the DNS to its end.
"""

TABLES = """
CREATE TABLE dkim_keys (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    domain text NOT NULL,
    selector text NOT NULL,
    algorithm text NOT NULL,
    public_key text NOT NULL,
    private_key_encrypted bytea,
    state text NOT NULL,
    record_state text NOT NULL DEFAULT 'unchecked',
    record_found text,
    checked_at timestamptz,
    seen_at timestamptz,
    next_check_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    activated_at timestamptz,
    retiring_at timestamptz,
    retire_at timestamptz,
    retired_at timestamptz,
    CONSTRAINT dkim_keys_algorithm CHECK (algorithm IN ('rsa-sha256', 'ed25519-sha256')),
    CONSTRAINT dkim_keys_state CHECK (state IN ('prepared', 'active', 'retiring', 'retired')),
    CONSTRAINT dkim_keys_record_state CHECK (record_state IN (
        'unchecked', 'published', 'missing', 'different', 'revoked', 'unknown')),
    CONSTRAINT dkim_keys_private_key CHECK (
        (private_key_encrypted IS NULL) = (state = 'retired')),
    CONSTRAINT dkim_keys_retiring CHECK ((retire_at IS NULL) OR (state IN ('retiring', 'retired')))
);
CREATE UNIQUE INDEX dkim_keys_unique ON dkim_keys (workspace_id, domain, selector);
CREATE UNIQUE INDEX dkim_keys_one_active ON dkim_keys (workspace_id, domain, algorithm)
    WHERE state = 'active';
CREATE UNIQUE INDEX dkim_keys_one_prepared ON dkim_keys (workspace_id, domain, algorithm)
    WHERE state = 'prepared';
CREATE INDEX dkim_keys_due ON dkim_keys (next_check_at) WHERE state <> 'retired';
"""

BACK = "DROP TABLE dkim_keys"


def up(migrator, db):
    db.execute_sql(TABLES)


def down(migrator, db):
    db.execute_sql(BACK)
