"""Contacts, what is known of them, the topics, lists and segments that they are in, and the files
that they come from.
"""

TABLES = """
CREATE TABLE contacts (
    id bigserial PRIMARY KEY,
    workspace_id integer NOT NULL,
    email text COLLATE pg_c_utf8 NOT NULL,
    name text,
    attributes jsonb NOT NULL DEFAULT '{}',
    topics text[] NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT 'active',
    consent_source text,
    consent_at timestamptz,
    consent_proof text,
    version integer NOT NULL DEFAULT 1,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT contacts_email CHECK (email = lower(email)),
    CONSTRAINT contacts_status CHECK (status IN ('pending', 'active')),
    CONSTRAINT contacts_attributes CHECK (jsonb_typeof(attributes) = 'object')
);
CREATE UNIQUE INDEX contacts_by_email ON contacts (workspace_id, email);
CREATE INDEX contacts_by_workspace ON contacts (workspace_id, id);
CREATE INDEX contacts_of_domain ON contacts (workspace_id, split_part(email, '@', 2), id);

CREATE TABLE contact_attributes (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name text NOT NULL,
    kind text NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz,
    CONSTRAINT contact_attributes_kind CHECK (kind IN ('text', 'number', 'boolean', 'date'))
);
CREATE UNIQUE INDEX contact_attributes_by_name ON contact_attributes (workspace_id, name);

CREATE TABLE topics (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name text NOT NULL,
    label text NOT NULL,
    description text NOT NULL DEFAULT '',
    is_public boolean NOT NULL DEFAULT true,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX topics_by_name ON topics (workspace_id, name);

CREATE TABLE audiences (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz
);
CREATE UNIQUE INDEX audiences_by_name ON audiences (workspace_id, lower(name))
    WHERE removed_at IS NULL;
CREATE INDEX audiences_removed ON audiences (removed_at) WHERE removed_at IS NOT NULL;

CREATE TABLE audience_members (
    audience_id integer NOT NULL,
    contact_id bigint NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (audience_id, contact_id)
);
CREATE INDEX audience_members_by_contact ON audience_members (contact_id);

CREATE FUNCTION contacts_need_workspaces() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM workspaces WHERE id IN (SELECT workspace_id FROM come) FOR KEY SHARE;
    IF EXISTS (SELECT FROM come c LEFT JOIN workspaces w ON w.id = c.workspace_id
            WHERE w.id IS NULL) THEN
        RAISE EXCEPTION 'contacts of a workspace that is not there'
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER contacts_need_workspaces AFTER INSERT ON contacts
    REFERENCING NEW TABLE AS come FOR EACH STATEMENT EXECUTE FUNCTION contacts_need_workspaces();
CREATE FUNCTION workspaces_take_contacts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM contacts c USING gone g WHERE c.workspace_id = g.id;
    RETURN NULL;
END $$;
CREATE TRIGGER workspaces_take_contacts AFTER DELETE ON workspaces
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION workspaces_take_contacts();
CREATE FUNCTION contacts_leave_audiences() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM audience_members m USING gone g WHERE m.contact_id = g.id;
    RETURN NULL;
END $$;
CREATE TRIGGER contacts_leave_audiences AFTER DELETE ON contacts
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION contacts_leave_audiences();
CREATE FUNCTION audiences_let_go() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM audience_members m USING gone g WHERE m.audience_id = g.id;
    RETURN NULL;
END $$;
CREATE TRIGGER audiences_let_go AFTER DELETE ON audiences
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION audiences_let_go();

CREATE TABLE segments (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name text NOT NULL,
    rules jsonb NOT NULL,
    version integer NOT NULL DEFAULT 1,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_by text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz
);
CREATE UNIQUE INDEX segments_by_name ON segments (workspace_id, lower(name))
    WHERE removed_at IS NULL;
CREATE INDEX segments_by_workspace ON segments (workspace_id, id);

CREATE TABLE contact_files (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name text NOT NULL,
    size_bytes bigint NOT NULL DEFAULT 0,
    digest bytea,
    line_count integer NOT NULL DEFAULT 0,
    chunk_count integer NOT NULL DEFAULT 0,
    layout jsonb NOT NULL,
    options jsonb NOT NULL,
    foreseen jsonb,
    check_job_id integer,
    import_job_id integer,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    received_at timestamptz
);
CREATE INDEX contact_files_by_workspace ON contact_files (workspace_id, id);
CREATE INDEX contact_files_by_age ON contact_files (created_at);

CREATE TABLE contact_file_chunks (
    file_id integer NOT NULL REFERENCES contact_files (id) ON DELETE CASCADE,
    position integer NOT NULL,
    first_line integer NOT NULL,
    line_count integer NOT NULL,
    content bytea NOT NULL,
    duplicates integer[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (file_id, position)
);

CREATE TABLE contact_file_addresses (
    file_id integer NOT NULL REFERENCES contact_files (id) ON DELETE CASCADE,
    email text COLLATE pg_c_utf8 NOT NULL,
    line integer NOT NULL,
    PRIMARY KEY (file_id, email)
);

CREATE TABLE contact_rejections (
    file_id integer NOT NULL REFERENCES contact_files (id) ON DELETE CASCADE,
    line integer NOT NULL,
    reason text NOT NULL,
    problem text NOT NULL,
    content text NOT NULL,
    PRIMARY KEY (file_id, line)
);

CREATE TABLE contact_changes (
    job_id integer NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    contact_id bigint NOT NULL,
    before jsonb NOT NULL,
    version integer NOT NULL,
    is_new_member boolean NOT NULL,
    PRIMARY KEY (job_id, contact_id)
);

CREATE TABLE contact_import_parts (
    job_id integer NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    position integer NOT NULL,
    contact_ids bigint[] STORAGE EXTERNAL NOT NULL,
    PRIMARY KEY (job_id, position)
);
"""

BACK = """
DROP TABLE contact_import_parts, contact_changes, contact_rejections, contact_file_addresses,
    contact_file_chunks, contact_files, segments, audience_members, audiences, topics,
    contact_attributes, contacts;
DROP TRIGGER workspaces_take_contacts ON workspaces;
DROP FUNCTION workspaces_take_contacts, contacts_need_workspaces, contacts_leave_audiences,
    audiences_let_go;
"""


def up(migrator, db):
    db.execute_sql(TABLES)


def down(migrator, db):
    db.execute_sql(BACK)
