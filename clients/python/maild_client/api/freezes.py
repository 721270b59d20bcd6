"""Freezes. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Literal

from maild_client.shapes.freezes import FreezeKind, FreezeOut, FreezePage
from maild_client.transport import UNSET, Transport, Unset


class FreezesOperations(Transport):
    """Operations of the chapter Freezes."""

    def list_freezes(
        self,
        *,
        workspace_id: int | None = None,
        state: Literal["in_force", "ended", "all"] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> FreezePage:
        """The freezes of a workspace, newest first, and what waits behind each.

        GET /v1/freezes.
        """
        answer: FreezePage = self._json(
            "GET",
            "/v1/freezes",
            query={
                "workspace_id": workspace_id,
                "state": state,
                "limit": limit,
                "cursor": cursor,
            },
        )
        return answer

    def iter_freezes(
        self,
        *,
        workspace_id: int | None = None,
        state: Literal["in_force", "ended", "all"] | None = None,
        limit: int | None = None,
    ) -> Iterator[FreezeOut]:
        """All rows of `list_freezes`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_freezes(
                workspace_id=workspace_id,
                state=state,
                limit=limit,
                cursor=cursor,
            )
            yield from page["freezes"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def start_freeze(
        self,
        *,
        kind: FreezeKind,
        reason: str,
        expires_at: str | dt.datetime,
        workspace_id: int | Unset | None = UNSET,
        target: str | Unset | None = UNSET,
    ) -> FreezeOut:
        """Let some mail stand still until a time.

        POST /v1/freezes.
        """
        answer: FreezeOut = self._json(
            "POST",
            "/v1/freezes",
            body={
                "workspace_id": workspace_id,
                "kind": kind,
                "target": target,
                "reason": reason,
                "expires_at": expires_at,
            },
        )
        return answer

    def lift_freeze(
        self,
        *,
        id: int,
        reason: str,
        workspace_id: int | Unset | None = UNSET,
    ) -> FreezeOut:
        """Lift a freeze, and let go what it held.

        DELETE /v1/freezes.
        """
        answer: FreezeOut = self._json(
            "DELETE",
            "/v1/freezes",
            body={
                "workspace_id": workspace_id,
                "id": id,
                "reason": reason,
            },
        )
        return answer

    def extend_freeze(
        self,
        *,
        id: int,
        expires_at: str | dt.datetime,
        reason: str,
        workspace_id: int | Unset | None = UNSET,
    ) -> FreezeOut:
        """Let a freeze last longer.

        POST /v1/freezes/extend.
        """
        answer: FreezeOut = self._json(
            "POST",
            "/v1/freezes/extend",
            body={
                "workspace_id": workspace_id,
                "id": id,
                "expires_at": expires_at,
                "reason": reason,
            },
        )
        return answer
