"""How workspaces do, at a glance: a word and a few figures for each, for whoever has many of them.

It reads all of them at once, in as many statements as for one. Nothing here counts without a bound:
counts stop at COUNT_MAX, and every look is one into an index.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from maild import clock
from maild.db import database
from maild.domain.states import PRIORITY, Stream
from maild.models.smtp_account import DEFAULT_ACCOUNT, ENVIRONMENT
from maild.services.freezes import use_indexes

COUNT_MAX = 1_000
"""Every count stops here: it means so many, or more."""
STUCK_SECONDS = 300
"""Transactional mail that has been due for longer is not on its way."""
STUCK_MARKETING_SECONDS = 3_600
"""A campaign may wait for its turn behind a provider's limit."""
SAMPLE = 200
"""As many of the messages accepted in the last hour, the newest, are looked at for failures."""
FAILED_MIN = 10
"""So many failures among them are no accident,"""
FAILED_SHARE = 0.1
"""where they are such a share of what has come to an end."""
QUIET_AFTER = timedelta(days=1)


class Word(StrEnum):
    """How a workspace does, in one word; the first that is true."""

    NEEDS_YOU = "needs_you"
    QUIET = "quiet"
    """No mail has come in for a day, and none waits."""
    WELL = "well"


@dataclass(frozen=True, slots=True)
class Glance:
    """How a workspace does. Counts stop at COUNT_MAX."""

    due_count: int
    oldest_due_seconds: float | None
    """How long the oldest due message has waited; None where nothing is due."""
    is_stuck: bool
    """Due mail has waited for longer than it should."""
    unknown_count: int
    """Messages whose outcome is unknown."""
    failed_count: int
    """Messages that failed in the last hour."""
    is_failing: bool
    """Of the latest mail, more fails than a few wrong addresses explain."""
    dead_letter_count: int
    incident_count: int
    """Incidents that are not resolved."""
    freeze_count: int
    """Freezes in force."""
    broken_count: int
    """SMTP accounts that nothing, or only a trickle, goes through, because their breaker is not
    closed; the environment's is one of them where the workspace's mail takes it first.
    """
    missing_count: int
    """Messages that were accepted and are not there, as the scheduler counted last; less than 0
    where there are too many.
    """
    accepted_at: datetime | None
    """When the latest message came in."""
    word: Word


# Of a lane only what is due is read: what is scheduled may be much more. What may go through one
# account alone is a lane of its own.
_MAIL = """
SELECT w.id, due.count, extract(epoch FROM now() - due.oldest_at)::float8,
    extract(epoch FROM now() - due.oldest_urgent_at)::float8,
    unknown.count, failed.count, sample.ended_count, sample.failed_count, latest.created_at
FROM unnest(%(workspaces)s::int[]) AS w (id)
CROSS JOIN LATERAL (
    SELECT count(*)::int AS count, min(one.next_attempt_at) AS oldest_at,
        min(one.next_attempt_at) FILTER (WHERE p.priority = %(urgent)s) AS oldest_urgent_at
    FROM unnest(%(priorities)s::int[]) AS p (priority)
    CROSS JOIN (
        SELECT name FROM smtp_accounts WHERE workspace_id = w.id
        UNION ALL
        SELECT unnest(ARRAY[%(environment)s, ''])) AS pins
    CROSS JOIN LATERAL (
        SELECT next_attempt_at FROM messages
        WHERE status = 'queued' AND priority = p.priority AND workspace_id = w.id
            AND pinned_account = pins.name AND next_attempt_at <= now()
        ORDER BY next_attempt_at LIMIT %(max)s) AS one) AS due
CROSS JOIN LATERAL (
    SELECT count(*)::int AS count FROM (
        SELECT FROM messages WHERE workspace_id = w.id AND status = 'unknown'
        LIMIT %(max)s) AS first) AS unknown
CROSS JOIN LATERAL (
    SELECT count(*)::int AS count FROM (
        SELECT FROM messages WHERE workspace_id = w.id AND status = 'failed'
            AND updated_at > now() - interval '1 hour'
        LIMIT %(max)s) AS first) AS failed
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE status NOT IN ('queued', 'sending', 'held'))::int AS ended_count,
        count(*) FILTER (WHERE status = 'failed')::int AS failed_count
    FROM (
        SELECT status FROM messages
        WHERE workspace_id = w.id AND created_at > now() - interval '1 hour'
        ORDER BY created_at DESC, id DESC LIMIT %(sample)s) AS newest) AS sample
LEFT JOIN LATERAL (
    SELECT created_at FROM messages WHERE workspace_id = w.id
    ORDER BY created_at DESC, id DESC LIMIT 1) AS latest ON true
"""
_REST = """
SELECT w.id, letters.count, incidents.count, frozen.count, broken.count, coalesce(c.difference, 0)
FROM unnest(%(workspaces)s::int[]) AS w (id)
CROSS JOIN LATERAL (
    SELECT count(*)::int AS count FROM (
        SELECT FROM provider_events WHERE workspace_id = w.id AND status = 'dead_letter'
        LIMIT %(max)s) AS first) AS letters
CROSS JOIN LATERAL (
    SELECT count(*)::int AS count FROM (
        SELECT FROM incidents WHERE workspace_id = w.id AND status <> 'resolved'
        LIMIT %(max)s) AS first) AS incidents
CROSS JOIN LATERAL (
    SELECT count(*)::int AS count FROM (
        SELECT FROM freezes
        WHERE workspace_id = w.id AND lifted_at IS NULL AND expires_at > now()
        LIMIT %(max)s) AS first) AS frozen
CROSS JOIN LATERAL (
    SELECT count(*)::int AS count FROM (
        SELECT id FROM smtp_accounts WHERE workspace_id = w.id AND paused_at IS NULL
        UNION ALL
        SELECT %(environment_id)s WHERE NOT EXISTS (
            SELECT FROM smtp_accounts WHERE workspace_id = w.id AND is_active)) AS a
    JOIN breakers b ON b.account_id = a.id AND b.state <> 'closed') AS broken
LEFT JOIN conservation_checks c ON c.workspace_id = w.id
"""


def list_all(workspace_ids: Sequence[int]) -> dict[int, Glance]:
    """How each of these workspaces does, by their ids."""
    if not workspace_ids:
        return {}
    values = {
        "workspaces": list(workspace_ids),
        "priorities": list(PRIORITY.values()),
        "urgent": PRIORITY[Stream.TRANSACTIONAL],
        "environment": DEFAULT_ACCOUNT,
        "environment_id": ENVIRONMENT,
        "max": COUNT_MAX,
        "sample": SAMPLE,
    }
    with database.atomic():
        use_indexes()
        mail = database.execute_sql(_MAIL, values).fetchall()
        rest = {row[0]: row[1:] for row in database.execute_sql(_REST, values).fetchall()}
    return {row[0]: _glance(row[1:], rest[row[0]]) for row in mail}


def _glance(mail: Sequence[Any], rest: Sequence[Any]) -> Glance:
    """What the two statements tell of one workspace."""
    due, oldest, urgent, unknown, failed, ended_of_sample, failed_of_sample, accepted_at = mail
    letters, incidents, frozen, broken, missing = rest
    is_stuck = (urgent or 0) > STUCK_SECONDS or (oldest or 0) > STUCK_MARKETING_SECONDS
    is_failing = (
        failed_of_sample >= FAILED_MIN and failed_of_sample >= ended_of_sample * FAILED_SHARE
    )
    if is_stuck or is_failing or any((unknown, *rest)):
        word = Word.NEEDS_YOU
    elif not due and (accepted_at is None or accepted_at < clock.now() - QUIET_AFTER):
        word = Word.QUIET
    else:
        word = Word.WELL
    return Glance(
        due_count=min(due, COUNT_MAX),
        oldest_due_seconds=oldest,
        is_stuck=is_stuck,
        unknown_count=unknown,
        failed_count=failed,
        is_failing=is_failing,
        dead_letter_count=letters,
        incident_count=incidents,
        freeze_count=frozen,
        broken_count=broken,
        missing_count=missing,
        accepted_at=accepted_at,
        word=word,
    )
