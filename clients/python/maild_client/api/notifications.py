"""Notifications. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from maild_client.shapes.notifications import (
    ChannelKind,
    NotificationChannelAdded,
    NotificationChannelDeleted,
    NotificationChannelList,
    NotificationList,
    NotificationOut,
)
from maild_client.shapes.shared import Severity
from maild_client.transport import UNSET, Transport, Unset


class NotificationsOperations(Transport):
    """Operations of the chapter Notifications."""

    def list_notification_channels(
        self,
        *,
        workspace_id: int | None = None,
    ) -> NotificationChannelList:
        """The channels that a workspace is told of incidents by, and how they do.

        GET /v1/notification-channels.
        """
        answer: NotificationChannelList = self._json(
            "GET",
            "/v1/notification-channels",
            query={
                "workspace_id": workspace_id,
            },
        )
        return answer

    def add_notification_channel(
        self,
        *,
        name: str,
        kind: ChannelKind,
        target: str,
        min_severity: Severity | Unset = UNSET,
        occasions: list[Literal["opened", "escalated", "resolved", "reopened"]] | Unset = UNSET,
        is_active: bool | Unset = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> NotificationChannelAdded:
        """Add a channel; the answer has, this once, what a webhook is signed with.

        POST /v1/notification-channels.
        """
        answer: NotificationChannelAdded = self._json(
            "POST",
            "/v1/notification-channels",
            body={
                "name": name,
                "kind": kind,
                "target": target,
                "min_severity": min_severity,
                "occasions": occasions,
                "is_active": is_active,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def delete_notification_channel(
        self,
        *,
        id: int,
        workspace_id: int | Unset | None = UNSET,
    ) -> NotificationChannelDeleted:
        """Remove a channel, with what it was told.

        DELETE /v1/notification-channels.
        """
        answer: NotificationChannelDeleted = self._json(
            "DELETE",
            "/v1/notification-channels",
            body={
                "id": id,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def test_notification_channel(
        self,
        *,
        id: int,
        workspace_id: int | Unset | None = UNSET,
    ) -> NotificationOut:
        """Send a channel a test notification; what came of it is among the notifications.

        POST /v1/notification-channels/test.
        """
        answer: NotificationOut = self._json(
            "POST",
            "/v1/notification-channels/test",
            body={
                "id": id,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def list_notifications(
        self,
        *,
        workspace_id: int | None = None,
        channel_id: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> NotificationList:
        """What a workspace's channels were told, and what came of it.

        GET /v1/notifications.
        """
        answer: NotificationList = self._json(
            "GET",
            "/v1/notifications",
            query={
                "workspace_id": workspace_id,
                "channel_id": channel_id,
                "limit": limit,
                "cursor": cursor,
            },
        )
        return answer

    def iter_notifications(
        self,
        *,
        workspace_id: int | None = None,
        channel_id: int | None = None,
        limit: int | None = None,
    ) -> Iterator[NotificationOut]:
        """All rows of `list_notifications`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_notifications(
                workspace_id=workspace_id,
                channel_id=channel_id,
                limit=limit,
                cursor=cursor,
            )
            yield from page["notifications"]
            cursor = page["next_cursor"]
            if cursor is None:
                return
