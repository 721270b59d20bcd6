"""Making a database that came back from a backup safe to run: nothing in it goes out, nor is told
to anybody, without a person's word.

Between the backup and now the old world went on: what waited then was sent since, perhaps, and who
unsubscribed since is not in it. So every message that waited is held, every workspace is frozen,
all that was under way is ended, and every campaign that was not over stands still, with a word of
doubt for whoever wants to send it. It runs while the database is marked (`restore_marks`), in
steps that can be done again after a crash; the last one takes the mark away.
"""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from maild.db import database
from maild.domain.actor import COMMAND_LINE
from maild.domain.freeze import NEVER, FreezeKind
from maild.domain.states import EventType
from maild.services import audit, periodic_jobs, rescues, restore_marks, restores
from maild.services.backups import PERIODIC_JOB
from maild.services.restore_marks import Mark

BATCH = 5_000
"""Messages held in one transaction."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What was under way when the backup was taken, and is not any more."""

    job_count: int
    notification_count: int
    session_count: int


def reason_at(taken_at: datetime) -> str:
    """Why a message is held."""
    return f"Restored from the backup of {_moment(taken_at)}: it may have been sent since"


def make_safe(mark: Mark, *, taken_at: datetime, report: Callable[[str], None]) -> Ended:
    """Hold, freeze and end everything. `taken_at` is when the backup was taken."""
    with database.atomic():
        _freeze(mark, taken_at)
    # Without their workers, and without marks: nobody can tell what became of them.
    with database.atomic():
        database.execute_sql(_NOTE_SENDING, (mark.started_at,))
        database.execute_sql("DELETE FROM workers")
    rescues.rescue(drop_marks=False)  # Redis may be another database's, as in a drill
    held = _hold_all(mark, taken_at, report)
    report(f"{held:,} messages are held")
    with database.atomic():
        ended = _end_all(mark, taken_at)
        restore_marks.remove()
    return ended


_FREEZE = """
WITH frozen AS (
    INSERT INTO freezes (workspace_id, kind, reason, expires_at, created_by)
    SELECT id, %(kind)s, %(reason)s, %(never)s, %(by)s FROM workspaces w
    WHERE NOT EXISTS (
        SELECT FROM restores r WHERE r.workspace_id = w.id AND r.restored_at = %(at)s)
    RETURNING id, workspace_id
), told AS (
    INSERT INTO events (workspace_id, type, data)
    SELECT workspace_id, %(event)s, jsonb_build_object(
        'freeze_id', id, 'kind', %(kind)s, 'reason', %(reason)s, 'by', %(by)s)
    FROM frozen
)
INSERT INTO restores (workspace_id, taken_at, restored_at, freeze_id)
SELECT workspace_id, %(taken)s, %(at)s, id FROM frozen
"""


def _freeze(mark: Mark, taken_at: datetime) -> None:
    values = {
        "kind": FreezeKind.WORKSPACE.value,
        "reason": f"Restored from the backup of {_moment(taken_at)}: what happened since, such as"
        " suppressions and unsubscribes, is missing",
        "never": NEVER,
        "by": COMMAND_LINE.name,
        "event": EventType.FREEZE_STARTED.value,
        "taken": taken_at,
        "at": mark.started_at,
    }
    database.execute_sql(_FREEZE, values)


_NOTE_SENDING = """
INSERT INTO restored_messages (restore_id, message_id)
SELECT r.id, m.id FROM messages m
JOIN restores r ON r.workspace_id = m.workspace_id AND r.restored_at = %s
WHERE m.status = 'sending'
ON CONFLICT DO NOTHING
"""
# What a freeze or a person held then may have been let go since. It loses its freeze: that one may
# end at any moment.
_HOLD = """
WITH picked AS MATERIALIZED (
    SELECT m.id, m.workspace_id, m.hold_reason, r.id AS restore_id
    FROM messages m
    JOIN restores r ON r.workspace_id = m.workspace_id AND r.restored_at = %(at)s
    WHERE m.id > %(after)s AND (m.status = 'queued' OR m.status = 'held' AND NOT EXISTS (
        SELECT FROM restored_messages x WHERE x.restore_id = r.id AND x.message_id = m.id))
    ORDER BY m.id LIMIT %(limit)s
), moved AS (
    UPDATE messages m SET
        status = 'held', next_attempt_at = NULL, freeze_id = NULL, hold_reason = %(reason)s,
        updated_at = now()
    FROM picked WHERE m.id = picked.id
), noted AS (
    INSERT INTO restored_messages (restore_id, message_id) SELECT restore_id, id FROM picked
    ON CONFLICT DO NOTHING
), told AS (
    INSERT INTO events (workspace_id, message_id, type, data)
    SELECT workspace_id, id, %(event)s, jsonb_strip_nulls(jsonb_build_object(
        'reason', %(reason)s, 'by', %(by)s, 'restore_id', restore_id, 'held_before', hold_reason))
    FROM picked
)
SELECT id, count(*) OVER () FROM picked ORDER BY id DESC LIMIT 1
"""


def _hold_all(mark: Mark, taken_at: datetime, report: Callable[[str], None]) -> int:
    held = 0
    values: dict[str, Any] = {
        "at": mark.started_at,
        "after": str(uuid.UUID(int=0)),
        "limit": BATCH,
        "reason": reason_at(taken_at),
        "by": COMMAND_LINE.name,
        "event": EventType.HELD.value,
    }
    while True:
        with database.atomic():
            row = database.execute_sql(_HOLD, values).fetchone()
        if row is None:
            return held
        held += int(row[1])
        if row[1] < BATCH:
            return held
        values["after"] = str(row[0])
        report(f"{held:,} messages are held so far")


_END_JOBS = """
WITH ended AS (
    UPDATE jobs SET status = 'cancelled', finished_at = now(), cancelled_by = %(by)s,
        lease_id = NULL, lease_until = NULL, error = %(why)s
    WHERE finished_at IS NULL RETURNING workspace_id
)
UPDATE restores r SET stopped_job_count = found.count FROM (
    SELECT workspace_id, count(*) FROM ended GROUP BY workspace_id) AS found
WHERE r.workspace_id = found.workspace_id AND r.restored_at = %(at)s
RETURNING r.stopped_job_count
"""
# Who was mailed since, the ledger does not know; nor whether somebody let a paused one go on.
_PAUSE_CAMPAIGNS = """
WITH old AS (
    SELECT id, status FROM campaigns WHERE status IN ('preparing', 'sending', 'paused') FOR UPDATE
)
UPDATE campaigns c SET status = 'paused', paused_by = %(by)s, updated_at = now(),
    paused_from = CASE c.status WHEN 'paused' THEN paused_from ELSE c.status END,
    pause_reason = %(campaign)s || CASE c.status WHEN 'paused' THEN ' It was paused before, by '
        || coalesce(paused_by, 'somebody') || coalesce(': ' || pause_reason, '.') ELSE '' END
FROM old WHERE c.id = old.id
RETURNING c.workspace_id, c.id, old.status
"""
# One that was to begin later may have begun, and a draft may have been sent. A fault without a
# count tells the doubt from the fault of a step; it goes with the first step.
_BACK_TO_DRAFT = """
WITH old AS (
    SELECT id, status FROM campaigns WHERE status IN ('draft', 'in_review', 'scheduled') FOR UPDATE
)
UPDATE campaigns c SET status = 'draft', starts_at = NULL, template_version = NULL,
    submitted_by = NULL, approved_by = NULL, fault = %(campaign)s, fault_count = 0,
    updated_at = CASE c.status WHEN 'draft' THEN updated_at ELSE now() END
FROM old WHERE c.id = old.id
RETURNING c.workspace_id, c.id, old.status
"""
_VERBS = {
    **dict.fromkeys(("preparing", "sending", "paused"), "paused"),
    "in_review": "sent_back",
    "scheduled": "unscheduled",
}
"""What the audit log calls it, by where the campaign stood."""
_END_NOTIFICATIONS = """
UPDATE notifications SET status = 'failed', settled_at = now(), outcome = %s
WHERE status = 'waiting'
"""
_COUNT = """
UPDATE restores r SET held_count = found.held, unknown_count = found.unknown FROM (
    SELECT x.restore_id, count(*) FILTER (WHERE m.status = 'held') AS held,
        count(*) FILTER (WHERE m.status = 'unknown') AS unknown
    FROM restored_messages x JOIN messages m ON m.id = x.message_id GROUP BY 1) AS found
WHERE r.id = found.restore_id AND r.restored_at = %(at)s
"""
_LIST = "SELECT workspace_id, id, held_count FROM restores WHERE restored_at = %(at)s ORDER BY 1"


def _end_all(mark: Mark, taken_at: datetime) -> Ended:
    why = f"Stopped: the database was restored from the backup of {_moment(taken_at)}."
    doubt = (
        f"{restores.DOUBT}{_moment(taken_at)}: some of this may have been sent since, and would be"
        " sent again."
    )
    values = {"by": COMMAND_LINE.name, "why": why, "at": mark.started_at, "campaign": doubt}
    paused = database.execute_sql(_PAUSE_CAMPAIGNS, values).fetchall()
    drafts = database.execute_sql(_BACK_TO_DRAFT, values).fetchall()
    jobs = sum(row[0] for row in database.execute_sql(_END_JOBS, values).fetchall())
    told = f"Not sent: the database was restored from the backup of {_moment(taken_at)}."
    notifications = database.execute_sql(_END_NOTIFICATIONS, (told,)).rowcount
    # Whoever was signed out, or has used a link, since then must not be let in by the old rows.
    sessions = database.execute_sql("DELETE FROM sessions").rowcount
    database.execute_sql("DELETE FROM mailed_links")
    # One that was revoked since would let somebody in again.
    database.execute_sql(
        "UPDATE invitations SET revoked_at = now() WHERE accepted_at IS NULL AND revoked_at IS NULL"
    )
    database.execute_sql("DELETE FROM breakers")
    database.execute_sql(_COUNT, values)
    periodic_jobs.note_at(PERIODIC_JOB, taken_at)
    _note_campaigns(paused, "paused", reason=doubt)
    _note_campaigns(drafts, "draft", reason=doubt)
    for workspace_id, restore_id, held in database.execute_sql(_LIST, values).fetchall():
        audit.record(
            workspace_id,
            COMMAND_LINE,
            action="backup.restored",
            target=f"backup of {_moment(taken_at)}",
            after={"restore_id": restore_id, "held": held},
        )
    return Ended(jobs, notifications, sessions)


def _note_campaigns(stopped: Iterable[tuple[int, int, str]], after: str, *, reason: str) -> None:
    """Put it into each campaign's "Who did what"; not into a draft's, which stays one."""
    for workspace_id, campaign_id, before in sorted(stopped):
        if before == "draft":
            continue
        audit.record(
            workspace_id,
            COMMAND_LINE,
            action=f"campaign.{_VERBS[before]}",
            target=f"campaign {campaign_id}",
            before={"status": before},
            after={"status": after},
            reason=reason,
        )


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
