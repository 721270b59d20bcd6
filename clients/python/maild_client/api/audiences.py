"""Audiences. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from collections.abc import Iterator

from maild_client.shapes.audiences import (
    AudienceCounted,
    AudienceList,
    AudienceOut,
    AudienceRemoved,
    MemberPage,
    MembersOut,
)
from maild_client.shapes.shared import ContactOut
from maild_client.transport import UNSET, Transport, Unset, path_segment


class AudiencesOperations(Transport):
    """Operations of the chapter Audiences."""

    def list_audiences(
        self,
        *,
        workspace_id: int | None = None,
    ) -> AudienceList:
        """The lists of a workspace.

        GET /v1/audiences.
        """
        answer: AudienceList = self._json(
            "GET",
            "/v1/audiences",
            query={
                "workspace_id": workspace_id,
            },
        )
        return answer

    def create_audience(
        self,
        *,
        name: str,
        description: str | Unset = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> AudienceOut:
        """Make a list.

        POST /v1/audiences.
        """
        answer: AudienceOut = self._json(
            "POST",
            "/v1/audiences",
            body={
                "name": name,
                "description": description,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def delete_audience(
        self,
        *,
        audience_id: int,
        workspace_id: int | Unset | None = UNSET,
    ) -> AudienceRemoved:
        """Delete a list; its contacts stay.

        DELETE /v1/audiences.
        """
        answer: AudienceRemoved = self._json(
            "DELETE",
            "/v1/audiences",
            body={
                "audience_id": audience_id,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def get_audience(
        self,
        audience_id: int,
        *,
        workspace_id: int | None = None,
    ) -> AudienceCounted:
        """One list.

        GET /v1/audiences/{audience_id}.
        """
        answer: AudienceCounted = self._json(
            "GET",
            f"/v1/audiences/{path_segment(audience_id)}",
            query={
                "workspace_id": workspace_id,
            },
        )
        return answer

    def change_audience(
        self,
        *,
        audience_id: int,
        name: str | Unset | None = UNSET,
        description: str | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> AudienceOut:
        """Give a list another name, or another description.

        POST /v1/audiences/change.
        """
        answer: AudienceOut = self._json(
            "POST",
            "/v1/audiences/change",
            body={
                "audience_id": audience_id,
                "name": name,
                "description": description,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def restore_audience(
        self,
        *,
        audience_id: int,
        workspace_id: int | Unset | None = UNSET,
    ) -> AudienceOut:
        """Bring a list back that was deleted just now.

        POST /v1/audiences/restore.
        """
        answer: AudienceOut = self._json(
            "POST",
            "/v1/audiences/restore",
            body={
                "audience_id": audience_id,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def list_audience_members(
        self,
        *,
        audience_id: int,
        workspace_id: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> MemberPage:
        """The contacts of a list, the newest contact first, in pages.

        GET /v1/audiences/members.
        """
        answer: MemberPage = self._json(
            "GET",
            "/v1/audiences/members",
            query={
                "workspace_id": workspace_id,
                "audience_id": audience_id,
                "limit": limit,
                "cursor": cursor,
            },
        )
        return answer

    def iter_audience_members(
        self,
        *,
        audience_id: int,
        workspace_id: int | None = None,
        limit: int | None = None,
    ) -> Iterator[ContactOut]:
        """All rows of `list_audience_members`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_audience_members(
                workspace_id=workspace_id,
                audience_id=audience_id,
                limit=limit,
                cursor=cursor,
            )
            yield from page["contacts"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def add_audience_members(
        self,
        *,
        audience_id: int,
        emails: list[str] | Unset | None = UNSET,
        contact_ids: list[int] | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> MembersOut:
        """Put up to 1,000 contacts on a list.

        POST /v1/audiences/members.
        """
        answer: MembersOut = self._json(
            "POST",
            "/v1/audiences/members",
            body={
                "audience_id": audience_id,
                "emails": emails,
                "contact_ids": contact_ids,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def remove_audience_members(
        self,
        *,
        audience_id: int,
        emails: list[str] | Unset | None = UNSET,
        contact_ids: list[int] | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> MembersOut:
        """Take up to 1,000 contacts off a list.

        DELETE /v1/audiences/members.
        """
        answer: MembersOut = self._json(
            "DELETE",
            "/v1/audiences/members",
            body={
                "audience_id": audience_id,
                "emails": emails,
                "contact_ids": contact_ids,
                "workspace_id": workspace_id,
            },
        )
        return answer
