"""Sending domains: what their DNS records say, when it was last asked, and what it said before."""

TABLES = """
CREATE TABLE domains (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name text NOT NULL,
    dkim_selector text,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now(),
    claimed_until timestamptz,
    checked_at timestamptz,
    is_ready boolean,
    results jsonb NOT NULL,
    good jsonb NOT NULL,
    drift jsonb NOT NULL,
    unknown_since_at timestamptz,
    CONSTRAINT domains_name CHECK (name = lower(name COLLATE "pg_c_utf8") AND name <> '')
);
CREATE UNIQUE INDEX domains_unique ON domains (workspace_id, name);
CREATE INDEX domains_due ON domains (due_at);

CREATE TABLE domain_checks (
    id bigserial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    domain_id integer NOT NULL REFERENCES domains (id) ON DELETE CASCADE,
    checked_at timestamptz NOT NULL DEFAULT now(),
    last_checked_at timestamptz NOT NULL DEFAULT now(),
    is_ready boolean,
    states jsonb NOT NULL,
    records jsonb NOT NULL
);
CREATE INDEX domain_checks_by_domain ON domain_checks (domain_id, id);
"""

BACK = "DROP TABLE domain_checks, domains"


def up(migrator, db):
    db.execute_sql(TABLES)


def down(migrator, db):
    db.execute_sql(BACK)
