"""Which messages this worker may send: finding lanes with work, claiming a slice, giving back.

A claim is one statement: it picks the oldest due messages of a lane with SKIP LOCKED, and moves
each to where the rules say: `expired` after its lifetime, `failed` where the policy has come to
forbid it, `suppressed`, `held` by a freeze, `held` or `cancelled` with its campaign, `cancelled`
where its contact was deleted, or else `sending`, with its attempt counted. All of that is committed
before anything is on the wire. What changes between then and the wire is seen by the last check
(`last_check`).
Postgres' clock decides every lease; a worker that Postgres believes dead claims nothing.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from maild import config, metrics
from maild.db import database
from maild.domain.lanes import Lane
from maild.domain.policy import Route, StreamRules
from maild.domain.states import EventType, Status, Stream
from maild.services import policies, transitions
from maild.services.transitions import Move

INLINE_BYTES = 256 * 1024
"""Contents up to this size come with the claim; larger ones are loaded one by one."""
LANES_MAX = 10_000
RELEASE_WAITS_FOR = "1s"
"""What cannot be given back within this time, the mending puts back."""
PAUSED = "campaign paused"
"""Why the messages of a paused campaign are held: a person's hold has the person's words."""
CONTACT_DELETED = "contact deleted"
"""Why a message of a campaign is cancelled whose recipient is no contact any more."""
HELD_WHILE_PAUSED = "1 year"
"""They do not expire meanwhile; when the campaign goes on, they get their lifetime anew."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that this worker holds, with what sending needs of its narrow row.

    `account_id` 0 is the environment's account. `dated_at_epoch` is when it was accepted or, where
    that is later, the time for which it is scheduled: fixed, so that all attempts send the same
    bytes. `seconds_left` of its lifetime are counted from the claim.
    `attempt_no - excused_count` attempts count against the message, this one included;
    `path_fault_count` is how often its provider was at fault lately. `rules` are its stream's, by
    the policy of that version.
    """

    worker_id: uuid.UUID
    message_id: uuid.UUID
    workspace_id: int
    attempt_no: int
    excused_count: int
    path_fault_count: int
    stream: Stream
    from_email: str
    to_email: str
    subject: str
    size_bytes: int
    dated_at_epoch: float
    seconds_left: float
    submission_id: uuid.UUID | None
    topic: str | None
    policy_version: int
    rules: StreamRules
    account_id: int
    account_name: str
    route: Route | None = None

    @property
    def content_id(self) -> uuid.UUID:
        """Where its content is: the recipients of one submission share it."""
        return self.submission_id or self.message_id


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says, as it is stored. `headers` are pairs of name and value.

    `visible_to` and `visible_cc` are what its To and Cc show, where the submission has several
    recipients.
    """

    from_name: str | None
    reply_to: str | None
    headers: list[list[str]]
    body_text: str | None
    body_html: str | None
    attachment_count: int
    visible_to: str | None = None
    visible_cc: list[str] | None = None


# A skip scan by hand: one probe of the index for each lane, however many messages wait in it.
_LIST_LANES = """
WITH RECURSIVE lane AS (
    (SELECT priority, workspace_id, pinned_account, next_attempt_at FROM messages
        WHERE status = 'queued'
        ORDER BY priority, workspace_id, pinned_account, next_attempt_at LIMIT 1)
    UNION ALL
    SELECT next.* FROM lane, LATERAL (
        SELECT priority, workspace_id, pinned_account, next_attempt_at FROM messages
        WHERE status = 'queued' AND (priority, workspace_id, pinned_account)
            > (lane.priority, lane.workspace_id, lane.pinned_account)
        ORDER BY priority, workspace_id, pinned_account, next_attempt_at LIMIT 1) AS next
)
SELECT priority, workspace_id, pinned_account FROM lane WHERE next_attempt_at <= now() LIMIT %s
"""


def list_due_lanes() -> list[Lane]:
    """The lanes in which something is due."""
    return [Lane(*row) for row in database.execute_sql(_LIST_LANES, (LANES_MAX,)).fetchall()]


# The rules of the lane are read once, and each message is looked up by itself: suppressions and
# unsubscribes by their index, freezes among the few that are in force. Domains are compared again
# only where the message was accepted by another policy, or by the instance's defaults, which may
# have changed with a restart. The lists of domains may be long: nobody reads them until then, and
# `IS TRUE` keeps the planner from joining with them, so that they are put into a hash table once.
# The worker's row stays until the commit: a worker that stands still in between may be taken for
# dead, but is not forgotten along with what its marks tell. A heartbeat does not wait for it.
_CLAIM = """
WITH rules AS MATERIALIZED (
    SELECT coalesce(max(version), 0) AS version FROM policies WHERE workspace_id = %(workspace)s
), blocked AS MATERIALIZED (
    SELECT unnest(blocked_recipient_domains) AS entry FROM policies
    WHERE workspace_id = %(workspace)s AND version = (SELECT version FROM rules)
    UNION ALL
    SELECT unnest(%(blocked)s::text[]) FROM rules WHERE version = 0
), allowed AS MATERIALIZED (
    SELECT unnest(allowed_from_domains) AS entry FROM policies
    WHERE workspace_id = %(workspace)s AND version = (SELECT version FROM rules)
), frozen AS MATERIALIZED (
    SELECT id, kind, target, reason FROM freezes
    WHERE workspace_id = %(workspace)s AND lifted_at IS NULL AND expires_at > now()
        AND kind <> 'smtp_account' AND (kind <> 'stream' OR target = %(stream)s)
), picked AS MATERIALIZED (
    SELECT id, policy_version, from_email, to_email, stream, topic, api_key_id, expires_at,
        recipient_id, extract(epoch FROM now() - next_attempt_at)::float8 AS waited_seconds
    FROM messages
    WHERE status = 'queued' AND priority = %(priority)s AND workspace_id = %(workspace)s
        AND pinned_account = %(pin)s AND next_attempt_at <= now()
        AND EXISTS (
            SELECT FROM workers w
            WHERE w.id = %(worker)s AND w.seen_at > now() - %(lease)s * interval '1 second'
            FOR KEY SHARE)
    ORDER BY next_attempt_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), due AS MATERIALIZED (
    SELECT m.id, s.id AS suppression_id, u.id AS unsubscribe_id, f.id AS freeze_id,
        coalesce(s.reason, f.reason) AS reason, split_part(m.from_email, '@', -1) AS from_domain,
        split_part(m.to_email, '@', -1) AS to_domain,
        r.version = 0 OR m.policy_version <> r.version AS has_new_rules,
        m.expires_at <= now() AS is_over, m.waited_seconds,
        k.id AS campaign_id, k.status AS campaign_status, k.stopped_by AS campaign_stopped_by
    FROM picked m
    CROSS JOIN rules r
    LEFT JOIN LATERAL (
        SELECT id, reason FROM suppressions
        WHERE workspace_id = %(workspace)s AND email = lower(m.to_email COLLATE "pg_c_utf8")
            AND removed_at IS NULL AND (stream IS NULL OR stream = m.stream)
            AND (expires_at IS NULL OR expires_at > now())
        LIMIT 1) s ON true
    LEFT JOIN LATERAL (
        SELECT id FROM unsubscribes
        WHERE workspace_id = %(workspace)s AND email = lower(m.to_email COLLATE "pg_c_utf8")
            AND removed_at IS NULL AND (stream IS NULL OR stream = m.stream)
            AND (topic IS NULL OR topic = m.topic)
        LIMIT 1) u ON true
    LEFT JOIN LATERAL (
        SELECT id, reason FROM frozen
        WHERE CASE kind
            WHEN 'api_key' THEN target = m.api_key_id::text
            WHEN 'from_email' THEN target = lower(m.from_email COLLATE "pg_c_utf8")
            WHEN 'recipient_domain' THEN target = split_part(m.to_email, '@', -1)
            ELSE true END
        ORDER BY id LIMIT 1) f ON true
    LEFT JOIN LATERAL (
        SELECT c.id, c.status, coalesce(c.cancelled_by, c.paused_by) AS stopped_by
        FROM campaign_recipients r JOIN campaigns c ON c.id = r.campaign_id
        WHERE r.id = m.recipient_id AND (c.status IN ('paused', 'cancelled')
            OR NOT EXISTS (
                SELECT FROM contacts p
                WHERE p.workspace_id = %(workspace)s AND p.email = r.email AND p.status = 'active'))
        OFFSET 0) k ON true
), decided AS MATERIALIZED (
    SELECT d.*,
        CASE
            WHEN is_over THEN 'lifetime'
            WHEN has_new_rules AND EXISTS (SELECT FROM allowed) AND NOT EXISTS (
                SELECT FROM string_to_array(from_domain, '.') AS labels,
                    generate_series(1, cardinality(labels)) AS n
                WHERE (CASE n WHEN 1 THEN from_domain
                    ELSE '*.' || array_to_string(labels[n:], '.')
                    END IN (SELECT entry FROM allowed)) IS TRUE) THEN 'from_domain'
            WHEN has_new_rules AND EXISTS (
                SELECT FROM string_to_array(to_domain, '.') AS labels,
                    generate_series(1, cardinality(labels)) AS n
                WHERE (CASE n WHEN 1 THEN to_domain
                    ELSE '*.' || array_to_string(labels[n:], '.')
                    END IN (SELECT entry FROM blocked)) IS TRUE) THEN 'recipient_domain'
            WHEN suppression_id IS NOT NULL THEN 'suppression'
            WHEN unsubscribe_id IS NOT NULL THEN 'unsubscribe'
            WHEN campaign_status = 'cancelled' THEN 'campaign'
            WHEN campaign_id IS NOT NULL AND campaign_status <> 'paused' THEN 'contact'
            WHEN freeze_id IS NOT NULL THEN 'freeze'
            WHEN campaign_id IS NOT NULL THEN 'campaign'
        END AS stopped_by
    FROM due d
), moved AS (
    UPDATE messages AS m SET
        status = d.new,
        next_attempt_at = NULL,
        worker_id = CASE d.new WHEN 'sending' THEN %(worker)s::uuid END,
        attempt_count = m.attempt_count + CASE d.new WHEN 'sending' THEN 1 ELSE 0 END,
        smtp_account_name = CASE d.new WHEN 'sending' THEN %(account_name)s
            ELSE m.smtp_account_name END,
        hold_reason = CASE WHEN d.new = 'held' THEN
            CASE d.stopped_by WHEN 'freeze' THEN d.reason ELSE %(paused)s END END,
        freeze_id = CASE d.stopped_by WHEN 'freeze' THEN d.freeze_id END,
        expires_at = CASE WHEN d.stopped_by = 'campaign' AND d.new = 'held'
            THEN greatest(m.expires_at, now() + %(held_for)s::interval) ELSE m.expires_at END,
        suppression_id = CASE d.stopped_by WHEN 'suppression' THEN d.suppression_id END,
        unsubscribe_id = CASE d.stopped_by WHEN 'unsubscribe' THEN d.unsubscribe_id END,
        last_error = CASE d.new WHEN 'failed' THEN d.error ELSE m.last_error END,
        error_class = CASE d.new WHEN 'failed' THEN 'policy' ELSE m.error_class END,
        updated_at = now()
    FROM (
        SELECT *,
            CASE stopped_by
                WHEN 'lifetime' THEN 'expired'
                WHEN 'from_domain' THEN 'failed'
                WHEN 'recipient_domain' THEN 'failed'
                WHEN 'suppression' THEN 'suppressed'
                WHEN 'unsubscribe' THEN 'suppressed'
                WHEN 'freeze' THEN 'held'
                WHEN 'contact' THEN 'cancelled'
                WHEN 'campaign' THEN CASE campaign_status WHEN 'paused' THEN 'held'
                    ELSE 'cancelled' END
                ELSE 'sending'
            END AS new,
            CASE stopped_by
                WHEN 'from_domain' THEN
                    'The workspace''s policy does not allow mail from ' || from_domain || '.'
                WHEN 'recipient_domain' THEN 'Mail to ' || to_domain || ' is blocked.'
            END AS error
        FROM decided) AS d
    WHERE m.id = d.id
    RETURNING m.*, d.stopped_by, d.error, d.from_domain, d.to_domain, d.reason, d.waited_seconds,
        d.campaign_id, d.campaign_stopped_by,
        CASE d.stopped_by WHEN 'freeze' THEN d.freeze_id END AS frozen_by
), told AS (
    INSERT INTO events (workspace_id, message_id, type, data)
    SELECT %(workspace)s, id, 'message.' || status, jsonb_strip_nulls(jsonb_build_object(
        'check', CASE WHEN stopped_by NOT IN ('campaign', 'contact') THEN stopped_by END,
        'policy_version', CASE WHEN stopped_by NOT IN ('campaign', 'contact')
            THEN (SELECT version FROM rules) END,
        'text', error,
        'value', CASE stopped_by WHEN 'from_domain' THEN from_domain
            WHEN 'recipient_domain' THEN to_domain END,
        'reason', CASE WHEN stopped_by IN ('suppression', 'freeze') THEN reason
            WHEN stopped_by = 'campaign' AND status = 'held' THEN %(paused)s
            WHEN stopped_by = 'contact' THEN %(contact_deleted)s END,
        'campaign_id', CASE WHEN stopped_by IN ('campaign', 'contact') THEN campaign_id END,
        'by', CASE stopped_by WHEN 'campaign' THEN campaign_stopped_by END,
        'suppression_id', suppression_id,
        'unsubscribe_id', unsubscribe_id,
        'freeze_id', frozen_by))
    FROM moved WHERE status <> 'sending'
)
SELECT m.id, m.status, m.attempt_count, m.excused_count, m.path_fault_count, m.from_email,
    m.to_email, m.subject, m.size_bytes,
    extract(epoch FROM greatest(m.created_at, m.scheduled_at))::float8,
    extract(epoch FROM m.expires_at - now())::float8, m.submission_id, m.topic,
    (SELECT version FROM rules),
    b.from_name, b.reply_to, b.headers, b.body_text, b.body_html, b.attachment_count,
    b.visible_to, b.visible_cc, m.waited_seconds, m.stopped_by
FROM moved m
LEFT JOIN message_bodies b ON b.message_id = coalesce(m.submission_id, m.id)
    AND m.size_bytes <= %(inline)s AND m.status = 'sending' AND b.pruned_at IS NULL
ORDER BY m.created_at, m.id
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim came to. `contents` has what was small enough to come along, by message.
    `moved_count` is how many messages left the queue, those included that went elsewhere than to
    us.
    """

    claims: list[Claim]
    contents: dict[uuid.UUID, Content]
    moved_count: int


def claim(
    worker_id: uuid.UUID,
    lane: Lane,
    *,
    account_id: int,
    account_name: str,
    limit: int,
    route: Route = Route.FIRST_CHOICE,
) -> Claimed:
    """Take up to `limit` due messages of a lane, for this account; committed on return.

    `route` says why it is this one.
    """
    rows = _take(
        {
            "workspace": lane.workspace_id,
            "priority": lane.priority,
            "pin": lane.account,
            "stream": lane.stream.value,
            "limit": limit,
            "worker": str(worker_id),
            "lease": config.current().lease_seconds,
            "account_name": account_name,
            "inline": INLINE_BYTES,
            "blocked": list(policies.default().blocked_recipient_domains),
            "paused": PAUSED,
            "held_for": HELD_WHILE_PAUSED,
            "contact_deleted": CONTACT_DELETED,
        }
    )
    claims: list[Claim] = []
    contents: dict[uuid.UUID, Content] = {}
    stream = lane.stream
    for row in rows:
        if row[1] != Status.SENDING.value:
            continue
        message_id = row[0]
        claims.append(
            Claim(
                worker_id=worker_id,
                message_id=message_id,
                workspace_id=lane.workspace_id,
                attempt_no=row[2],
                excused_count=row[3],
                path_fault_count=row[4],
                stream=stream,
                from_email=row[5],
                to_email=row[6],
                subject=row[7],
                size_bytes=row[8],
                dated_at_epoch=row[9],
                seconds_left=row[10],
                submission_id=row[11],
                topic=row[12],
                policy_version=row[13],
                rules=policies.known(lane.workspace_id, row[13]).stream(stream),
                account_id=account_id,
                account_name=account_name,
                route=route,
            )
        )
        if row[16] is not None:  # headers are never null: the body came along
            contents[message_id] = Content(*row[14:22])
    _count(stream, rows)
    return Claimed(claims, contents, len(rows))


def _count(stream: Stream, rows: Sequence[tuple[Any, ...]]) -> None:
    waited = [row[22] for row in rows if row[23] is None]
    metrics.observe_many(metrics.QUEUE_WAIT.labels(stream.value), waited)
    for row in rows:
        if row[23] is not None:
            metrics.STOPPED.labels(row[23]).inc()


# A lane's messages stand in the index in their order. By statistics that are out of date the
# planner would take a long lane for a short one, and sort all of it for each slice.
_IN_ORDER = """
SELECT set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true)
"""


def _take(values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with database.atomic():
        database.execute_sql(_IN_ORDER)
        rows: list[tuple[Any, ...]] = database.execute_sql(_CLAIM, values).fetchall()
    return rows


_LOAD = """
SELECT from_name, reply_to, headers, body_text, body_html, attachment_count, visible_to, visible_cc
FROM message_bodies WHERE message_id = %s AND pruned_at IS NULL
"""
_LOAD_MANY = """
SELECT message_id, from_name, reply_to, headers, body_text, body_html, attachment_count,
    visible_to, visible_cc
FROM message_bodies WHERE message_id IN %s AND pruned_at IS NULL
"""
_LOAD_ATTACHMENTS = """
SELECT message_id, filename, content_type, content, content_id FROM message_attachments
WHERE message_id IN %s ORDER BY message_id, position
"""


def load_content(content_id: uuid.UUID) -> Content | None:
    """One large content, by `Claim.content_id`; None where it is not kept any more."""
    row = database.execute_sql(_LOAD, (content_id,)).fetchone()
    return Content(*row) if row is not None else None


def load_contents(content_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Content]:
    """Several contents at once, by their ids; those that are still kept."""
    if not content_ids:
        return {}
    rows = database.execute_sql(_LOAD_MANY, (tuple(content_ids),)).fetchall()
    return {row[0]: Content(*row[1:]) for row in rows}


def load_attachments(content_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[tuple[Any, ...]]]:
    """(filename, content type, bytes, content id) of each content's attachments, in order."""
    found: dict[uuid.UUID, list[tuple[Any, ...]]] = {}
    if content_ids:
        for row in database.execute_sql(_LOAD_ATTACHMENTS, (tuple(content_ids),)).fetchall():
            filename, content_type, content, content_id = row[1:]
            found.setdefault(row[0], []).append(
                (filename, content_type, bytes(content), content_id)
            )
    return found


def release(claims: Sequence[Claim]) -> None:
    """Give back messages that were claimed and offered to no server; their attempt is not
    used. Raises Unavailable where somebody else holds one of them for longer than a moment.
    """
    with database.atomic():
        # No claim begins meanwhile (`holds`).
        database.execute_sql("SELECT set_config('lock_timeout', %s, true)", (RELEASE_WAITS_FOR,))
        transitions.apply(
            [
                Move(
                    message_id=claim.message_id,
                    workspace_id=claim.workspace_id,
                    old=Status.SENDING,
                    new=Status.QUEUED,
                    event=EventType.RELEASED,
                    data={"attempt_no": claim.attempt_no},
                    worker_id=claim.worker_id,
                    attempt_no=claim.attempt_no,
                    next_attempt_in=0.0,
                    uncount=True,
                )
                for claim in claims
            ]
        )
