"""The first schema: workspaces, SMTP accounts, API keys, workers, messages with their content,
attempts, events.

Plain SQL, so that this file says for ever what it did, whatever becomes of the models. A test
compares the outcome with the models.
"""

TABLES = """
CREATE TABLE workspaces (
    id serial PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE workers (
    id uuid PRIMARY KEY,
    host text NOT NULL,
    pid integer NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE smtp_accounts (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name text NOT NULL,
    host text NOT NULL,
    port integer NOT NULL,
    security text NOT NULL,
    username text,
    password_encrypted bytea,
    from_email text NOT NULL,
    is_active boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT smtp_accounts_port CHECK (port BETWEEN 1 AND 65535),
    CONSTRAINT smtp_accounts_security CHECK (security IN ('auto', 'starttls', 'tls', 'none')),
    CONSTRAINT smtp_accounts_credentials CHECK (username IS NOT NULL OR password_encrypted IS NULL)
);
CREATE UNIQUE INDEX smtp_accounts_workspace_id_name ON smtp_accounts (workspace_id, name);
CREATE UNIQUE INDEX smtp_accounts_active ON smtp_accounts (workspace_id) WHERE is_active;

CREATE TABLE api_keys (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name text NOT NULL,
    prefix text NOT NULL,
    key_hash bytea NOT NULL,
    role text NOT NULL,
    allowed_networks text[],
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT api_keys_role CHECK (role IN ('admin', 'operator', 'sender')),
    CONSTRAINT api_keys_key_hash CHECK (octet_length(key_hash) = 32)
);
CREATE UNIQUE INDEX api_keys_key_hash_unique ON api_keys (key_hash);
CREATE INDEX api_keys_by_workspace ON api_keys (workspace_id);

CREATE TABLE messages (
    id uuid PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    status text NOT NULL,
    stream text NOT NULL,
    priority smallint NOT NULL,
    from_email text NOT NULL,
    to_email text NOT NULL,
    subject text NOT NULL,
    size_bytes integer NOT NULL,
    tags text[] NOT NULL,
    metadata jsonb NOT NULL,
    scheduled_at timestamptz,
    next_attempt_at timestamptz,
    attempt_count smallint NOT NULL DEFAULT 0,
    worker_id uuid,
    smtp_account_name text,
    last_error text,
    error_class text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT messages_status CHECK (status IN (
        'queued', 'sending', 'sent', 'delivered', 'bounced', 'complained',
        'failed', 'suppressed', 'cancelled', 'expired', 'held', 'unknown')),
    CONSTRAINT messages_stream CHECK (stream IN ('transactional', 'marketing')),
    CONSTRAINT messages_queued_has_time CHECK ((status = 'queued') = (next_attempt_at IS NOT NULL)),
    CONSTRAINT messages_sending_is_held CHECK ((status = 'sending') = (worker_id IS NOT NULL)),
    CONSTRAINT messages_attempt_count CHECK (attempt_count >= 0),
    CONSTRAINT messages_one_line CHECK (
        from_email !~ '[\\r\\n]' AND to_email !~ '[\\r\\n]' AND subject !~ '[\\r\\n]')
);
CREATE INDEX messages_due ON messages (priority, next_attempt_at) WHERE status = 'queued';
CREATE INDEX messages_held ON messages (worker_id) WHERE status = 'sending';
CREATE INDEX messages_by_time ON messages (workspace_id, created_at, id);
CREATE INDEX messages_by_status ON messages (workspace_id, status, created_at, id);
CREATE INDEX messages_by_recipient ON messages (workspace_id, to_email, created_at, id);

CREATE TABLE message_bodies (
    message_id uuid PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    from_name text,
    reply_to text,
    headers jsonb NOT NULL,
    body_text text,
    body_html text,
    attachment_count smallint NOT NULL DEFAULT 0,
    CONSTRAINT message_bodies_not_empty CHECK (body_text IS NOT NULL OR body_html IS NOT NULL)
);

CREATE TABLE message_attachments (
    message_id uuid NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    position smallint NOT NULL,
    filename text NOT NULL,
    content_type text NOT NULL,
    content_id text,
    content bytea NOT NULL,
    PRIMARY KEY (message_id, position)
);

CREATE TABLE attempts (
    message_id uuid NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    attempt_no smallint NOT NULL,
    status text NOT NULL,
    worker_id uuid NOT NULL,
    smtp_account_name text NOT NULL,
    remote text,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    duration_ms integer,
    stage text,
    smtp_code smallint,
    enhanced_code text,
    response text,
    error_class text,
    timings jsonb,
    PRIMARY KEY (message_id, attempt_no),
    CONSTRAINT attempts_status CHECK (status IN (
        'started', 'sent', 'deferred', 'failed', 'unknown', 'interrupted')),
    CONSTRAINT attempts_attempt_no CHECK (attempt_no >= 1)
);

CREATE TABLE events (
    id bigserial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    message_id uuid REFERENCES messages (id) ON DELETE CASCADE,
    type text NOT NULL,
    data jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX events_by_message ON events (message_id, id);
"""

# Whatever a program or a person at psql tries: a message makes only the moves of docs/states.md.
TRANSITIONS = """
CREATE FUNCTION messages_refuse_illegal_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.status || '>' || NEW.status) IN (
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
        'unknown>complained'
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'check_violation',
        MESSAGE = 'message ' || OLD.id || ' cannot go from ' || OLD.status || ' to ' || NEW.status;
END $$;

CREATE TRIGGER messages_refuse_illegal_move BEFORE UPDATE OF status ON messages
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION messages_refuse_illegal_move();
"""

# The workspace that the instance keys act on unless they name another.
DEFAULT_WORKSPACE = "INSERT INTO workspaces (name) VALUES ('Default')"


def up(migrator, db):
    db.execute_sql(TABLES)
    db.execute_sql(TRANSITIONS)
    db.execute_sql(DEFAULT_WORKSPACE)


def down(migrator, db):
    db.execute_sql(
        "DROP TABLE events, attempts, message_attachments, message_bodies, messages,"
        " api_keys, smtp_accounts, workers, workspaces"
    )
    db.execute_sql("DROP FUNCTION messages_refuse_illegal_move")
