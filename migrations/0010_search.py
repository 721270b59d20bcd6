"""What the log is searched by: blocks of the log with their terms, and two indexes.

A block is a stretch of a workspace's log, some hundred messages in a row, with the terms of all of
them: words, tags, senders. They are made in the background (`services/log_blocks.py`), so that
accepting and sending pay nothing for them. The two indexes find what changes after a message was
accepted; until then it is in neither. What stands in them behind the order is asked for beside the
first: rows that do not fit are left out without being looked at.
"""

TABLES = """
CREATE TABLE log_blocks (
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    first_at timestamptz NOT NULL,
    first_id uuid NOT NULL,
    last_at timestamptz NOT NULL,
    last_id uuid NOT NULL,
    terms tsvector NOT NULL,
    PRIMARY KEY (workspace_id, first_at, first_id)
);
CREATE INDEX log_blocks_by_term ON log_blocks USING gin (terms);

CREATE INDEX messages_by_account
    ON messages (workspace_id, smtp_account_name, created_at, id, status)
    WHERE smtp_account_name IS NOT NULL;
CREATE INDEX messages_by_class
    ON messages (workspace_id, error_class, created_at, id, smtp_account_name, status)
    WHERE error_class IS NOT NULL;
"""

BACK = """
DROP INDEX messages_by_account, messages_by_class;
DROP TABLE log_blocks;
"""


def up(migrator, db):
    db.execute_sql(TABLES)


def down(migrator, db):
    db.execute_sql(BACK)
