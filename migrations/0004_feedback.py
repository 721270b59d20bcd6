"""What providers report back: endpoints with their secrets, raw payloads, the events in them, soft
bounces; and the moves that a report can make of a message that waits to be sent once more.
"""

TABLES = """
CREATE TABLE webhook_endpoints (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    provider text NOT NULL,
    smtp_account_name text NOT NULL,
    token_hash bytea NOT NULL,
    token_encrypted bytea,
    topic_arn text,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_event_at timestamptz,
    reports_deliveries boolean NOT NULL DEFAULT false,
    usual_delay_seconds double precision,
    silent_since timestamptz,
    last_refused_at timestamptz,
    last_refusal text,
    refusing_since timestamptz,
    CONSTRAINT webhook_endpoints_token_hash CHECK (octet_length(token_hash) = 32)
);
CREATE UNIQUE INDEX webhook_endpoints_by_token ON webhook_endpoints (token_hash);
CREATE INDEX webhook_endpoints_by_workspace ON webhook_endpoints (workspace_id, id);

CREATE TABLE webhook_secrets (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    endpoint_id integer NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    kind text NOT NULL,
    value_encrypted bytea,
    expires_at timestamptz,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT webhook_secrets_kind CHECK (kind IN ('signing', 'basic_auth'))
);
CREATE INDEX webhook_secrets_by_endpoint ON webhook_secrets (endpoint_id, id);

CREATE TABLE webhook_tallies (
    endpoint_id integer NOT NULL,
    slot_at timestamptz NOT NULL,
    received_count integer NOT NULL DEFAULT 0,
    refused_count integer NOT NULL DEFAULT 0,
    PRIMARY KEY (endpoint_id, slot_at)
);

CREATE TABLE webhook_payloads (
    id bigserial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    endpoint_id integer,
    provider text NOT NULL,
    smtp_account_name text,
    content_type text NOT NULL,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    status text NOT NULL,
    attempt_count smallint NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT webhook_payloads_status CHECK (status IN ('received', 'read')),
    CONSTRAINT webhook_payloads_received_has_time CHECK (
        (status = 'received') = (next_attempt_at IS NOT NULL))
);
CREATE INDEX webhook_payloads_due ON webhook_payloads (next_attempt_at)
    WHERE status = 'received';
CREATE INDEX webhook_payloads_by_workspace ON webhook_payloads (workspace_id);

CREATE TABLE provider_events (
    id bigserial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    payload_id bigint NOT NULL REFERENCES webhook_payloads (id) ON DELETE CASCADE,
    position integer,
    provider text NOT NULL,
    smtp_account_name text,
    status text NOT NULL,
    event_type text,
    email text COLLATE pg_c_utf8,
    report jsonb,
    dedupe_key bytea,
    duplicate_of bigint,
    message_id uuid,
    effects jsonb,
    attempt_count smallint NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    last_error text,
    occurred_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT provider_events_status CHECK (status IN (
        'received', 'applied', 'ignored', 'duplicate', 'dead_letter', 'replayed')),
    CONSTRAINT provider_events_received_has_time CHECK (
        (status = 'received') = (next_attempt_at IS NOT NULL)),
    CONSTRAINT provider_events_readable CHECK (
        (position IS NULL) = (report IS NULL) AND (report IS NULL) = (event_type IS NULL)
        AND (status IN ('dead_letter', 'ignored') OR report IS NOT NULL))
);
CREATE UNIQUE INDEX provider_events_once
    ON provider_events (workspace_id, provider, dedupe_key) WHERE dedupe_key IS NOT NULL;
CREATE INDEX provider_events_due ON provider_events (next_attempt_at) WHERE status = 'received';
CREATE INDEX provider_events_by_workspace ON provider_events (workspace_id, id);
CREATE INDEX provider_events_by_status ON provider_events (workspace_id, status, id);
CREATE INDEX provider_events_by_email ON provider_events (workspace_id, email, id);
CREATE INDEX provider_events_by_time ON provider_events (workspace_id, created_at);
CREATE INDEX provider_events_by_message ON provider_events (message_id)
    WHERE message_id IS NOT NULL;
CREATE INDEX provider_events_by_payload ON provider_events (payload_id);

CREATE TABLE soft_bounces (
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    email text COLLATE pg_c_utf8 NOT NULL,
    cause text NOT NULL,
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, email, cause),
    CONSTRAINT soft_bounces_email CHECK (email = lower(email))
);
CREATE INDEX soft_bounces_by_time ON soft_bounces (occurred_at);

ALTER TABLE smtp_accounts ADD COLUMN return_path text;
"""

# A message that waits to be sent once more, since its outcome was unknown, may turn out to have
# arrived: it must not go out again.
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
ALTER TABLE smtp_accounts DROP COLUMN return_path;
DROP TABLE soft_bounces, provider_events, webhook_payloads, webhook_tallies, webhook_secrets,
    webhook_endpoints;
"""


def up(migrator, db):
    db.execute_sql(TABLES)
    db.execute_sql(MOVES)


def down(migrator, db):
    db.execute_sql(MOVES_BACK)
    db.execute_sql(BACK)
