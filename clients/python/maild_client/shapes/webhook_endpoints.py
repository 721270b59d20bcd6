"""Shapes: Webhook endpoints. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict


class BasicAuthIn(TypedDict):
    username: str
    password: str


Kind: TypeAlias = Literal["signing", "basic_auth"]


class WebhookEndpointAdded(TypedDict):
    id: int
    workspace_id: int
    provider: str
    title: str
    smtp_account: str
    topic_arn: str | None
    url: str | None
    state: WebhookEndpointState
    secrets: list[WebhookSecretOut]
    created_at: str
    created_by: str
    setup: list[str]


class WebhookEndpointDeleted(TypedDict):
    workspace_id: int
    id: int
    status: Literal["deleted"]


class WebhookEndpointList(TypedDict):
    workspace_id: int
    count: int
    endpoints: list[WebhookEndpointReport]


class WebhookEndpointReport(TypedDict):
    id: int
    workspace_id: int
    provider: str
    title: str
    smtp_account: str
    topic_arn: str | None
    url: str | None
    state: WebhookEndpointState
    secrets: list[WebhookSecretOut]
    created_at: str
    created_by: str
    setup: list[str] | None
    received_last_24_hours: int
    refused_last_24_hours: int
    last_event_at: str | None
    last_refused_at: str | None
    last_refusal: str | None
    silent_since: str | None
    refusing_since: str | None


WebhookEndpointState: TypeAlias = Literal[
    "needs_secret", "refusing", "silent", "receiving", "waiting"
]


class WebhookSecretAdded(TypedDict):
    id: int
    workspace_id: int
    provider: str
    title: str
    smtp_account: str
    topic_arn: str | None
    url: str | None
    state: WebhookEndpointState
    secrets: list[WebhookSecretOut]
    created_at: str
    created_by: str
    secret_id: int
    status: Literal["saved_encrypted"]


class WebhookSecretOut(TypedDict):
    """That there is a secret which is valid now. The secret itself is in no answer."""

    id: int
    kind: Kind
    created_at: str
    expires_at: str | None


class WebhookSecretRemoved(TypedDict):
    id: int
    workspace_id: int
    provider: str
    title: str
    smtp_account: str
    topic_arn: str | None
    url: str | None
    state: WebhookEndpointState
    secrets: list[WebhookSecretOut]
    created_at: str
    created_by: str
    secret_id: int
    status: Literal["removed"]
