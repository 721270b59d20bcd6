"""Webhook endpoints. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Literal

from maild_client.shapes.webhook_endpoints import (
    BasicAuthIn,
    WebhookEndpointAdded,
    WebhookEndpointDeleted,
    WebhookEndpointList,
    WebhookSecretAdded,
    WebhookSecretRemoved,
)
from maild_client.transport import UNSET, Transport, Unset


class WebhookEndpointsOperations(Transport):
    """Operations of the chapter Webhook endpoints."""

    def add_webhook_endpoint(
        self,
        *,
        provider: Literal[
            "brevo",
            "maild",
            "mailersend",
            "mailgun",
            "mailjet",
            "mailtrap",
            "mandrill",
            "postal",
            "postmark",
            "resend",
            "sendgrid",
            "ses",
            "sparkpost",
            "unisender_go",
            "dsn",
        ],
        smtp_account: str | Unset = UNSET,
        topic_arn: str | Unset | None = UNSET,
        signing_secret: str | Unset | None = UNSET,
        basic_auth: BasicAuthIn | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> WebhookEndpointAdded:
        """Add an endpoint that a provider reports to; the answer says what to do there.

        POST /v1/webhooks/endpoints.
        """
        answer: WebhookEndpointAdded = self._json(
            "POST",
            "/v1/webhooks/endpoints",
            body={
                "provider": provider,
                "smtp_account": smtp_account,
                "topic_arn": topic_arn,
                "signing_secret": signing_secret,
                "basic_auth": basic_auth,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def list_webhook_endpoints(
        self,
        *,
        workspace_id: int | None = None,
    ) -> WebhookEndpointList:
        """The webhook endpoints of a workspace, and how they do.

        GET /v1/webhooks/endpoints.
        """
        answer: WebhookEndpointList = self._json(
            "GET",
            "/v1/webhooks/endpoints",
            query={
                "workspace_id": workspace_id,
            },
        )
        return answer

    def delete_webhook_endpoint(
        self,
        *,
        id: int,
        workspace_id: int | Unset | None = UNSET,
    ) -> WebhookEndpointDeleted:
        """Delete a webhook endpoint: from the next request on its address is not found.

        DELETE /v1/webhooks/endpoints.
        """
        answer: WebhookEndpointDeleted = self._json(
            "DELETE",
            "/v1/webhooks/endpoints",
            body={
                "id": id,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def add_webhook_secret(
        self,
        *,
        id: int,
        kind: Literal["signing", "basic_auth"],
        value: str,
        workspace_id: int | Unset | None = UNSET,
        old_valid_seconds: int | Unset = UNSET,
    ) -> WebhookSecretAdded:
        """Save a secret of a webhook endpoint; the one before it stays valid for a time.

        POST /v1/webhooks/endpoints/secrets.
        """
        answer: WebhookSecretAdded = self._json(
            "POST",
            "/v1/webhooks/endpoints/secrets",
            body={
                "id": id,
                "workspace_id": workspace_id,
                "kind": kind,
                "value": value,
                "old_valid_seconds": old_valid_seconds,
            },
        )
        return answer

    def remove_webhook_secret(
        self,
        *,
        id: int,
        secret_id: int,
        workspace_id: int | Unset | None = UNSET,
    ) -> WebhookSecretRemoved:
        """Remove a secret of a webhook endpoint: from the next request on it is not valid.

        DELETE /v1/webhooks/endpoints/secrets.
        """
        answer: WebhookSecretRemoved = self._json(
            "DELETE",
            "/v1/webhooks/endpoints/secrets",
            body={
                "id": id,
                "workspace_id": workspace_id,
                "secret_id": secret_id,
            },
        )
        return answer
