"""Retention. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from maild_client.shapes.retention import RetentionChange, RetentionOut
from maild_client.transport import UNSET, Transport, Unset


class RetentionOperations(Transport):
    """Operations of the chapter Retention."""

    def get_retention(
        self,
        *,
        workspace_id: int | None = None,
    ) -> RetentionOut:
        """For how long a workspace keeps what, and how much room it takes.

        GET /v1/workspaces/retention.
        """
        answer: RetentionOut = self._json(
            "GET",
            "/v1/workspaces/retention",
            query={
                "workspace_id": workspace_id,
            },
        )
        return answer

    def change_retention(
        self,
        *,
        version: int,
        workspace_id: int | Unset | None = UNSET,
        bodies_days: int | Unset | None = UNSET,
        messages_days: int | Unset | None = UNSET,
        webhooks_days: int | Unset | None = UNSET,
        audit_days: int | Unset | None = UNSET,
        dry_run: bool | Unset = UNSET,
    ) -> RetentionChange:
        """Choose for how long a workspace keeps what, or see what that would remove.

        POST /v1/workspaces/retention.
        """
        answer: RetentionChange = self._json(
            "POST",
            "/v1/workspaces/retention",
            body={
                "workspace_id": workspace_id,
                "version": version,
                "bodies_days": bodies_days,
                "messages_days": messages_days,
                "webhooks_days": webhooks_days,
                "audit_days": audit_days,
                "dry_run": dry_run,
            },
        )
        return answer
