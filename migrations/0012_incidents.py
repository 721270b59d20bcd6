"""Incidents: what goes wrong, grouped by fingerprint, with the messages that it touched and what
people and maild did about it.
"""

TABLES = """
CREATE TABLE incidents (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    kind text NOT NULL,
    title text NOT NULL,
    status text NOT NULL,
    severity text NOT NULL,
    is_severity_set boolean NOT NULL DEFAULT false,
    smtp_account text,
    recipient_domain text,
    message_count integer NOT NULL DEFAULT 0,
    recipient_count integer NOT NULL DEFAULT 0,
    opened_at timestamptz NOT NULL DEFAULT now(),
    opened_by text NOT NULL,
    since_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    acknowledged_at timestamptz,
    acknowledged_by text,
    assigned_to text,
    resolved_at timestamptz,
    resolved_by text,
    cause text,
    reopen_count smallint NOT NULL DEFAULT 0,
    merged_into_id integer REFERENCES incidents (id) ON DELETE SET NULL,
    version integer NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT incidents_kind CHECK (kind IN (
        'delivery', 'provider', 'unknown_outcomes', 'silent_provider', 'dead_letters',
        'conservation', 'domain', 'manual')),
    CONSTRAINT incidents_status CHECK (status IN ('open', 'acknowledged', 'resolved')),
    CONSTRAINT incidents_severity CHECK (severity IN ('minor', 'major', 'critical')),
    CONSTRAINT incidents_resolved CHECK ((resolved_at IS NULL) = (status <> 'resolved'))
);
CREATE INDEX incidents_by_workspace ON incidents (workspace_id, id);
CREATE INDEX incidents_unresolved ON incidents (workspace_id, last_seen_at)
    WHERE status <> 'resolved';
CREATE INDEX incidents_by_merged_into ON incidents (merged_into_id)
    WHERE merged_into_id IS NOT NULL;

CREATE TABLE incident_signals (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    fingerprint text NOT NULL,
    kind text NOT NULL,
    error_class text,
    smtp_account text,
    recipient_domain text,
    pattern text,
    sample text,
    detail jsonb NOT NULL,
    incident_id integer REFERENCES incidents (id) ON DELETE SET NULL,
    is_state boolean NOT NULL DEFAULT false,
    is_active boolean NOT NULL DEFAULT false,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    since_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    message_count integer NOT NULL DEFAULT 0,
    news_count integer NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX incident_signals_unique ON incident_signals (workspace_id, fingerprint);
CREATE INDEX incident_signals_by_incident ON incident_signals (incident_id)
    WHERE incident_id IS NOT NULL;
CREATE INDEX incident_signals_by_age ON incident_signals (last_seen_at);
CREATE INDEX incident_signals_active ON incident_signals (workspace_id) WHERE is_active;

CREATE TABLE incident_tallies (
    signal_id integer NOT NULL REFERENCES incident_signals (id) ON DELETE CASCADE,
    slot_at timestamptz NOT NULL DEFAULT now(),
    seen_count integer NOT NULL,
    PRIMARY KEY (signal_id, slot_at)
);

CREATE TABLE incident_messages (
    signal_id integer NOT NULL REFERENCES incident_signals (id) ON DELETE CASCADE,
    message_id uuid NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (signal_id, message_id)
);
CREATE INDEX incident_messages_by_message ON incident_messages (message_id);

CREATE TABLE incident_entries (
    id bigserial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    incident_id integer NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    kind text NOT NULL,
    actor text NOT NULL,
    text text,
    data jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX incident_entries_by_incident ON incident_entries (incident_id, id);

CREATE TABLE incident_cursors (
    id smallint PRIMARY KEY,
    last_id bigint NOT NULL,
    mark_id bigint NOT NULL,
    mark_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT incident_cursors_one CHECK (id = 1)
);
-- What happened before is history: only what comes from now on makes incidents.
INSERT INTO incident_cursors (id, last_id, mark_id)
SELECT 1, coalesce(max(id), 0), coalesce(max(id), 0) FROM events;
"""

# What the watch reads: few of all events, so that it passes by the many that tell of no trouble.
TROUBLE = """
CREATE INDEX events_of_trouble ON events (id) WHERE type IN (
    'message.deferred', 'message.failed', 'message.outcome_unknown', 'message.bounced');
"""

BACK = """
DROP INDEX events_of_trouble;
DROP TABLE incident_cursors, incident_entries, incident_messages, incident_tallies,
    incident_signals, incidents;
"""


def up(migrator, db):
    db.execute_sql(TABLES)
    db.execute_sql(TROUBLE)


def down(migrator, db):
    db.execute_sql(BACK)
