"""Setting up: which steps a workspace put off, which version of its policy somebody looked at, and
which SMTP account is the sandbox's. What is done needs no row: the facts tell.
"""

TABLES = """
CREATE TABLE onboarding_steps (
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    step text NOT NULL,
    skipped_at timestamptz NOT NULL,
    skipped_by text NOT NULL,
    resumed_at timestamptz,
    resumed_by text,
    PRIMARY KEY (workspace_id, step),
    CONSTRAINT onboarding_steps_resumed CHECK ((resumed_at IS NULL) = (resumed_by IS NULL))
);
CREATE TABLE policy_reviews (
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    version integer NOT NULL,
    reviewed_at timestamptz NOT NULL DEFAULT now(),
    reviewed_by text NOT NULL,
    PRIMARY KEY (workspace_id, version)
);
ALTER TABLE smtp_accounts ADD COLUMN is_sandbox boolean NOT NULL DEFAULT false;
"""

BACK = """
ALTER TABLE smtp_accounts DROP COLUMN is_sandbox;
DROP TABLE policy_reviews, onboarding_steps;
"""


def up(migrator, db):
    db.execute_sql(TABLES)


def down(migrator, db):
    db.execute_sql(BACK)
