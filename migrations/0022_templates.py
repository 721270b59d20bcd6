"""Templates of mail, and every version that they had; the mail that asks whether a contact wants to
be one.
"""

TABLES = """
CREATE TABLE templates (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name text NOT NULL,
    version integer NOT NULL DEFAULT 1,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    archived_at timestamptz
);
CREATE UNIQUE INDEX templates_by_name ON templates (workspace_id, lower(name))
    WHERE archived_at IS NULL;
CREATE INDEX templates_by_workspace ON templates (workspace_id, id);

CREATE TABLE template_versions (
    id serial PRIMARY KEY,
    template_id integer NOT NULL REFERENCES templates (id) ON DELETE CASCADE,
    version integer NOT NULL,
    subject text NOT NULL,
    preheader text NOT NULL DEFAULT '',
    format text NOT NULL,
    source text NOT NULL,
    source_text text NOT NULL DEFAULT '',
    html text NOT NULL,
    body_text text NOT NULL,
    fields jsonb NOT NULL,
    note text,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT template_versions_format CHECK (format IN ('html', 'mjml', 'text'))
);
CREATE UNIQUE INDEX template_versions_by_number ON template_versions (template_id, version);

CREATE TABLE template_drafts (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    person_id integer NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    template_id integer REFERENCES templates (id) ON DELETE CASCADE,
    version integer NOT NULL DEFAULT 0,
    typed jsonb NOT NULL,
    html text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX template_drafts_by_person
    ON template_drafts (workspace_id, person_id, coalesce(template_id, 0));
CREATE INDEX template_drafts_by_person_id ON template_drafts (person_id);
CREATE INDEX template_drafts_by_template ON template_drafts (template_id);
CREATE INDEX template_drafts_by_update ON template_drafts (updated_at);

CREATE TABLE confirmation_mails (
    workspace_id integer PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    from_email text NOT NULL,
    from_name text,
    subject text NOT NULL,
    body_text text NOT NULL,
    version integer NOT NULL DEFAULT 1,
    updated_by text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE opt_in_asks (
    id bigserial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    contact_id bigint NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
    message_id uuid,
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX opt_in_asks_of_contact ON opt_in_asks (contact_id, asked_at);
CREATE INDEX opt_in_asks_by_age ON opt_in_asks (asked_at);
"""

BACK = """
DROP TABLE opt_in_asks, confirmation_mails, template_drafts, template_versions, templates;
"""


def up(migrator, db):
    db.execute_sql(TABLES)


def down(migrator, db):
    db.execute_sql(BACK)
