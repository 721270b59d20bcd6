"""Segments. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from collections.abc import Iterator

from maild_client.shapes.segments import (
    SegmentMemberPage,
    SegmentOut,
    SegmentPage,
    SegmentPreviewOut,
    SegmentRemoved,
    SegmentTree,
)
from maild_client.shapes.shared import ContactOut
from maild_client.transport import UNSET, Transport, Unset, path_segment


class SegmentsOperations(Transport):
    """Operations of the chapter Segments."""

    def list_segments(
        self,
        *,
        workspace_id: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> SegmentPage:
        """The segments of a workspace, newest first, in pages.

        GET /v1/segments.
        """
        answer: SegmentPage = self._json(
            "GET",
            "/v1/segments",
            query={
                "workspace_id": workspace_id,
                "limit": limit,
                "cursor": cursor,
            },
        )
        return answer

    def iter_segments(
        self,
        *,
        workspace_id: int | None = None,
        limit: int | None = None,
    ) -> Iterator[SegmentOut]:
        """All rows of `list_segments`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_segments(
                workspace_id=workspace_id,
                limit=limit,
                cursor=cursor,
            )
            yield from page["segments"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def create_segment(
        self,
        *,
        name: str,
        rules: SegmentTree,
        workspace_id: int | Unset | None = UNSET,
    ) -> SegmentOut:
        """Make a segment.

        POST /v1/segments.
        """
        answer: SegmentOut = self._json(
            "POST",
            "/v1/segments",
            body={
                "name": name,
                "rules": rules,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def delete_segment(
        self,
        *,
        segment_id: int,
        workspace_id: int | Unset | None = UNSET,
    ) -> SegmentRemoved:
        """Delete a segment; its contacts stay.

        DELETE /v1/segments.
        """
        answer: SegmentRemoved = self._json(
            "DELETE",
            "/v1/segments",
            body={
                "segment_id": segment_id,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def get_segment(
        self,
        segment_id: int,
        *,
        workspace_id: int | None = None,
    ) -> SegmentOut:
        """One segment.

        GET /v1/segments/{segment_id}.
        """
        answer: SegmentOut = self._json(
            "GET",
            f"/v1/segments/{path_segment(segment_id)}",
            query={
                "workspace_id": workspace_id,
            },
        )
        return answer

    def change_segment(
        self,
        *,
        segment_id: int,
        name: str | Unset | None = UNSET,
        rules: SegmentTree | Unset = UNSET,
        version: int | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> SegmentOut:
        """Give a segment another name, or other rules.

        POST /v1/segments/change.
        """
        answer: SegmentOut = self._json(
            "POST",
            "/v1/segments/change",
            body={
                "segment_id": segment_id,
                "name": name,
                "rules": rules,
                "version": version,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def restore_segment(
        self,
        *,
        segment_id: int,
        workspace_id: int | Unset | None = UNSET,
    ) -> SegmentOut:
        """Bring a segment back that was deleted just now.

        POST /v1/segments/restore.
        """
        answer: SegmentOut = self._json(
            "POST",
            "/v1/segments/restore",
            body={
                "segment_id": segment_id,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def preview_segment(
        self,
        *,
        rules: SegmentTree,
        workspace_id: int | Unset | None = UNSET,
    ) -> SegmentPreviewOut:
        """Look whom some rules mean now; nothing is kept.

        POST /v1/segments/preview.
        """
        answer: SegmentPreviewOut = self._json(
            "POST",
            "/v1/segments/preview",
            body={
                "rules": rules,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def list_segment_members(
        self,
        *,
        segment_id: int,
        workspace_id: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> SegmentMemberPage:
        """The contacts of a segment, newest first, in pages.

        GET /v1/segments/members.
        """
        answer: SegmentMemberPage = self._json(
            "GET",
            "/v1/segments/members",
            query={
                "workspace_id": workspace_id,
                "limit": limit,
                "cursor": cursor,
                "segment_id": segment_id,
            },
        )
        return answer

    def iter_segment_members(
        self,
        *,
        segment_id: int,
        workspace_id: int | None = None,
        limit: int | None = None,
    ) -> Iterator[ContactOut]:
        """All rows of `list_segment_members`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_segment_members(
                workspace_id=workspace_id,
                limit=limit,
                cursor=cursor,
                segment_id=segment_id,
            )
            yield from page["contacts"]
            cursor = page["next_cursor"]
            if cursor is None:
                return
