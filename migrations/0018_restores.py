"""Restores: that this database came back from a backup, and which messages that holds back."""

TABLES = """
CREATE TABLE restores (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    taken_at timestamptz NOT NULL,
    restored_at timestamptz NOT NULL DEFAULT now(),
    freeze_id integer REFERENCES freezes (id) ON DELETE SET NULL,
    held_count integer NOT NULL DEFAULT 0,
    unknown_count integer NOT NULL DEFAULT 0,
    stopped_job_count integer NOT NULL DEFAULT 0,
    settled_at timestamptz,
    settled_by text,
    CONSTRAINT restores_settled CHECK ((settled_at IS NULL) = (settled_by IS NULL))
);
CREATE INDEX restores_by_workspace ON restores (workspace_id, id);
CREATE TABLE restored_messages (
    restore_id integer NOT NULL REFERENCES restores (id) ON DELETE CASCADE,
    message_id uuid NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    PRIMARY KEY (restore_id, message_id)
);
CREATE INDEX restored_messages_by_message ON restored_messages (message_id);
"""

# What a restore holds may turn out to have been sent since the backup: it must not go out again.
MOVES = """
DROP TRIGGER messages_refuse_illegal_move ON messages;
CREATE TRIGGER messages_refuse_illegal_move BEFORE UPDATE OF status ON messages
    FOR EACH ROW WHEN (OLD.status <> NEW.status AND (OLD.status || '>' || NEW.status) NOT IN (
        'queued>sending', 'queued>suppressed', 'queued>cancelled', 'queued>expired',
        'queued>held', 'queued>failed',
        'queued>sent', 'queued>delivered', 'queued>bounced', 'queued>complained',
        'sending>queued', 'sending>sent', 'sending>failed', 'sending>unknown',
        'sending>suppressed',
        'sent>delivered', 'sent>bounced', 'sent>complained',
        'delivered>bounced', 'delivered>complained',
        'bounced>complained',
        'held>queued', 'held>cancelled', 'held>expired', 'held>suppressed',
        'held>sent', 'held>delivered', 'held>bounced', 'held>complained',
        'failed>queued',
        'unknown>queued', 'unknown>sent', 'unknown>delivered', 'unknown>bounced',
        'unknown>complained'))
    EXECUTE FUNCTION messages_refuse_move();
"""

MOVES_BACK = """
DROP TRIGGER messages_refuse_illegal_move ON messages;
CREATE TRIGGER messages_refuse_illegal_move BEFORE UPDATE OF status ON messages
    FOR EACH ROW WHEN (OLD.status <> NEW.status AND (OLD.status || '>' || NEW.status) NOT IN (
        'queued>sending', 'queued>suppressed', 'queued>cancelled', 'queued>expired',
        'queued>held', 'queued>failed',
        'queued>sent', 'queued>delivered', 'queued>bounced', 'queued>complained',
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
DROP TABLE restored_messages;
DROP TABLE restores;
"""


def up(migrator, db):
    db.execute_sql(TABLES)
    db.execute_sql(MOVES)


def down(migrator, db):
    db.execute_sql(MOVES_BACK)
    db.execute_sql(BACK)
