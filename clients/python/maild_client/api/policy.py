"""Policy. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from collections.abc import Iterator

from maild_client.shapes.policy import (
    OnLimit,
    PolicyChanges,
    PolicyOut,
    PolicyPreviewOut,
    PolicySaved,
    PolicyVersionOut,
    PolicyVersionPage,
    StreamChanges,
    Window,
)
from maild_client.transport import UNSET, Transport, Unset


class PolicyOperations(Transport):
    """Operations of the chapter Policy."""

    def get_policy(
        self,
        *,
        workspace_id: int | None = None,
        version: int | None = None,
    ) -> PolicyOut:
        """The policy in force, or an earlier version.

        GET /v1/workspaces/policy.
        """
        answer: PolicyOut = self._json(
            "GET",
            "/v1/workspaces/policy",
            query={
                "workspace_id": workspace_id,
                "version": version,
            },
        )
        return answer

    def save_policy(
        self,
        *,
        rate_limit_workspace_per_hour: int | Unset | None = UNSET,
        rate_limit_domain_per_hour: int | Unset | None = UNSET,
        on_limit: OnLimit | Unset | None = UNSET,
        blocked_recipient_domains: list[str] | Unset | None = UNSET,
        allowed_from_domains: list[str] | Unset | None = UNSET,
        transactional: StreamChanges | Unset | None = UNSET,
        marketing: StreamChanges | Unset | None = UNSET,
        soft_bounce_threshold: int | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
        version: int | Unset | None = UNSET,
        reason: str | Unset | None = UNSET,
    ) -> PolicySaved:
        """Change the policy: a new version, in force at once.

        POST /v1/workspaces/policy.
        """
        answer: PolicySaved = self._json(
            "POST",
            "/v1/workspaces/policy",
            body={
                "rate_limit_workspace_per_hour": rate_limit_workspace_per_hour,
                "rate_limit_domain_per_hour": rate_limit_domain_per_hour,
                "on_limit": on_limit,
                "blocked_recipient_domains": blocked_recipient_domains,
                "allowed_from_domains": allowed_from_domains,
                "transactional": transactional,
                "marketing": marketing,
                "soft_bounce_threshold": soft_bounce_threshold,
                "workspace_id": workspace_id,
                "version": version,
                "reason": reason,
            },
        )
        return answer

    def list_policy_versions(
        self,
        *,
        workspace_id: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> PolicyVersionPage:
        """The versions of the policy, newest first, and what each changed.

        GET /v1/workspaces/policy/versions.
        """
        answer: PolicyVersionPage = self._json(
            "GET",
            "/v1/workspaces/policy/versions",
            query={
                "workspace_id": workspace_id,
                "limit": limit,
                "cursor": cursor,
            },
        )
        return answer

    def iter_policy_versions(
        self,
        *,
        workspace_id: int | None = None,
        limit: int | None = None,
    ) -> Iterator[PolicyVersionOut]:
        """All rows of `list_policy_versions`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_policy_versions(
                workspace_id=workspace_id,
                limit=limit,
                cursor=cursor,
            )
            yield from page["versions"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def roll_back_policy(
        self,
        *,
        version: int,
        workspace_id: int | Unset | None = UNSET,
        reason: str | Unset | None = UNSET,
    ) -> PolicySaved:
        """Bring the rules of an earlier version back, as a new one.

        POST /v1/workspaces/policy/rollback.
        """
        answer: PolicySaved = self._json(
            "POST",
            "/v1/workspaces/policy/rollback",
            body={
                "workspace_id": workspace_id,
                "version": version,
                "reason": reason,
            },
        )
        return answer

    def preview_policy(
        self,
        *,
        policy: PolicyChanges,
        workspace_id: int | Unset | None = UNSET,
        window: Window | Unset = UNSET,
    ) -> PolicyPreviewOut:
        """Try changes of the policy on the messages of a day or a week; nothing is changed.

        POST /v1/workspaces/policy/preview.
        """
        answer: PolicyPreviewOut = self._json(
            "POST",
            "/v1/workspaces/policy/preview",
            body={
                "workspace_id": workspace_id,
                "policy": policy,
                "window": window,
            },
        )
        return answer
