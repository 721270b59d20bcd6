"""/v1/notification-channels and /v1/notifications: who is told of incidents, and what they were
told. A URL goes in and never comes out whole.
"""

from typing import Any

from maild.api import schemas
from maild.api.auth import ADMINS, READERS, Caller
from maild.api.endpoint import endpoint
from maild.api.query import parse_serial_cursor
from maild.domain import serial_cursor
from maild.errors import Conflict, RateLimited
from maild.models import Notification, NotificationChannel
from maild.services import notification_channels, notifications
from maild.services.notification_channels import NewChannel


@endpoint(
    "GET",
    "/v1/notification-channels",
    summary="The channels that a workspace is told of incidents by, and how they do",
    allow=READERS,
    query=schemas.WorkspaceQuery,
    answer=schemas.NotificationChannelList,
)
def list_notification_channels(
    caller: Caller, query: schemas.WorkspaceQuery
) -> schemas.NotificationChannelList:
    """By name. Of a URL only the host and the last four characters are told."""
    workspace_id = caller.workspace_id(query.workspace_id)
    rows = notification_channels.list_all(workspace_id)
    return schemas.NotificationChannelList(
        workspace_id=workspace_id,
        count=len(rows),
        channels=[schemas.NotificationChannelOut(**_fields(row)) for row in rows],
    )


@endpoint(
    "POST",
    "/v1/notification-channels",
    summary="Add a channel; the answer has, this once, what a webhook is signed with",
    allow=ADMINS,
    body=schemas.NotificationChannelIn,
    answer=schemas.NotificationChannelAdded,
    status=201,
    raises=(Conflict,),
)
def add_notification_channel(
    caller: Caller, body: schemas.NotificationChannelIn
) -> schemas.NotificationChannelAdded:
    """A webhook is signed as Standard Webhooks has it; `signing_secret` is in this answer only. A
    workspace has 20 channels at most.
    """
    new = NewChannel(
        name=body.name,
        kind=body.kind,
        target=body.target,
        min_severity=body.min_severity,
        occasions=body.occasions,
        is_active=body.is_active,
    )
    row, secret = notification_channels.add(
        caller.workspace_id(body.workspace_id), new, by=caller.actor
    )
    return schemas.NotificationChannelAdded(**_fields(row), signing_secret=secret)


@endpoint(
    "DELETE",
    "/v1/notification-channels",
    summary="Remove a channel, with what it was told",
    allow=ADMINS,
    body=schemas.NotificationChannelId,
    answer=schemas.NotificationChannelDeleted,
)
def delete_notification_channel(
    caller: Caller, body: schemas.NotificationChannelId
) -> schemas.NotificationChannelDeleted:
    """What it was told is deleted with it. A notification that waits is not sent any more."""
    workspace_id = caller.workspace_id(body.workspace_id)
    notification_channels.remove(workspace_id, body.id, by=caller.actor)
    return schemas.NotificationChannelDeleted(workspace_id=workspace_id, id=body.id)


@endpoint(
    "POST",
    "/v1/notification-channels/test",
    summary="Send a channel a test notification; what came of it is among the notifications",
    allow=ADMINS,
    body=schemas.NotificationChannelId,
    answer=schemas.NotificationOut,
    status=202,
    raises=(Conflict, RateLimited),
)
def test_notification_channel(
    caller: Caller, body: schemas.NotificationChannelId
) -> schemas.NotificationOut:
    """202: the test waits to be sent. It is tried once; look at `GET /v1/notifications` for the
    outcome. Five a minute and channel.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    queued = notification_channels.test(workspace_id, body.id, by=caller.actor)
    return _report(notifications.get(workspace_id, queued.id))


@endpoint(
    "GET",
    "/v1/notifications",
    summary="What a workspace's channels were told, and what came of it",
    allow=READERS,
    query=schemas.NotificationQuery,
    answer=schemas.NotificationList,
)
def list_notifications(
    caller: Caller, query: schemas.NotificationQuery
) -> schemas.NotificationList:
    """Kept for 90 days. `outcome` says in a sentence what came of the latest attempt."""
    workspace_id = caller.workspace_id(query.workspace_id)
    page = notifications.list_page(
        workspace_id,
        channel_id=query.channel_id,
        limit=query.limit,
        before=parse_serial_cursor(query.cursor),
    )
    return schemas.NotificationList(
        workspace_id=workspace_id,
        count=len(page.notifications),
        notifications=[_report(row) for row in page.notifications],
        next_cursor=None if page.older is None else serial_cursor.write(page.older),
    )


def _fields(row: NotificationChannel) -> dict[str, Any]:
    return {
        "id": row.id,
        "workspace_id": row.workspace_id,
        "name": row.name,
        "kind": row.kind,
        "target": row.target,
        "min_severity": row.min_severity,
        "occasions": row.occasions,
        "is_active": row.is_active,
        "off_reason": row.off_reason,
        "failing_since": row.failing_since,
        "last_error": row.last_error,
        "last_sent_at": row.last_sent_at,
        "created_at": row.created_at,
        "created_by": row.created_by,
    }


def _report(row: Notification) -> schemas.NotificationOut:
    return schemas.NotificationOut(
        id=row.id,
        workspace_id=row.workspace_id,
        channel_id=row.channel_id,
        channel=row.channel.name,
        incident_id=row.incident_id,
        occasion=row.occasion,
        title=str(row.data.get("title", "")),
        status=row.status,
        outcome=row.outcome,
        code=row.code,
        attempt_count=row.attempt_count,
        created_at=row.created_at,
        due_at=None if row.settled_at else row.due_at,
        settled_at=row.settled_at,
    )
