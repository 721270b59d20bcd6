"""Campaigns, and their ledger: a row for each contact that one is meant for, which follows the
message that is made of it.
"""

TABLES = """
CREATE TABLE campaigns (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name text NOT NULL,
    status text NOT NULL DEFAULT 'draft',
    version integer NOT NULL DEFAULT 1,
    audience_kind text NOT NULL,
    audience_id integer REFERENCES audiences (id) ON DELETE SET NULL,
    segment_id integer REFERENCES segments (id) ON DELETE SET NULL,
    topic text,
    from_email text NOT NULL,
    from_name text,
    reply_to text,
    smtp_account text,
    template_id integer REFERENCES templates (id) ON DELETE SET NULL,
    template_version integer,
    subject text,
    subject_b text,
    test_percent smallint,
    test_minutes integer,
    test_metric text,
    winner text,
    decide_at timestamptz,
    per_hour integer,
    ramp jsonb,
    send_at timestamp,
    time_zone text NOT NULL DEFAULT 'UTC',
    starts_at timestamptz,
    changed_by text,
    submitted_by text,
    approved_by text,
    paused_from text,
    paused_by text,
    pause_reason text,
    cancelled_by text,
    rules jsonb,
    cursor bigint NOT NULL DEFAULT 0,
    audience_count integer NOT NULL DEFAULT 0,
    handed_count integer NOT NULL DEFAULT 0,
    pace jsonb,
    fault text,
    fault_count integer NOT NULL DEFAULT 0,
    step_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    prepared_at timestamptz,
    ended_at timestamptz,
    settled_at timestamptz,
    CONSTRAINT campaigns_status CHECK (status IN (
        'draft', 'in_review', 'scheduled', 'preparing', 'sending', 'paused', 'finished',
        'cancelled')),
    CONSTRAINT campaigns_audience CHECK (audience_kind IN ('everyone', 'list', 'segment')),
    CONSTRAINT campaigns_test CHECK (
        num_nulls(test_percent, test_minutes, test_metric) IN (0, 3)
        AND (test_percent BETWEEN 1 AND 100)
        AND (test_metric IN ('opens', 'clicks'))),
    CONSTRAINT campaigns_winner CHECK (winner IN ('a', 'b')),
    CONSTRAINT campaigns_paused CHECK ((status = 'paused') = (paused_from IS NOT NULL)),
    CONSTRAINT campaigns_ended CHECK (
        (status IN ('finished', 'cancelled')) = (ended_at IS NOT NULL)),
    CONSTRAINT campaigns_scheduled CHECK (
        status IN ('draft', 'in_review', 'cancelled') OR starts_at IS NOT NULL)
);
CREATE INDEX campaigns_by_workspace ON campaigns (workspace_id, id);
CREATE INDEX campaigns_of_audience ON campaigns (audience_id) WHERE audience_id IS NOT NULL;
CREATE INDEX campaigns_of_segment ON campaigns (segment_id) WHERE segment_id IS NOT NULL;
CREATE INDEX campaigns_of_template ON campaigns (template_id) WHERE template_id IS NOT NULL;
CREATE INDEX campaigns_to_step ON campaigns (step_at)
    WHERE status IN ('scheduled', 'preparing', 'sending', 'cancelled') AND settled_at IS NULL;

CREATE TABLE campaign_recipients (
    id bigserial PRIMARY KEY,
    campaign_id integer NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
    contact_id bigint NOT NULL,
    email text COLLATE pg_c_utf8 NOT NULL,
    variant text,
    status text NOT NULL DEFAULT 'queued',
    reason text,
    message_id uuid,
    handed_at timestamptz,
    opened_at timestamptz,
    clicked_at timestamptz,
    complained_at timestamptz,
    unsubscribed_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT campaign_recipients_status CHECK (status IN (
        'queued', 'sent', 'delivered', 'bounced', 'suppressed', 'failed', 'cancelled',
        'unknown')),
    CONSTRAINT campaign_recipients_variant CHECK (variant IN ('a', 'b')),
    CONSTRAINT campaign_recipients_handed CHECK ((message_id IS NULL) = (handed_at IS NULL))
);
CREATE UNIQUE INDEX campaign_recipients_once ON campaign_recipients (campaign_id, email);
CREATE INDEX campaign_recipients_by_status ON campaign_recipients (campaign_id, status, id);
CREATE INDEX campaign_recipients_waiting ON campaign_recipients (campaign_id, variant, id)
    WHERE status = 'queued' AND message_id IS NULL;
CREATE INDEX campaign_recipients_under_way ON campaign_recipients (campaign_id, id)
    WHERE status = 'queued' AND message_id IS NOT NULL;
CREATE UNIQUE INDEX campaign_recipients_of_contact
    ON campaign_recipients (contact_id, campaign_id);

CREATE TABLE contact_engagements (
    contact_id bigint PRIMARY KEY REFERENCES contacts (id) ON DELETE CASCADE,
    mailed_at timestamptz NOT NULL,
    opened_at timestamptz,
    clicked_at timestamptz
);

CREATE TABLE campaign_settings (
    workspace_id integer PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    needs_second_person boolean NOT NULL DEFAULT false,
    version integer NOT NULL DEFAULT 1,
    updated_by text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
"""

# A message knows its row by a number, so that the row can follow it without being searched for.
FOLLOW = """
ALTER TABLE messages ADD COLUMN recipient_id bigint;

CREATE FUNCTION messages_tell_recipient() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE campaign_recipients SET
        status = CASE
            WHEN NEW.status IN ('queued', 'sending', 'held') THEN 'queued'
            WHEN NEW.status = 'complained' THEN 'delivered'
            WHEN NEW.status = 'expired' THEN 'failed'
            ELSE NEW.status END,
        reason = CASE
            WHEN NEW.status = 'suppressed' AND NEW.unsubscribe_id IS NOT NULL
                THEN 'unsubscribed'
            WHEN NEW.status = 'suppressed' THEN 'suppressed'
            WHEN NEW.status = 'expired' THEN 'expired'
            WHEN NEW.status IN ('failed', 'bounced', 'unknown') THEN NEW.error_class END,
        complained_at = CASE WHEN NEW.status = 'complained' THEN coalesce(complained_at, now())
            ELSE complained_at END,
        updated_at = now()
    WHERE id = NEW.recipient_id;
    RETURN NULL;
END $$;
CREATE TRIGGER messages_tell_recipient AFTER UPDATE OF status ON messages
    FOR EACH ROW WHEN (NEW.recipient_id IS NOT NULL AND OLD.status <> NEW.status)
    EXECUTE FUNCTION messages_tell_recipient();
"""

GUARD = """
CREATE FUNCTION campaigns_refuse_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'check_violation',
        MESSAGE = 'campaign ' || OLD.id || ' cannot go from ' || OLD.status || ' to ' || NEW.status;
END $$;
CREATE TRIGGER campaigns_refuse_illegal_move BEFORE UPDATE OF status ON campaigns
    FOR EACH ROW WHEN (OLD.status <> NEW.status AND (OLD.status || '>' || NEW.status) NOT IN (
        'draft>in_review', 'draft>scheduled',
        'in_review>draft', 'in_review>scheduled',
        'scheduled>draft', 'scheduled>preparing', 'scheduled>cancelled',
        'preparing>sending', 'preparing>paused', 'preparing>cancelled',
        'sending>paused', 'sending>finished', 'sending>cancelled',
        'paused>preparing', 'paused>sending', 'paused>cancelled'))
    EXECUTE FUNCTION campaigns_refuse_move();
"""

BACK = """
DROP TRIGGER messages_tell_recipient ON messages;
DROP FUNCTION messages_tell_recipient;
ALTER TABLE messages DROP COLUMN recipient_id;
DROP TABLE campaign_settings, contact_engagements, campaign_recipients, campaigns;
DROP FUNCTION campaigns_refuse_move;
"""


def up(migrator, db):
    db.execute_sql(TABLES)
    db.execute_sql(FOLLOW)
    db.execute_sql(GUARD)


def down(migrator, db):
    db.execute_sql(BACK)
