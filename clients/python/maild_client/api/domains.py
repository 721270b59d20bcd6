"""Domains. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from collections.abc import Iterator

from maild_client.shapes.domains import DomainOut, DomainPage, DomainRemoved, ReadinessOut
from maild_client.transport import UNSET, Transport, Unset


class DomainsOperations(Transport):
    """Operations of the chapter Domains."""

    def check_domain_readiness(
        self,
        *,
        domain: str,
        workspace_id: int | Unset | None = UNSET,
        dkim_selector: str | Unset | None = UNSET,
    ) -> ReadinessOut:
        """Check any domain now, without keeping it.

        POST /v1/domains/readiness.
        """
        answer: ReadinessOut = self._json(
            "POST",
            "/v1/domains/readiness",
            body={
                "workspace_id": workspace_id,
                "domain": domain,
                "dkim_selector": dkim_selector,
            },
        )
        return answer

    def list_domains(
        self,
        *,
        workspace_id: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> DomainPage:
        """The sending domains of a workspace, with what their last checks found.

        GET /v1/domains.
        """
        answer: DomainPage = self._json(
            "GET",
            "/v1/domains",
            query={
                "workspace_id": workspace_id,
                "limit": limit,
                "cursor": cursor,
            },
        )
        return answer

    def iter_domains(
        self,
        *,
        workspace_id: int | None = None,
        limit: int | None = None,
    ) -> Iterator[DomainOut]:
        """All rows of `list_domains`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_domains(
                workspace_id=workspace_id,
                limit=limit,
                cursor=cursor,
            )
            yield from page["domains"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def add_domain(
        self,
        *,
        domain: str,
        workspace_id: int | Unset | None = UNSET,
        dkim_selector: str | Unset | None = UNSET,
    ) -> DomainOut:
        """Have a sending domain looked after: checked daily, with an incident when it drifts.

        POST /v1/domains.
        """
        answer: DomainOut = self._json(
            "POST",
            "/v1/domains",
            body={
                "workspace_id": workspace_id,
                "domain": domain,
                "dkim_selector": dkim_selector,
            },
        )
        return answer

    def remove_domain(
        self,
        *,
        domain: str,
        workspace_id: int | Unset | None = UNSET,
    ) -> DomainRemoved:
        """Look after a sending domain no more.

        DELETE /v1/domains.
        """
        answer: DomainRemoved = self._json(
            "DELETE",
            "/v1/domains",
            body={
                "workspace_id": workspace_id,
                "domain": domain,
            },
        )
        return answer

    def check_domain(
        self,
        *,
        domain: str,
        workspace_id: int | Unset | None = UNSET,
    ) -> DomainOut:
        """Check one of the workspace's domains now, and keep what is found.

        POST /v1/domains/check.
        """
        answer: DomainOut = self._json(
            "POST",
            "/v1/domains/check",
            body={
                "workspace_id": workspace_id,
                "domain": domain,
            },
        )
        return answer
