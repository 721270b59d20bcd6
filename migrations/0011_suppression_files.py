"""Files of suppressions that wait for their import or went through it, and indexes for the lists of
suppressions and unsubscribes: all of one address, of the beginning of one, of a domain, of a topic.
"""

TABLES = """
CREATE TABLE suppression_files (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name text NOT NULL,
    content text NOT NULL,
    layout jsonb NOT NULL,
    default_reason text NOT NULL,
    class text NOT NULL,
    foreseen jsonb NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    job_id integer,
    CONSTRAINT suppression_files_class CHECK (
        class IN ('hard_bounce', 'soft_bounce', 'complaint', 'manual'))
);
CREATE INDEX suppression_files_by_workspace ON suppression_files (workspace_id, id);
CREATE INDEX suppression_files_by_age ON suppression_files (created_at);

CREATE INDEX suppressions_of_domain
    ON suppressions (workspace_id, split_part(email, '@', 2), id);
CREATE INDEX unsubscribes_of_email ON unsubscribes (workspace_id, email, id);
CREATE INDEX unsubscribes_of_domain
    ON unsubscribes (workspace_id, split_part(email, '@', 2), id);
CREATE INDEX unsubscribes_of_topic ON unsubscribes (workspace_id, topic, id);
"""

BACK = """
DROP INDEX unsubscribes_of_topic, unsubscribes_of_domain, unsubscribes_of_email,
    suppressions_of_domain;
DROP TABLE suppression_files;
"""


def up(migrator, db):
    db.execute_sql(TABLES)


def down(migrator, db):
    db.execute_sql(BACK)
