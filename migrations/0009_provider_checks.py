"""Checks of SMTP accounts: who had one tried, each step that was taken, and what came of it.

A check of the account of the environment names no account, for that has no row.
"""

TABLES = """
CREATE TABLE provider_checks (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    smtp_account_id integer REFERENCES smtp_accounts (id) ON DELETE CASCADE,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    claimed_until timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    is_valid boolean,
    steps jsonb NOT NULL,
    result jsonb NOT NULL,
    CONSTRAINT provider_checks_finished CHECK ((finished_at IS NULL) = (is_valid IS NULL))
);
CREATE INDEX provider_checks_by_account ON provider_checks (workspace_id, smtp_account_id, id);
CREATE INDEX provider_checks_due ON provider_checks (id) WHERE finished_at IS NULL;
"""

BACK = "DROP TABLE provider_checks"


def up(migrator, db):
    db.execute_sql(TABLES)


def down(migrator, db):
    db.execute_sql(BACK)
