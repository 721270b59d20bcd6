"""Saved views of the log: filters that somebody has given a name.

One that is removed keeps its row for a while, so that the removal can be taken back.
"""

TABLES = """
CREATE TABLE saved_views (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name text NOT NULL,
    query text NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz
);
CREATE UNIQUE INDEX saved_views_by_name ON saved_views (workspace_id, lower(name))
    WHERE removed_at IS NULL;
"""

BACK = "DROP TABLE saved_views"


def up(migrator, db):
    db.execute_sql(TABLES)


def down(migrator, db):
    db.execute_sql(BACK)
