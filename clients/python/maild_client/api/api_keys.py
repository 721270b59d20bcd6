"""API keys. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Literal

from maild_client.shapes.api_keys import ApiKeyCreated, ApiKeyOut, ApiKeyPage, ApiKeyRevoked
from maild_client.transport import UNSET, Transport, Unset


class ApiKeysOperations(Transport):
    """Operations of the chapter API keys."""

    def create_api_key(
        self,
        *,
        name: str,
        role: Literal["sender", "viewer", "operator", "admin"],
        expires_at: str | dt.datetime | Unset | None = UNSET,
        allowed_networks: list[str] | Unset | None = UNSET,
        requests_per_minute: int | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> ApiKeyCreated:
        """Make an API key; the answer is the only one that holds it.

        POST /v1/api-keys.
        """
        answer: ApiKeyCreated = self._json(
            "POST",
            "/v1/api-keys",
            body={
                "name": name,
                "role": role,
                "expires_at": expires_at,
                "allowed_networks": allowed_networks,
                "requests_per_minute": requests_per_minute,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def list_api_keys(
        self,
        *,
        workspace_id: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> ApiKeyPage:
        """The API keys of a workspace, newest first, also those that do not work any more.

        GET /v1/api-keys.
        """
        answer: ApiKeyPage = self._json(
            "GET",
            "/v1/api-keys",
            query={
                "workspace_id": workspace_id,
                "limit": limit,
                "cursor": cursor,
            },
        )
        return answer

    def iter_api_keys(
        self,
        *,
        workspace_id: int | None = None,
        limit: int | None = None,
    ) -> Iterator[ApiKeyOut]:
        """All rows of `list_api_keys`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_api_keys(
                workspace_id=workspace_id,
                limit=limit,
                cursor=cursor,
            )
            yield from page["api_keys"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def revoke_api_key(
        self,
        *,
        id: int,
        reason: str | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> ApiKeyRevoked:
        """Revoke an API key: from the next request on it does not work.

        DELETE /v1/api-keys.
        """
        answer: ApiKeyRevoked = self._json(
            "DELETE",
            "/v1/api-keys",
            body={
                "id": id,
                "reason": reason,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def limit_api_key(
        self,
        *,
        id: int,
        requests_per_minute: int | None,
        reason: str | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> ApiKeyOut:
        """Change how many requests a minute an API key may make.

        POST /v1/api-keys/limit.
        """
        answer: ApiKeyOut = self._json(
            "POST",
            "/v1/api-keys/limit",
            body={
                "id": id,
                "reason": reason,
                "workspace_id": workspace_id,
                "requests_per_minute": requests_per_minute,
            },
        )
        return answer
