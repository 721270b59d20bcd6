"""Templates. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from maild_client.shapes.templates import (
    TemplateArchived,
    TemplateDetail,
    TemplateFormat,
    TemplateInUse,
    TemplateListed,
    TemplateOut,
    TemplatePage,
    TemplatePreviewOut,
    TemplateSaved,
    TemplateVersionPage,
    TemplateVersionSummary,
)
from maild_client.transport import UNSET, Transport, Unset, path_segment


class TemplatesOperations(Transport):
    """Operations of the chapter Templates."""

    def list_templates(
        self,
        *,
        workspace_id: int | None = None,
        q: str | None = None,
        archived: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> TemplatePage:
        """The templates of a workspace, newest first, in pages.

        GET /v1/templates.
        """
        answer: TemplatePage = self._json(
            "GET",
            "/v1/templates",
            query={
                "workspace_id": workspace_id,
                "q": q,
                "archived": archived,
                "limit": limit,
                "cursor": cursor,
            },
        )
        return answer

    def iter_templates(
        self,
        *,
        workspace_id: int | None = None,
        q: str | None = None,
        archived: bool | None = None,
        limit: int | None = None,
    ) -> Iterator[TemplateListed]:
        """All rows of `list_templates`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_templates(
                workspace_id=workspace_id,
                q=q,
                archived=archived,
                limit=limit,
                cursor=cursor,
            )
            yield from page["templates"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def create_template(
        self,
        *,
        subject: str,
        name: str,
        preheader: str | Unset = UNSET,
        format: TemplateFormat | Unset = UNSET,
        source: str | Unset = UNSET,
        source_text: str | Unset = UNSET,
        note: str | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> TemplateSaved:
        """Make a template.

        POST /v1/templates.
        """
        answer: TemplateSaved = self._json(
            "POST",
            "/v1/templates",
            body={
                "subject": subject,
                "preheader": preheader,
                "format": format,
                "source": source,
                "source_text": source_text,
                "name": name,
                "note": note,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def archive_template(
        self,
        *,
        template_id: int,
        workspace_id: int | Unset | None = UNSET,
    ) -> TemplateArchived:
        """Archive a template: nothing is sent with it any more.

        DELETE /v1/templates.
        """
        answer: TemplateArchived = self._json(
            "DELETE",
            "/v1/templates",
            body={
                "template_id": template_id,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def get_template(
        self,
        template_id: int,
        *,
        workspace_id: int | None = None,
        version: int | None = None,
    ) -> TemplateDetail:
        """One template with its latest version, or an earlier one.

        GET /v1/templates/{template_id}.
        """
        answer: TemplateDetail = self._json(
            "GET",
            f"/v1/templates/{path_segment(template_id)}",
            query={
                "workspace_id": workspace_id,
                "version": version,
            },
        )
        return answer

    def list_template_versions(
        self,
        template_id: int,
        *,
        workspace_id: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> TemplateVersionPage:
        """The versions of a template, newest first, in pages.

        GET /v1/templates/{template_id}/versions.
        """
        answer: TemplateVersionPage = self._json(
            "GET",
            f"/v1/templates/{path_segment(template_id)}/versions",
            query={
                "workspace_id": workspace_id,
                "limit": limit,
                "cursor": cursor,
            },
        )
        return answer

    def iter_template_versions(
        self,
        template_id: int,
        *,
        workspace_id: int | None = None,
        limit: int | None = None,
    ) -> Iterator[TemplateVersionSummary]:
        """All rows of `list_template_versions`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_template_versions(
                template_id=template_id,
                workspace_id=workspace_id,
                limit=limit,
                cursor=cursor,
            )
            yield from page["versions"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def save_template(
        self,
        *,
        subject: str,
        template_id: int,
        version: int,
        preheader: str | Unset = UNSET,
        format: TemplateFormat | Unset = UNSET,
        source: str | Unset = UNSET,
        source_text: str | Unset = UNSET,
        note: str | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> TemplateSaved:
        """Save a template as its next version.

        POST /v1/templates/save.
        """
        answer: TemplateSaved = self._json(
            "POST",
            "/v1/templates/save",
            body={
                "subject": subject,
                "preheader": preheader,
                "format": format,
                "source": source,
                "source_text": source_text,
                "template_id": template_id,
                "version": version,
                "note": note,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def restore_template(
        self,
        *,
        template_id: int,
        restored_version: int,
        version: int,
        workspace_id: int | Unset | None = UNSET,
    ) -> TemplateSaved:
        """Make a template again what it was.

        POST /v1/templates/restore.
        """
        answer: TemplateSaved = self._json(
            "POST",
            "/v1/templates/restore",
            body={
                "template_id": template_id,
                "restored_version": restored_version,
                "version": version,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def rename_template(
        self,
        *,
        template_id: int,
        name: str,
        workspace_id: int | Unset | None = UNSET,
    ) -> TemplateOut:
        """Give a template another name.

        POST /v1/templates/rename.
        """
        answer: TemplateOut = self._json(
            "POST",
            "/v1/templates/rename",
            body={
                "template_id": template_id,
                "name": name,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def bring_back_template(
        self,
        *,
        template_id: int,
        workspace_id: int | Unset | None = UNSET,
    ) -> TemplateInUse:
        """Take an archived template into use again.

        POST /v1/templates/bring-back.
        """
        answer: TemplateInUse = self._json(
            "POST",
            "/v1/templates/bring-back",
            body={
                "template_id": template_id,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def preview_template(
        self,
        *,
        template: int | str | Unset | None = UNSET,
        version: int | Unset | None = UNSET,
        subject: str | Unset = UNSET,
        preheader: str | Unset = UNSET,
        format: TemplateFormat | Unset = UNSET,
        source: str | Unset = UNSET,
        source_text: str | Unset = UNSET,
        contact_email: str | Unset | None = UNSET,
        contact: dict[str, Any] | Unset | None = UNSET,
        data: dict[str, Any] | Unset = UNSET,
        marketing: bool | Unset = UNSET,
        from_email: str | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> TemplatePreviewOut:
        """What a template comes to, and what is to be said of it; nothing is stored.

        POST /v1/templates/preview.
        """
        answer: TemplatePreviewOut = self._json(
            "POST",
            "/v1/templates/preview",
            body={
                "template": template,
                "version": version,
                "subject": subject,
                "preheader": preheader,
                "format": format,
                "source": source,
                "source_text": source_text,
                "contact_email": contact_email,
                "contact": contact,
                "data": data,
                "marketing": marketing,
                "from_email": from_email,
                "workspace_id": workspace_id,
            },
        )
        return answer
