"""Suppressions. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Literal

from maild_client.shapes.shared import Stream
from maild_client.shapes.suppressions import (
    BlockedMessage,
    BlockedPage,
    SuppressionClass,
    SuppressionImported,
    SuppressionOut,
    SuppressionPage,
    SuppressionRemoved,
    SuppressionSaved,
)
from maild_client.transport import UNSET, Transport, Unset


class SuppressionsOperations(Transport):
    """Operations of the chapter Suppressions."""

    def add_suppression(
        self,
        *,
        email: str,
        reason: str,
        class_: SuppressionClass | Unset = UNSET,
        stream: Stream | Unset | None = UNSET,
        expires_at: str | dt.datetime | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> SuppressionSaved:
        """Stop all mail to an address, or that of one stream.

        POST /v1/suppressions.
        """
        answer: SuppressionSaved = self._json(
            "POST",
            "/v1/suppressions",
            body={
                "email": email,
                "reason": reason,
                "class": class_,
                "stream": stream,
                "expires_at": expires_at,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def list_suppressions(
        self,
        *,
        workspace_id: int | None = None,
        source: str | None = None,
        class_: Literal["hard_bounce", "soft_bounce", "complaint", "manual"] | None = None,
        stream: Literal["transactional", "marketing", "all"] | None = None,
        state: Literal["in_force", "expired", "removed", "all"] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        email: str | None = None,
    ) -> SuppressionPage:
        """Who must not be mailed and why, newest first, in pages.

        GET /v1/suppressions.
        """
        answer: SuppressionPage = self._json(
            "GET",
            "/v1/suppressions",
            query={
                "workspace_id": workspace_id,
                "source": source,
                "class": class_,
                "stream": stream,
                "state": state,
                "limit": limit,
                "cursor": cursor,
                "email": email,
            },
        )
        return answer

    def iter_suppressions(
        self,
        *,
        workspace_id: int | None = None,
        source: str | None = None,
        class_: Literal["hard_bounce", "soft_bounce", "complaint", "manual"] | None = None,
        stream: Literal["transactional", "marketing", "all"] | None = None,
        state: Literal["in_force", "expired", "removed", "all"] | None = None,
        limit: int | None = None,
        email: str | None = None,
    ) -> Iterator[SuppressionOut]:
        """All rows of `list_suppressions`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_suppressions(
                workspace_id=workspace_id,
                source=source,
                class_=class_,
                stream=stream,
                state=state,
                limit=limit,
                cursor=cursor,
                email=email,
            )
            yield from page["suppressions"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def remove_suppression(
        self,
        *,
        email: str,
        reason: str,
        stream: Stream | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> SuppressionRemoved:
        """Let an address be mailed again; tells which messages were held back.

        DELETE /v1/suppressions.
        """
        answer: SuppressionRemoved = self._json(
            "DELETE",
            "/v1/suppressions",
            body={
                "email": email,
                "reason": reason,
                "stream": stream,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def list_blocked_messages(
        self,
        *,
        suppression_id: int,
        workspace_id: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> BlockedPage:
        """The messages that one suppression has stopped, newest first, in pages.

        GET /v1/suppressions/blocked.
        """
        answer: BlockedPage = self._json(
            "GET",
            "/v1/suppressions/blocked",
            query={
                "workspace_id": workspace_id,
                "suppression_id": suppression_id,
                "limit": limit,
                "cursor": cursor,
            },
        )
        return answer

    def iter_blocked_messages(
        self,
        *,
        suppression_id: int,
        workspace_id: int | None = None,
        limit: int | None = None,
    ) -> Iterator[BlockedMessage]:
        """All rows of `list_blocked_messages`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_blocked_messages(
                workspace_id=workspace_id,
                suppression_id=suppression_id,
                limit=limit,
                cursor=cursor,
            )
            yield from page["messages"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def import_suppressions(
        self,
        *,
        csv: str,
        dry_run: bool | Unset = UNSET,
        default_reason: str | Unset | None = UNSET,
        class_: SuppressionClass | Unset = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> SuppressionImported:
        """Suppress the addresses of a CSV file, all at once; it removes and weakens nothing.

        POST /v1/suppressions/import.
        """
        answer: SuppressionImported = self._json(
            "POST",
            "/v1/suppressions/import",
            body={
                "csv": csv,
                "dry_run": dry_run,
                "default_reason": default_reason,
                "class": class_,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def export_suppressions(
        self,
        *,
        workspace_id: int | None = None,
        source: str | None = None,
        class_: Literal["hard_bounce", "soft_bounce", "complaint", "manual"] | None = None,
        stream: Literal["transactional", "marketing", "all"] | None = None,
        state: Literal["in_force", "expired", "removed", "all"] | None = None,
    ) -> str:
        """All suppressions as a CSV file, which an import takes again.

        GET /v1/suppressions/export.
        """
        return self._raw(
            "GET",
            "/v1/suppressions/export",
            query={
                "workspace_id": workspace_id,
                "source": source,
                "class": class_,
                "stream": stream,
                "state": state,
            },
        ).decode()
