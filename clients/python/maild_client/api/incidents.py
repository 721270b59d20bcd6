"""Incidents. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from maild_client.shapes.incidents import (
    BundleOut,
    DeploymentOut,
    IncidentDetail,
    IncidentMessages,
    IncidentOut,
    IncidentPage,
)
from maild_client.shapes.shared import MessageSummary, Severity
from maild_client.transport import UNSET, Transport, Unset, path_segment


class IncidentsOperations(Transport):
    """Operations of the chapter Incidents."""

    def get_incident_bundle(
        self,
        *,
        workspace_id: int | None = None,
        message_id: str | None = None,
        incident_id: str | None = None,
        format: Literal["json", "zip"] | None = None,
    ) -> BundleOut | bytes:
        """Everything known about a message or an incident, as one file.

        GET /v1/incidents/bundle.
        """
        answer: BundleOut | bytes = self._either(
            "GET",
            "/v1/incidents/bundle",
            query={
                "workspace_id": workspace_id,
                "message_id": message_id,
                "incident_id": incident_id,
                "format": format,
            },
        )
        return answer

    def record_deployment(
        self,
        *,
        name: str,
        version: str,
        workspace_id: int | Unset | None = UNSET,
        url: str | Unset | None = UNSET,
    ) -> DeploymentOut:
        """Tell that a version of something was deployed just now.

        POST /v1/deployments.
        """
        answer: DeploymentOut = self._json(
            "POST",
            "/v1/deployments",
            body={
                "workspace_id": workspace_id,
                "name": name,
                "version": version,
                "url": url,
            },
        )
        return answer

    def list_incidents(
        self,
        *,
        workspace_id: int | None = None,
        status: Literal["unresolved", "open", "acknowledged", "resolved", "all"] | None = None,
        kind: Literal[
            "delivery",
            "provider",
            "unknown_outcomes",
            "silent_provider",
            "dead_letters",
            "conservation",
            "domain",
            "manual",
        ]
        | None = None,
        severity: Literal["minor", "major", "critical"] | None = None,
        smtp_account: str | None = None,
        assigned_to: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> IncidentPage:
        """The incidents of a workspace, newest first.

        GET /v1/incidents.
        """
        answer: IncidentPage = self._json(
            "GET",
            "/v1/incidents",
            query={
                "workspace_id": workspace_id,
                "status": status,
                "kind": kind,
                "severity": severity,
                "smtp_account": smtp_account,
                "assigned_to": assigned_to,
                "limit": limit,
                "cursor": cursor,
            },
        )
        return answer

    def iter_incidents(
        self,
        *,
        workspace_id: int | None = None,
        status: Literal["unresolved", "open", "acknowledged", "resolved", "all"] | None = None,
        kind: Literal[
            "delivery",
            "provider",
            "unknown_outcomes",
            "silent_provider",
            "dead_letters",
            "conservation",
            "domain",
            "manual",
        ]
        | None = None,
        severity: Literal["minor", "major", "critical"] | None = None,
        smtp_account: str | None = None,
        assigned_to: str | None = None,
        limit: int | None = None,
    ) -> Iterator[IncidentOut]:
        """All rows of `list_incidents`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_incidents(
                workspace_id=workspace_id,
                status=status,
                kind=kind,
                severity=severity,
                smtp_account=smtp_account,
                assigned_to=assigned_to,
                limit=limit,
                cursor=cursor,
            )
            yield from page["incidents"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def open_incident(
        self,
        *,
        message_id: str,
        workspace_id: int | Unset | None = UNSET,
        title: str | Unset | None = UNSET,
        note: str | Unset | None = UNSET,
    ) -> IncidentOut:
        """Open an incident of one message by hand.

        POST /v1/incidents.
        """
        answer: IncidentOut = self._json(
            "POST",
            "/v1/incidents",
            body={
                "workspace_id": workspace_id,
                "message_id": message_id,
                "title": title,
                "note": note,
            },
        )
        return answer

    def get_incident(
        self,
        incident_id: int,
        *,
        workspace_id: int | None = None,
    ) -> IncidentDetail:
        """One incident, with its signals, replies, advice and timeline.

        GET /v1/incidents/{incident_id}.
        """
        answer: IncidentDetail = self._json(
            "GET",
            f"/v1/incidents/{path_segment(incident_id)}",
            query={
                "workspace_id": workspace_id,
            },
        )
        return answer

    def list_incident_messages(
        self,
        incident_id: int,
        *,
        workspace_id: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> IncidentMessages:
        """The messages of an incident, newest first.

        GET /v1/incidents/{incident_id}/messages.
        """
        answer: IncidentMessages = self._json(
            "GET",
            f"/v1/incidents/{path_segment(incident_id)}/messages",
            query={
                "workspace_id": workspace_id,
                "limit": limit,
                "cursor": cursor,
            },
        )
        return answer

    def iter_incident_messages(
        self,
        incident_id: int,
        *,
        workspace_id: int | None = None,
        limit: int | None = None,
    ) -> Iterator[MessageSummary]:
        """All rows of `list_incident_messages`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_incident_messages(
                incident_id=incident_id,
                workspace_id=workspace_id,
                limit=limit,
                cursor=cursor,
            )
            yield from page["messages"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def acknowledge_incident(
        self,
        incident_id: int,
        *,
        workspace_id: int | Unset | None = UNSET,
        version: int | Unset | None = UNSET,
    ) -> IncidentOut:
        """Say that somebody looks after it.

        POST /v1/incidents/{incident_id}/acknowledge.
        """
        answer: IncidentOut = self._json(
            "POST",
            f"/v1/incidents/{path_segment(incident_id)}/acknowledge",
            body={
                "workspace_id": workspace_id,
                "version": version,
            },
        )
        return answer

    def assign_incident(
        self,
        incident_id: int,
        *,
        to: str | None,
        workspace_id: int | Unset | None = UNSET,
        version: int | Unset | None = UNSET,
    ) -> IncidentOut:
        """Give it to a member, or to nobody.

        POST /v1/incidents/{incident_id}/assign.
        """
        answer: IncidentOut = self._json(
            "POST",
            f"/v1/incidents/{path_segment(incident_id)}/assign",
            body={
                "workspace_id": workspace_id,
                "to": to,
                "version": version,
            },
        )
        return answer

    def add_incident_note(
        self,
        incident_id: int,
        *,
        text: str,
        workspace_id: int | Unset | None = UNSET,
        version: int | Unset | None = UNSET,
    ) -> IncidentOut:
        """Write something down.

        POST /v1/incidents/{incident_id}/note.
        """
        answer: IncidentOut = self._json(
            "POST",
            f"/v1/incidents/{path_segment(incident_id)}/note",
            body={
                "workspace_id": workspace_id,
                "text": text,
                "version": version,
            },
        )
        return answer

    def set_incident_severity(
        self,
        incident_id: int,
        *,
        severity: Severity,
        workspace_id: int | Unset | None = UNSET,
        version: int | Unset | None = UNSET,
    ) -> IncidentOut:
        """Say how bad it is.

        POST /v1/incidents/{incident_id}/severity.
        """
        answer: IncidentOut = self._json(
            "POST",
            f"/v1/incidents/{path_segment(incident_id)}/severity",
            body={
                "workspace_id": workspace_id,
                "severity": severity,
                "version": version,
            },
        )
        return answer

    def resolve_incident(
        self,
        incident_id: int,
        *,
        cause: str,
        workspace_id: int | Unset | None = UNSET,
        version: int | Unset | None = UNSET,
    ) -> IncidentOut:
        """Say that it is over, and what it was.

        POST /v1/incidents/{incident_id}/resolve.
        """
        answer: IncidentOut = self._json(
            "POST",
            f"/v1/incidents/{path_segment(incident_id)}/resolve",
            body={
                "workspace_id": workspace_id,
                "cause": cause,
                "version": version,
            },
        )
        return answer

    def reopen_incident(
        self,
        incident_id: int,
        *,
        reason: str,
        workspace_id: int | Unset | None = UNSET,
        version: int | Unset | None = UNSET,
    ) -> IncidentOut:
        """Say that it is not over after all.

        POST /v1/incidents/{incident_id}/reopen.
        """
        answer: IncidentOut = self._json(
            "POST",
            f"/v1/incidents/{path_segment(incident_id)}/reopen",
            body={
                "workspace_id": workspace_id,
                "reason": reason,
                "version": version,
            },
        )
        return answer

    def merge_incident(
        self,
        incident_id: int,
        *,
        into_id: int,
        workspace_id: int | Unset | None = UNSET,
        version: int | Unset | None = UNSET,
    ) -> IncidentOut:
        """Make it part of another one, which is the answer.

        POST /v1/incidents/{incident_id}/merge.
        """
        answer: IncidentOut = self._json(
            "POST",
            f"/v1/incidents/{path_segment(incident_id)}/merge",
            body={
                "workspace_id": workspace_id,
                "into_id": into_id,
                "version": version,
            },
        )
        return answer
