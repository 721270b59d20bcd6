"""What the database knows of how far a workspace is set up, asked at once. What follows from it is
told by `onboarding`.
"""

from typing import Any

from maild.db import database
from maild.domain.domain_report import NEEDED
from maild.domain.role import SUBMITTERS
from maild.services.freezes import use_indexes

# Each is one probe of an index, or of the few rows that a workspace has of its own. Five accounts
# are named.
_FACTS = """
SELECT
    key.name AS key_name,
    own.count AS account_count, own.usable AS usable_count, own.names AS account_names,
    own.active AS active_name, own.active_host, own.is_in_sandbox,
    message.id AS message_id, message.to_email, message.status AS message_status,
    message.smtp_account_name AS message_account, message.updated_at AS message_at,
    report.event_type AS report_type, report.email AS report_email,
    report.provider AS report_provider, report.message_id AS report_message_id,
    report.created_at AS report_at,
    coalesce(policy.version, 0) AS policy_version, policy.created_by AS policy_by,
    policy.created_at AS policy_at, review.reviewed_by, review.reviewed_at,
    site.name AS domain_name, site.checked_at AS domain_at, site.is_ready AS domain_is_ready,
    site.lacking AS domain_lacking, site.is_no_name AS domain_is_no_name,
    people.count AS member_count, people.confirmed AS confirmed_admin,
    EXISTS (SELECT FROM invitations WHERE workspace_id = %(workspace)s
        AND accepted_at IS NULL AND revoked_at IS NULL) AS has_invited
FROM (VALUES (1)) AS one
LEFT JOIN LATERAL (
    SELECT name FROM api_keys
    WHERE workspace_id = %(workspace)s AND revoked_at IS NULL
        AND (expires_at IS NULL OR expires_at > now()) AND role = ANY(%(submitters)s)
    ORDER BY id DESC LIMIT 1) AS key ON true
LEFT JOIN LATERAL (
    SELECT count(*)::int AS count,
        (count(*) FILTER (WHERE paused_at IS NULL AND NOT is_sandbox))::int AS usable,
        (array_agg(name ORDER BY is_active DESC, priority, id))[:5] AS names,
        max(name) FILTER (WHERE is_active) AS active,
        max(host) FILTER (WHERE is_active) AS active_host,
        bool_or(is_active AND is_sandbox) AS is_in_sandbox
    FROM smtp_accounts WHERE workspace_id = %(workspace)s) AS own ON true
LEFT JOIN LATERAL (
    SELECT each.* FROM (VALUES ('sent'), ('delivered'), ('complained')) AS taken (status)
    CROSS JOIN LATERAL (
        SELECT id, to_email, status, smtp_account_name, created_at, updated_at FROM messages m
        WHERE m.workspace_id = %(workspace)s AND m.status = taken.status
        ORDER BY created_at DESC, id DESC LIMIT 1) AS each
    ORDER BY each.created_at DESC, each.id DESC LIMIT 1) AS message ON true
LEFT JOIN LATERAL (
    SELECT each.* FROM (VALUES ('applied'), ('replayed')) AS done (status)
    CROSS JOIN LATERAL (
        SELECT id, event_type, email, provider, message_id, created_at FROM provider_events e
        WHERE e.workspace_id = %(workspace)s AND e.status = done.status
        ORDER BY id DESC LIMIT 1) AS each
    ORDER BY each.id DESC LIMIT 1) AS report ON true
LEFT JOIN LATERAL (
    SELECT version, created_by, created_at FROM policies
    WHERE workspace_id = %(workspace)s ORDER BY version DESC LIMIT 1) AS policy ON true
LEFT JOIN LATERAL (
    SELECT reviewed_by, reviewed_at FROM policy_reviews
    WHERE workspace_id = %(workspace)s AND version = coalesce(policy.version, 0)
    ) AS review ON true
LEFT JOIN LATERAL (
    SELECT name, checked_at, is_ready,
        coalesce((results #>> '{spf,facts,is_no_name}')::boolean, false) AS is_no_name,
        ARRAY(SELECT need.name FROM unnest(%(needed)s::text[]) WITH ORDINALITY AS need(name, place)
            WHERE results -> need.name ->> 'state' = 'bad' ORDER BY place) AS lacking
    FROM domains
    WHERE workspace_id = %(workspace)s AND checked_at IS NOT NULL
    ORDER BY checked_at DESC, id DESC LIMIT 1) AS site ON true
LEFT JOIN LATERAL (
    SELECT count(*)::int AS count, min(p.email) FILTER (
        WHERE m.role = 'admin' AND p.email_verified_at IS NOT NULL) AS confirmed
    FROM members m JOIN people p ON p.id = m.person_id
    WHERE m.workspace_id = %(workspace)s) AS people ON true
"""


def find(workspace_id: int) -> dict[str, Any]:
    """What there is to say, by the names in `_FACTS`; None where there is nothing."""
    values = {
        "workspace": workspace_id,
        "submitters": [role.value for role in SUBMITTERS],
        "needed": [check.value for check in NEEDED],
    }
    with database.atomic():
        use_indexes()
        cursor = database.execute_sql(_FACTS, values)
        names = [column[0] for column in cursor.description]
        return dict(zip(names, cursor.fetchone(), strict=True))
