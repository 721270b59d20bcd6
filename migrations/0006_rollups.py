"""Rollups: how much happened in each minute, and in each hour, to a workspace's mail.

`traffic_tallies` are counted as events are written, by the database itself: one row for each
connection that writes, so that nobody waits for another's. The scheduler folds those of minutes
that are over into `rollups`: of the minute, which are kept for some days, and of the hour, which
stay. What was there before is counted here, once.

What a kind of event counts as stands in `traffic_kind`, and nowhere else in the database.
"""

TABLES = """
CREATE TABLE traffic_tallies (
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    stream text NOT NULL,
    smtp_account text NOT NULL,
    shard integer NOT NULL,
    message_count integer NOT NULL,
    PRIMARY KEY (workspace_id, at, kind, stream, smtp_account, shard)
);

CREATE TABLE rollups (
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    grain text NOT NULL,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    stream text NOT NULL,
    smtp_account text NOT NULL,
    message_count bigint NOT NULL,
    PRIMARY KEY (workspace_id, grain, at, kind, stream, smtp_account),
    CONSTRAINT rollups_grain CHECK (grain IN ('minute', 'hour'))
);
CREATE INDEX rollups_minutes ON rollups (at) WHERE grain = 'minute';
"""

KIND = """
CREATE FUNCTION traffic_kind(event text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
CASE event
    WHEN 'message.accepted' THEN 'accepted'
    WHEN 'message.sent' THEN 'sent'
    WHEN 'message.assumed_sent' THEN 'sent'
    WHEN 'message.outcome_learned' THEN 'sent'
    WHEN 'message.failed' THEN 'failed'
    WHEN 'message.suppressed' THEN 'suppressed'
    WHEN 'message.deferred' THEN 'deferred'
    WHEN 'message.delivered' THEN 'delivered'
    WHEN 'message.bounced' THEN 'bounced'
    WHEN 'message.complained' THEN 'complained'
    WHEN 'message.expired' THEN 'expired'
    WHEN 'message.cancelled' THEN 'cancelled'
    WHEN 'message.held' THEN 'held'
    WHEN 'message.outcome_unknown' THEN 'unknown'
END;
"""

# By statement, not by row. Each message is looked up by itself: the plan is kept, and where it was
# made while there were few messages, it would read all of them from then on.
COUNT = """
CREATE FUNCTION events_count() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
BEGIN
    INSERT INTO traffic_tallies AS t (
        workspace_id, at, kind, stream, smtp_account, shard, message_count)
    SELECT m.workspace_id, date_trunc('minute', e.created_at, 'UTC'), traffic_kind(e.type),
        m.stream, coalesce(m.smtp_account_name, ''), pg_backend_pid(), count(*)
    FROM written e CROSS JOIN LATERAL (
        SELECT workspace_id, stream, smtp_account_name FROM messages
        WHERE id = e.message_id OFFSET 0) AS m
    WHERE traffic_kind(e.type) IS NOT NULL
    GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (workspace_id, at, kind, stream, smtp_account, shard) DO UPDATE
    SET message_count = t.message_count + excluded.message_count;
    RETURN NULL;
END $$;

CREATE TRIGGER events_count AFTER INSERT ON events
    REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION events_count();
"""

# The trigger's lock keeps events from being written until this is committed: none is counted twice,
# and none is missed. The account is that of the message's latest attempt, as far as it is known.
COUNT_WHAT_IS_THERE = """
INSERT INTO rollups (workspace_id, grain, at, kind, stream, smtp_account, message_count)
SELECT m.workspace_id, grain, date_trunc(grain, e.created_at, 'UTC'), traffic_kind(e.type),
    m.stream, coalesce(m.smtp_account_name, ''), count(*)
FROM events e
JOIN messages m ON m.id = e.message_id
CROSS JOIN unnest(ARRAY['minute', 'hour']) AS grain
WHERE traffic_kind(e.type) IS NOT NULL
    AND (grain = 'hour' OR e.created_at >= date_trunc('hour', now() - interval '8 days', 'UTC'))
GROUP BY 1, 2, 3, 4, 5, 6;
"""

BACK = """
DROP TRIGGER events_count ON events;
DROP FUNCTION events_count;
DROP FUNCTION traffic_kind;
DROP TABLE rollups, traffic_tallies;
"""


def up(migrator, db):
    db.execute_sql(TABLES)
    db.execute_sql(KIND)
    db.execute_sql(COUNT)
    db.execute_sql(COUNT_WHAT_IS_THERE)


def down(migrator, db):
    db.execute_sql(BACK)
