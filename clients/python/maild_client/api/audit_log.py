"""Audit log. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from maild_client.shapes.audit_log import AuditEntryOut, AuditPage
from maild_client.transport import Transport


class AuditLogOperations(Transport):
    """Operations of the chapter Audit log."""

    def list_audit_entries(
        self,
        *,
        workspace_id: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        from_: str | dt.datetime | None = None,
        to: str | dt.datetime | None = None,
        action: str | None = None,
        actor: str | None = None,
    ) -> AuditPage:
        """The audit log: who did what, newest first, filtered, in pages.

        GET /v1/audit.
        """
        answer: AuditPage = self._json(
            "GET",
            "/v1/audit",
            query={
                "workspace_id": workspace_id,
                "limit": limit,
                "cursor": cursor,
                "from": from_,
                "to": to,
                "action": action,
                "actor": actor,
            },
        )
        return answer

    def iter_audit_entries(
        self,
        *,
        workspace_id: int | None = None,
        limit: int | None = None,
        from_: str | dt.datetime | None = None,
        to: str | dt.datetime | None = None,
        action: str | None = None,
        actor: str | None = None,
    ) -> Iterator[AuditEntryOut]:
        """All rows of `list_audit_entries`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_audit_entries(
                workspace_id=workspace_id,
                limit=limit,
                cursor=cursor,
                from_=from_,
                to=to,
                action=action,
                actor=actor,
            )
            yield from page["entries"]
            cursor = page["next_cursor"]
            if cursor is None:
                return
