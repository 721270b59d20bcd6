"""People: who signs in, their sessions, which workspaces they belong to, and who is invited; and an
index of what has gone wrong lately, which their dashboard asks for.

Workspace 0 is maild's own. The mail that maild sends to people (invitations, links to reset a
password) goes out from it, and nobody can be its member or name it: a link in such a mail must be
seen by its recipient alone.
"""

TABLES = """
CREATE TABLE people (
    id serial PRIMARY KEY,
    email text COLLATE pg_c_utf8 NOT NULL,
    name text NOT NULL,
    password_hash text NOT NULL,
    password_changed_at timestamptz NOT NULL DEFAULT now(),
    email_verified_at timestamptz,
    totp_secret_encrypted bytea,
    totp_enabled_at timestamptz,
    totp_last_step bigint,
    seen_at timestamptz NOT NULL DEFAULT now(),
    last_visit_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT people_email CHECK (email = lower(email)),
    CONSTRAINT people_second_factor CHECK (
        totp_enabled_at IS NULL OR totp_secret_encrypted IS NOT NULL)
);
CREATE UNIQUE INDEX people_by_email ON people (email);

CREATE TABLE recovery_codes (
    id serial PRIMARY KEY,
    person_id integer NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    code_hash bytea NOT NULL,
    used_at timestamptz
);
CREATE INDEX recovery_codes_by_person ON recovery_codes (person_id);

CREATE TABLE members (
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    person_id integer NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    role text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, person_id),
    CONSTRAINT members_role CHECK (role IN ('admin', 'operator', 'viewer')),
    CONSTRAINT members_not_of_maild CHECK (workspace_id > 0)
);
CREATE INDEX members_by_person ON members (person_id);

CREATE TABLE sessions (
    id serial PRIMARY KEY,
    person_id integer NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    token_hash bytea NOT NULL,
    workspace_id integer REFERENCES workspaces (id) ON DELETE SET NULL,
    is_remembered boolean NOT NULL DEFAULT false,
    ip text,
    user_agent text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT sessions_token_hash CHECK (octet_length(token_hash) = 32)
);
CREATE UNIQUE INDEX sessions_by_token ON sessions (token_hash);
CREATE INDEX sessions_by_person ON sessions (person_id);
CREATE INDEX sessions_by_workspace ON sessions (workspace_id);

CREATE TABLE invitations (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    email text COLLATE pg_c_utf8 NOT NULL,
    role text NOT NULL,
    token_hash bytea NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    accepted_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT invitations_email CHECK (email = lower(email)),
    CONSTRAINT invitations_role CHECK (role IN ('admin', 'operator', 'viewer')),
    CONSTRAINT invitations_token_hash CHECK (octet_length(token_hash) = 32),
    CONSTRAINT invitations_not_of_maild CHECK (workspace_id > 0),
    CONSTRAINT invitations_one_end CHECK (accepted_at IS NULL OR revoked_at IS NULL)
);
CREATE UNIQUE INDEX invitations_by_token ON invitations (token_hash);
CREATE UNIQUE INDEX invitations_open ON invitations (workspace_id, email)
    WHERE accepted_at IS NULL AND revoked_at IS NULL;
CREATE INDEX invitations_by_workspace ON invitations (workspace_id, id);

CREATE TABLE mailed_links (
    id serial PRIMARY KEY,
    person_id integer NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    purpose text NOT NULL,
    email text COLLATE pg_c_utf8 NOT NULL,
    token_hash bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT mailed_links_purpose CHECK (purpose IN ('confirm_email', 'reset_password')),
    CONSTRAINT mailed_links_token_hash CHECK (octet_length(token_hash) = 32)
);
CREATE UNIQUE INDEX mailed_links_by_token ON mailed_links (token_hash);
CREATE INDEX mailed_links_by_person ON mailed_links (person_id, purpose);

CREATE INDEX messages_gone_wrong ON messages (workspace_id, status, updated_at)
    WHERE status IN ('failed', 'unknown');
"""

MAILDS_OWN = "INSERT INTO workspaces (id, name) VALUES (0, 'maild')"

BACK = """
DROP INDEX messages_gone_wrong;
DROP TABLE mailed_links, invitations, sessions, members, recovery_codes, people;
DELETE FROM workspaces WHERE id = 0;
"""


def up(migrator, db):
    db.execute_sql(TABLES)
    db.execute_sql(MAILDS_OWN)


def down(migrator, db):
    db.execute_sql(BACK)
