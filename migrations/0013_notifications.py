"""Notifications: the channels that a workspace is told of incidents by, and what each was told.

A channel's address on the web and what it signs with are secrets, in a table of their own: while
one takes the place of another, both stand.
"""

TABLES = """
CREATE TABLE notification_channels (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name text NOT NULL,
    kind text NOT NULL,
    target text NOT NULL,
    min_severity text NOT NULL,
    occasions jsonb NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    off_reason text,
    failing_since timestamptz,
    last_error text,
    last_sent_at timestamptz,
    version integer NOT NULL DEFAULT 1,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT notification_channels_kind CHECK (kind IN ('webhook', 'slack', 'email')),
    CONSTRAINT notification_channels_severity
        CHECK (min_severity IN ('minor', 'major', 'critical'))
);
CREATE UNIQUE INDEX notification_channels_by_name ON notification_channels (workspace_id, name);

CREATE TABLE notification_secrets (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    channel_id integer NOT NULL REFERENCES notification_channels (id) ON DELETE CASCADE,
    kind text NOT NULL,
    value_encrypted bytea,
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT notification_secrets_kind CHECK (kind IN ('url', 'signing'))
);
CREATE INDEX notification_secrets_by_channel ON notification_secrets (channel_id, id);

CREATE TABLE notifications (
    id bigserial PRIMARY KEY,
    uid uuid NOT NULL DEFAULT gen_random_uuid(),
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    channel_id integer NOT NULL REFERENCES notification_channels (id) ON DELETE CASCADE,
    incident_id integer REFERENCES incidents (id) ON DELETE CASCADE,
    occasion text NOT NULL,
    round integer NOT NULL,
    data jsonb NOT NULL,
    status text NOT NULL DEFAULT 'waiting',
    folded_into_id bigint REFERENCES notifications (id) ON DELETE SET NULL,
    due_at timestamptz NOT NULL DEFAULT now(),
    attempt_count smallint NOT NULL DEFAULT 0,
    message_id uuid,
    code integer,
    outcome text,
    settled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT notifications_occasion
        CHECK (occasion IN ('opened', 'escalated', 'resolved', 'reopened', 'test')),
    CONSTRAINT notifications_status CHECK (status IN ('waiting', 'sent', 'failed', 'folded')),
    CONSTRAINT notifications_settled CHECK ((settled_at IS NULL) = (status = 'waiting'))
);
CREATE UNIQUE INDEX notifications_once
    ON notifications (channel_id, incident_id, occasion, round) WHERE incident_id IS NOT NULL;
CREATE INDEX notifications_by_workspace ON notifications (workspace_id, id);
CREATE INDEX notifications_by_channel ON notifications (channel_id, id);
CREATE INDEX notifications_by_incident ON notifications (incident_id, id)
    WHERE incident_id IS NOT NULL;
CREATE INDEX notifications_due ON notifications (due_at) WHERE status = 'waiting';
CREATE INDEX notifications_sent ON notifications (channel_id, settled_at) WHERE status = 'sent';
CREATE INDEX notifications_folded ON notifications (folded_into_id)
    WHERE folded_into_id IS NOT NULL;
"""

BACK = "DROP TABLE notifications, notification_secrets, notification_channels"


def up(migrator, db):
    db.execute_sql(TABLES)


def down(migrator, db):
    db.execute_sql(BACK)
