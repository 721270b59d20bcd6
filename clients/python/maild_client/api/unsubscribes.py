"""Unsubscribes. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from maild_client.shapes.shared import Stream
from maild_client.shapes.unsubscribes import (
    UnsubscribeOut,
    UnsubscribePage,
    UnsubscribeRemoved,
    UnsubscribeSaved,
)
from maild_client.transport import UNSET, Transport, Unset


class UnsubscribesOperations(Transport):
    """Operations of the chapter Unsubscribes."""

    def add_unsubscribe(
        self,
        *,
        email: str,
        topic: str | Unset | None = UNSET,
        stream: Stream | Unset | None = UNSET,
        reason: str | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> UnsubscribeSaved:
        """Record that an address opted out: of a topic or of all, in one stream or in both.

        POST /v1/unsubscribes.
        """
        answer: UnsubscribeSaved = self._json(
            "POST",
            "/v1/unsubscribes",
            body={
                "email": email,
                "topic": topic,
                "stream": stream,
                "reason": reason,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def list_unsubscribes(
        self,
        *,
        workspace_id: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        email: str | None = None,
        topic: str | None = None,
        source: str | None = None,
        state: Literal["in_force", "removed"] | None = None,
    ) -> UnsubscribePage:
        """Who opted out of what, newest first, in pages.

        GET /v1/unsubscribes.
        """
        answer: UnsubscribePage = self._json(
            "GET",
            "/v1/unsubscribes",
            query={
                "workspace_id": workspace_id,
                "limit": limit,
                "cursor": cursor,
                "email": email,
                "topic": topic,
                "source": source,
                "state": state,
            },
        )
        return answer

    def iter_unsubscribes(
        self,
        *,
        workspace_id: int | None = None,
        limit: int | None = None,
        email: str | None = None,
        topic: str | None = None,
        source: str | None = None,
        state: Literal["in_force", "removed"] | None = None,
    ) -> Iterator[UnsubscribeOut]:
        """All rows of `list_unsubscribes`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_unsubscribes(
                workspace_id=workspace_id,
                limit=limit,
                cursor=cursor,
                email=email,
                topic=topic,
                source=source,
                state=state,
            )
            yield from page["unsubscribes"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def remove_unsubscribe(
        self,
        *,
        email: str,
        reason: str,
        topic: str | Unset | None = UNSET,
        stream: Stream | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> UnsubscribeRemoved:
        """Record that a person asked for this mail again.

        DELETE /v1/unsubscribes.
        """
        answer: UnsubscribeRemoved = self._json(
            "DELETE",
            "/v1/unsubscribes",
            body={
                "email": email,
                "topic": topic,
                "stream": stream,
                "reason": reason,
                "workspace_id": workspace_id,
            },
        )
        return answer
