"""Shapes: API keys. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict


class ApiKeyCreated(TypedDict):
    id: int
    workspace_id: int
    name: str
    prefix: str
    role: str
    state: ApiKeyState
    allowed_networks: list[str] | None
    requests_per_minute: int | None
    expires_at: str | None
    last_used_at: str | None
    created_at: str
    created_by: str
    revoked_at: str | None
    revoked_by: str | None
    key: str


class ApiKeyOut(TypedDict):
    id: int
    workspace_id: int
    name: str
    prefix: str
    role: str
    state: ApiKeyState
    allowed_networks: list[str] | None
    requests_per_minute: int | None
    expires_at: str | None
    last_used_at: str | None
    created_at: str
    created_by: str
    revoked_at: str | None
    revoked_by: str | None


class ApiKeyPage(TypedDict):
    workspace_id: int
    count: int
    api_keys: list[ApiKeyOut]
    next_cursor: str | None


class ApiKeyRevoked(TypedDict):
    id: int
    workspace_id: int
    name: str
    prefix: str
    role: str
    state: ApiKeyState
    allowed_networks: list[str] | None
    requests_per_minute: int | None
    expires_at: str | None
    last_used_at: str | None
    created_at: str
    created_by: str
    revoked_at: str | None
    revoked_by: str | None
    status: Literal["revoked", "already_revoked"]


ApiKeyState: TypeAlias = Literal["active", "expired", "revoked"]
