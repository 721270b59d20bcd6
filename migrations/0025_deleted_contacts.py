"""A campaign's message that is cancelled because its contact was deleted says so in the ledger; and
who was named again since an import has made them is not of that import alone.
"""

COLUMN = "ALTER TABLE contacts ADD COLUMN is_named_again boolean NOT NULL DEFAULT false"
TELL = """
CREATE OR REPLACE FUNCTION messages_tell_recipient() RETURNS trigger LANGUAGE plpgsql AS $$
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
            WHEN NEW.status IN ('failed', 'bounced', 'unknown') THEN NEW.error_class{cancelled} END,
        complained_at = CASE WHEN NEW.status = 'complained' THEN coalesce(complained_at, now())
            ELSE complained_at END,
        updated_at = now()
    WHERE id = NEW.recipient_id;
    RETURN NULL;
END $$;
"""
CANCELLED = """
            WHEN NEW.status = 'cancelled' AND NOT EXISTS (
                SELECT FROM contacts c WHERE c.workspace_id = NEW.workspace_id
                    AND c.email = campaign_recipients.email AND c.status = 'active')
                THEN 'contact_deleted'"""


def up(migrator, db):
    db.execute_sql(COLUMN)
    db.execute_sql(TELL.replace("{cancelled}", CANCELLED))


def down(migrator, db):
    db.execute_sql(TELL.replace("{cancelled}", ""))
    db.execute_sql("ALTER TABLE contacts DROP COLUMN is_named_again")
