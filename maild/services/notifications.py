"""Notifications: telling a workspace's channels of an incident.

In charge of what is to be told to whom, exactly once each, in the transaction in which it happens;
and of reading what was told. Not in charge of the channels (`notification_channels`), nor of
getting it there (`notification_loop`).
"""

import json
from dataclasses import dataclass
from datetime import datetime

from maild import config, queue
from maild.db import database
from maild.domain import incident_advice
from maild.domain.notification import Occasion, round_of
from maild.errors import NotFound
from maild.models import Incident, IncidentSignal, Notification, NotificationChannel
from maild.services import workspaces

HINT = "notifications"
"""The hint that wakes whoever sends them."""
SIGNALS_MAX = 20
"""What is likely is told by the most frequent signals."""

# Who was told of it is told that it is over, however bad it is by then.
#
# What has not got through by the time that it is over, or back, is told by that, where the channel
# hears of it: it would arrive afterwards, and say what is not so any more. What is under way, as a
# mail is, or as `notification_delivery` has it, is left to that.
_TELL = """
WITH told AS (
    INSERT INTO notifications (workspace_id, channel_id, incident_id, occasion, round, data)
    SELECT c.workspace_id, c.id, %(incident)s, %(occasion)s, %(round)s,
        %(data)s::jsonb || jsonb_build_object('workspace', w.name)
    FROM notification_channels c JOIN workspaces w ON w.id = c.workspace_id
    WHERE c.workspace_id = %(workspace)s AND c.is_active AND c.occasions ? %(occasion)s
        AND (array_position(ARRAY['minor', 'major', 'critical'], c.min_severity) <= %(rank)s + 1
            OR %(occasion)s = 'resolved' AND EXISTS (
                SELECT FROM notifications n
                WHERE n.channel_id = c.id AND n.incident_id = %(incident)s))
    ON CONFLICT DO NOTHING
    RETURNING id, channel_id, occasion
), folded AS (
    UPDATE notifications n SET status = 'folded', settled_at = now(), folded_into_id = told.id,
        outcome = CASE told.occasion WHEN 'resolved' THEN 'It was over' ELSE 'It came back' END
            || ' before this got through: both are told as one.'
    FROM told
    WHERE told.occasion IN ('resolved', 'reopened') AND n.channel_id = told.channel_id
        AND n.incident_id = %(incident)s AND n.status = 'waiting' AND n.message_id IS NULL
        AND (n.attempt_count = 0 OR n.outcome IS NOT NULL OR n.due_at <= now())
    RETURNING n.id, told.id AS into_id
), deeper AS (
    UPDATE notifications n SET folded_into_id = folded.into_id
    FROM folded WHERE n.folded_into_id = folded.id
)
SELECT count(*) FROM told
"""


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first; `older` is the id after which the next page begins."""

    notifications: list[Notification]
    older: int | None


def tell(incident: Incident, occasion: Occasion) -> int:
    """Queue what the workspace's channels are to be told, in the caller's transaction: those that
    are on, hear of this occasion, and of what is as bad as this. Returns how many are told.

    The same occasion is told once, whoever asks for it.
    """
    values = {
        "workspace": incident.workspace_id,
        "incident": incident.id,
        "occasion": occasion.value,
        "round": round_of(occasion, incident.severity, incident.reopen_count),
        "rank": incident.severity.rank,
        "data": json.dumps(_data_of(incident)),
    }
    count: int = database.execute_sql(_TELL, values).fetchone()[0]
    if count:
        queue.enqueue(HINT)
    return count


def list_page(
    workspace_id: int,
    *,
    channel_id: int | None = None,
    limit: int = 50,
    before: int | None = None,
) -> Page:
    """What was told, with the channels, newest first. Raises NotFound (the workspace)."""
    query = (
        Notification.select(Notification, NotificationChannel)
        .join(NotificationChannel)
        .where(Notification.workspace == workspace_id)
    )
    if channel_id is not None:
        query = query.where(Notification.channel == channel_id)
    if before is not None:
        query = query.where(Notification.id < before)
    rows = list(query.order_by(Notification.id.desc()).limit(limit + 1))
    if not rows:
        workspaces.require(workspace_id)
    shown = rows[:limit]
    return Page(shown, older=shown[-1].id if len(rows) > limit else None)


def get(workspace_id: int, notification_id: int) -> Notification:
    """Raises NotFound, for a foreign one as well."""
    found: Notification | None = (
        Notification.select(Notification, NotificationChannel)
        .join(NotificationChannel)
        .where(Notification.id == notification_id, Notification.workspace == workspace_id)
        .first()
    )
    if found is None:
        raise NotFound("There is no such notification in this workspace.")
    return found


_PRUNE = """
DELETE FROM notifications WHERE id IN (
    SELECT id FROM notifications
    WHERE workspace_id = %s AND settled_at < %s ORDER BY settled_at LIMIT %s)
"""


def prune(workspace_id: int, before: datetime, *, limit: int) -> int:
    """Forget some of what was settled before that; returns how many."""
    return int(database.execute_sql(_PRUNE, (workspace_id, before, limit)).rowcount)


def _likely_cause(incident: Incident) -> str | None:
    """What it is by what was seen of it; None once somebody has said what it was."""
    if incident.cause is not None:
        return None
    seen = (
        IncidentSignal.select(IncidentSignal.error_class)
        .where(IncidentSignal.incident == incident.id)
        .order_by(IncidentSignal.message_count.desc())
        .limit(SIGNALS_MAX)
    )
    classes = [signal.error_class for signal in seen]
    return incident_advice.advise(incident.kind, classes).likely_cause


def _data_of(incident: Incident) -> dict[str, object]:
    """The incident as it is told; without what is not known of it."""
    known = {
        "incident_id": incident.id,
        "workspace_id": incident.workspace_id,
        "title": incident.title,
        "kind": incident.kind.value,
        "severity": incident.severity.value,
        "status": incident.status.value,
        "since": incident.since_at.isoformat(),
        "message_count": incident.message_count,
        "recipient_count": incident.recipient_count,
        "smtp_account": incident.smtp_account,
        "recipient_domain": incident.recipient_domain,
        "likely_cause": _likely_cause(incident),
        "cause": incident.cause,
        "url": f"{config.current().public_url}/ui/incidents/{incident.id}",
    }
    return {name: value for name, value in known.items() if value is not None}
