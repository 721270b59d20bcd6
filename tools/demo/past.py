"""Moves what has just happened to the times of the story, directly in the development database.

Each message is moved as a whole, so that what took milliseconds still does. What belongs to no
message (accounts, freezes, policies, ...) is moved like the last message before it, so that the
order of things stays what it was. Two things are not moved: the audit log, which nobody can change,
and the next attempt of mail that is not finished.

Deferred mail that was sent again sooner than planned (`Traffic.hasten`) gets its waits back.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

from maild.db import database

_TABLES = (
    "CREATE TEMP TABLE wave ON COMMIT DROP AS SELECT %(since)s::timestamptz AS since",
    # Mail that the story does not know, such as a copy, goes with the one before it.
    """
    CREATE TEMP TABLE moved ON COMMIT DROP AS
    WITH told AS (
        SELECT m.id, m.created_at AS was_at, v.at - m.created_at AS by
        FROM json_to_recordset(%(story)s) AS v (id uuid, at timestamptz) JOIN messages m USING (id)
    )
    SELECT * FROM told
    UNION ALL
    SELECT m.id, m.created_at, coalesce(
        (SELECT by FROM told WHERE was_at <= m.created_at ORDER BY was_at DESC, by DESC LIMIT 1),
        (SELECT by FROM told ORDER BY was_at, by LIMIT 1))
    FROM messages m
    WHERE m.workspace_id = %(workspace)s AND m.created_at >= %(since)s
        AND m.id NOT IN (SELECT id FROM told)
    """,
    # By how much longer than it did each attempt shall have waited, all before it included.
    """
    CREATE TEMP TABLE waited ON COMMIT DROP AS
    SELECT message_id, attempt_no, started_at AS was_at,
        sum(missing) OVER (PARTITION BY message_id ORDER BY attempt_no) AS by
    FROM (
        SELECT a.message_id, a.attempt_no, a.started_at, greatest(interval '0',
            interval '1 second' * (e.data->>'retry_in_seconds')::int - (a.started_at
                - lag(a.finished_at) OVER (PARTITION BY a.message_id ORDER BY a.attempt_no))
            ) AS missing
        FROM attempts a JOIN moved ON moved.id = a.message_id
        LEFT JOIN events e ON e.message_id = a.message_id AND e.type = 'message.deferred'
            AND (e.data->>'attempt_no')::int = a.attempt_no - 1) AS gaps
    """,
    """
    CREATE OR REPLACE FUNCTION pg_temp.shifted(at timestamptz) RETURNS timestamptz
    LANGUAGE sql STABLE AS $$
        SELECT CASE WHEN at < (SELECT since FROM wave) THEN at ELSE at + coalesce(
            (SELECT by FROM moved WHERE was_at <= at ORDER BY was_at DESC, by DESC LIMIT 1),
            (SELECT by FROM moved ORDER BY was_at, by LIMIT 1)) END
    $$
    """,
)
_MESSAGES = (
    # What a person has done comes later: it has its place among the messages of its own time.
    """
    UPDATE events e SET created_at = CASE WHEN e.data ? 'by' THEN pg_temp.shifted(e.created_at)
        ELSE least(now(), e.created_at + moved.by + coalesce((
            SELECT w.by FROM waited w WHERE w.message_id = e.message_id AND w.was_at <= e.created_at
            ORDER BY w.attempt_no DESC LIMIT 1), interval '0')) END
    FROM moved WHERE moved.id = e.message_id
    """,
    """
    UPDATE attempts a SET
        started_at = least(now(), a.started_at + moved.by + w.by),
        finished_at = least(now(), a.finished_at + moved.by + w.by)
    FROM moved, waited w
    WHERE moved.id = a.message_id AND w.message_id = a.message_id AND w.attempt_no = a.attempt_no
    """,
    # What is to come stays to come.
    """
    UPDATE messages m SET
        created_at = m.created_at + moved.by,
        updated_at = (SELECT max(e.created_at) FROM events e
            WHERE e.message_id = m.id AND e.type <> 'message.unsubscribed'),
        expires_at = CASE WHEN ahead THEN m.expires_at ELSE m.expires_at + moved.by END,
        scheduled_at = CASE WHEN ahead THEN m.scheduled_at ELSE m.scheduled_at + moved.by END,
        not_before = CASE WHEN ahead THEN m.not_before ELSE m.not_before + moved.by END
    FROM moved, LATERAL (
        SELECT coalesce(scheduled_at, not_before) > now() AS ahead
        FROM messages WHERE id = moved.id) AS standing
    WHERE m.id = moved.id
    """,
    # They are where the messages were.
    "DELETE FROM log_blocks WHERE workspace_id = %(workspace)s",
    """
    UPDATE suppressions s SET created_at = s.created_at + moved.by
    FROM moved, wave WHERE moved.id = s.message_id AND s.created_at >= wave.since
    """,
    """
    UPDATE soft_bounces s SET occurred_at = s.occurred_at + moved.by
    FROM moved, wave
    WHERE s.workspace_id = %(workspace)s AND s.cause = moved.id::text
        AND s.occurred_at >= wave.since
    """,
)
_OTHERS = (
    """
    UPDATE events SET created_at = pg_temp.shifted(created_at)
    WHERE workspace_id = %(workspace)s AND message_id IS NULL AND created_at >= %(since)s
    """,
    """
    UPDATE suppressions SET created_at = pg_temp.shifted(created_at)
    WHERE workspace_id = %(workspace)s AND message_id IS NULL
    """,
    *(
        f"UPDATE {table} SET {name} = pg_temp.shifted({name}) WHERE workspace_id = %(workspace)s"  # noqa: S608
        for table, name in (
            ("unsubscribes", "created_at"),
            ("policies", "created_at"),
            ("freezes", "created_at"),
            ("link_keys", "created_at"),
            ("api_keys", "created_at"),
            ("api_keys", "revoked_at"),
            ("smtp_accounts", "created_at"),
            ("smtp_accounts", "updated_at"),
            ("webhook_endpoints", "created_at"),
            ("webhook_secrets", "created_at"),
        )
    ),
    """
    UPDATE breakers SET
        opened_at = pg_temp.shifted(opened_at), closed_at = pg_temp.shifted(closed_at),
        last_fault_at = pg_temp.shifted(last_fault_at), slowed_at = pg_temp.shifted(slowed_at),
        updated_at = pg_temp.shifted(updated_at)
    WHERE account_id IN (SELECT id FROM smtp_accounts WHERE workspace_id = %(workspace)s)
    """,
    """
    WITH gone AS (
        DELETE FROM account_tallies USING wave
        WHERE account_id IN (SELECT id FROM smtp_accounts WHERE workspace_id = %(workspace)s)
            AND slot_at > wave.since - interval '5 seconds'
        RETURNING account_id, greatest(slot_at, wave.since) AS at, worker_id, try_count, fault_count
    )
    INSERT INTO account_tallies
    SELECT account_id, date_bin('5 seconds', pg_temp.shifted(at), 'epoch'), worker_id,
        sum(try_count), sum(fault_count)
    FROM gone GROUP BY 1, 2, 3
    """,
    # Which hours the limits have counted the messages in.
    "DELETE FROM limit_tallies WHERE workspace_id = %(workspace)s",
    """
    INSERT INTO limit_tallies (workspace_id, domain, slot, message_count)
    SELECT m.workspace_id, scope, floor(extract(epoch FROM due_at) / 300)::int, count(*)
    FROM messages m
    CROSS JOIN LATERAL coalesce(m.not_before, m.scheduled_at, m.created_at) AS due_at
    CROSS JOIN LATERAL unnest(ARRAY['', split_part(m.to_email, '@', 2)]) AS scope
    WHERE m.workspace_id = %(workspace)s AND m.status <> 'suppressed'
        AND due_at > now() - interval '2 hours'
    GROUP BY 1, 2, 3
    """,
    # What the events of a breaker say of time, which is longer now.
    """
    WITH told AS (
        SELECT id, type, created_at, data->>'smtp_account' AS account FROM events
        WHERE workspace_id = %(workspace)s AND message_id IS NULL
            AND type LIKE 'provider.breaker_%%' AND id >= (
                SELECT min(id) FROM events, wave
                WHERE workspace_id = %(workspace)s AND message_id IS NULL
                    AND created_at >= (SELECT min(was_at + by) FROM moved))
    ), spans AS (
        SELECT id, CASE type
            WHEN 'provider.breaker_opened' THEN 'retry_in_seconds'
            WHEN 'provider.breaker_closed' THEN 'open_seconds' END AS name,
            extract(epoch FROM CASE type
                WHEN 'provider.breaker_opened' THEN (
                    SELECT min(later.created_at) FROM told later
                    WHERE later.account = told.account AND later.id > told.id) - created_at
                WHEN 'provider.breaker_closed' THEN created_at - (
                    SELECT max(opened.created_at) FROM told opened
                    WHERE opened.account = told.account AND opened.id < told.id
                        AND opened.type = 'provider.breaker_opened')
            END)::int AS seconds
        FROM told
    )
    UPDATE events e SET data = e.data || jsonb_build_object(spans.name, spans.seconds)
        || CASE WHEN e.data ? 'tries' THEN jsonb_build_object('tries', e.data->'faults')
            ELSE '{}' END
    FROM spans WHERE spans.id = e.id AND spans.seconds IS NOT NULL
    """,
)

# What happened is counted by the minute, which is another one now.
_COUNTS = (
    "LOCK TABLE traffic_tallies, rollups IN SHARE ROW EXCLUSIVE MODE",
    "DELETE FROM traffic_tallies WHERE workspace_id = %(workspace)s",
    "DELETE FROM rollups WHERE workspace_id = %(workspace)s",
    """
    INSERT INTO rollups (workspace_id, grain, at, kind, stream, smtp_account, message_count)
    SELECT m.workspace_id, grain, date_trunc(grain, e.created_at), traffic_kind(e.type),
        m.stream, CASE WHEN e.type = 'message.accepted' THEN ''
            ELSE coalesce(e.data->>'smtp_account', m.smtp_account_name, '') END, count(*)
    FROM events e
    JOIN messages m ON m.id = e.message_id
    CROSS JOIN unnest(ARRAY['minute', 'hour']) AS grain
    WHERE m.workspace_id = %(workspace)s AND traffic_kind(e.type) IS NOT NULL
    GROUP BY 1, 2, 3, 4, 5, 6
    """,
)


def move(workspace_id: int, story: Mapping[uuid.UUID, datetime], *, since: datetime) -> None:
    """Move what has happened in the workspace `since` then to the times of the story; `story` has
    those of the messages. Nothing may be on its way meanwhile.
    """
    rows = [{"id": str(id_), "at": at.isoformat()} for id_, at in story.items()]
    values = {"workspace": workspace_id, "story": json.dumps(rows), "since": since}
    with database.atomic():
        for statement in (*_TABLES, *_MESSAGES, *_OTHERS, *_COUNTS):
            database.execute_sql(statement, values)


_REPORTED = """
CREATE TEMP TABLE told ON COMMIT DROP AS
SELECT p.id, v.at::timestamptz AS at
FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM webhook_payloads
    WHERE workspace_id = %(workspace)s AND created_at >= %(since)s) AS p
JOIN json_array_elements_text(%(times)s) WITH ORDINALITY AS v (at, place) USING (place)
"""
_REPORTS = (
    "UPDATE webhook_payloads p SET created_at = told.at FROM told WHERE told.id = p.id",
    """
    UPDATE provider_events e SET created_at = told.at, updated_at = told.at
    FROM told WHERE told.id = e.payload_id
    """,
    """
    UPDATE events e SET created_at = p.created_at
    FROM provider_events p JOIN told ON told.id = p.payload_id
    WHERE e.message_id = p.message_id AND e.data->>'report_id' = p.id::text
    """,
    """
    UPDATE messages m SET updated_at = p.at
    FROM (SELECT message_id, max(created_at) AS at FROM provider_events
        WHERE workspace_id = %(workspace)s AND effects ? 'message_moved_from'
        GROUP BY message_id) AS p
    WHERE m.id = p.message_id AND m.updated_at >= %(since)s
    """,
    *(
        f"""
        UPDATE {table} s SET created_at = p.at
        FROM (SELECT message_id, max(created_at) AS at FROM provider_events
            WHERE workspace_id = %(workspace)s GROUP BY message_id) AS p
        WHERE s.message_id = p.message_id AND s.source = 'provider_event'
            AND s.created_at >= %(since)s
        """  # noqa: S608 - our own two names
        for table in ("suppressions", "unsubscribes")
    ),
    # Lists are in the order of the ids. The provider events of a batch get theirs in another one,
    # and on a message's timeline something may have come in between.
    """
    CREATE TEMP TABLE numbered ON COMMIT DROP AS
    SELECT old.id AS was_id, new.id FROM
        (SELECT e.id, row_number() OVER (ORDER BY e.created_at, e.id) AS place
            FROM provider_events e JOIN told ON told.id = e.payload_id) AS old
        JOIN (SELECT e.id, row_number() OVER (ORDER BY e.id) AS place
            FROM provider_events e JOIN told ON told.id = e.payload_id) AS new USING (place)
    """,
    """
    CREATE TEMP TABLE lined_up ON COMMIT DROP AS
    WITH ours AS (
        SELECT e.id,
            row_number() OVER (PARTITION BY message_id ORDER BY created_at, id) AS place,
            array_agg(id) OVER (PARTITION BY message_id ORDER BY id
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS ids
        FROM events e WHERE message_id IN (
            SELECT message_id FROM provider_events p JOIN told ON told.id = p.payload_id)
    )
    SELECT id AS was_id, ids[place] AS id FROM ours WHERE id <> ids[place]
    """,
    "UPDATE events e SET id = -n.id FROM lined_up n WHERE n.was_id = e.id",
    "UPDATE events e SET id = -e.id FROM lined_up n WHERE e.id = -n.id",
    """
    UPDATE events e SET data = e.data || jsonb_build_object('report_id', n.id) FROM numbered n
    WHERE e.workspace_id = %(workspace)s AND (e.data->>'report_id')::bigint = n.was_id
    """,
    """
    UPDATE provider_events e SET duplicate_of = n.id
    FROM numbered n WHERE n.was_id = e.duplicate_of
    """,
    "UPDATE provider_events e SET id = -n.id FROM numbered n WHERE n.was_id = e.id",
    "UPDATE provider_events e SET id = -e.id FROM numbered n WHERE e.id = -n.id",
    # What endpoints have learnt: who reported last, and how long after the mail was sent.
    """
    UPDATE webhook_endpoints e SET last_event_at = p.at, usual_delay_seconds = 3
    FROM (SELECT endpoint_id, max(created_at) AS at FROM webhook_payloads
        WHERE workspace_id = %(workspace)s GROUP BY endpoint_id) AS p
    WHERE e.id = p.endpoint_id
    """,
    """
    UPDATE webhook_tallies SET received_count = 0
    WHERE endpoint_id IN (SELECT id FROM webhook_endpoints WHERE workspace_id = %(workspace)s)
    """,
    """
    INSERT INTO webhook_tallies (endpoint_id, slot_at, received_count)
    SELECT endpoint_id, date_trunc('hour', created_at), count(*) FROM webhook_payloads
    WHERE workspace_id = %(workspace)s AND endpoint_id IS NOT NULL GROUP BY 1, 2
    ON CONFLICT (endpoint_id, slot_at) DO UPDATE SET received_count = excluded.received_count
    """,
)


def move_reports(workspace_id: int, times: Sequence[datetime], *, since: datetime) -> None:
    """Move the reports that came in `since` then, in this order, to these times."""
    values = {
        "workspace": workspace_id,
        "since": since,
        "times": json.dumps([at.isoformat() for at in times]),
    }
    with database.atomic():
        for statement in (_REPORTED, *_REPORTS, *_COUNTS):
            database.execute_sql(statement, values)
