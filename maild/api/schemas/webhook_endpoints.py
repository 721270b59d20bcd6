"""Webhook endpoints: where providers report to. Secrets go in, and come out nowhere."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field, StrictInt

from maild.api.schemas.base import Input, SearchText, WorkspaceId
from maild.models.smtp_account import DEFAULT_ACCOUNT
from maild.services import webhook_endpoints, webhook_secrets
from maild.services.webhook_endpoints import State
from maild.services.webhook_secrets import Kind


class BasicAuthIn(Input):
    username: str = Field(description="Without a colon.")
    password: str = Field(description="Kept encrypted; never comes back.")


class WebhookEndpointIn(Input):
    provider: str = Field(
        description="Who reports; `dsn` is for bounce mails.",
        json_schema_extra={"enum": webhook_endpoints.provider_words()},  # type: ignore[dict-item]
    )
    smtp_account: SearchText = Field(
        DEFAULT_ACCOUNT,
        description="Whose mail it reports on; `default` is the account of the environment.",
    )
    topic_arn: str | None = Field(None, description="Amazon SES: the one SNS topic that it hears.")
    signing_secret: str | None = Field(None, description="Kept encrypted; never comes back.")
    basic_auth: BasicAuthIn | None = Field(
        None, description="What the provider must sign in with; kept encrypted, never comes back."
    )
    workspace_id: WorkspaceId | None = None


class WebhookSecretOut(BaseModel):
    """That there is a secret which is valid now. The secret itself is in no answer."""

    id: int
    kind: Kind
    created_at: datetime
    expires_at: datetime | None = Field(
        description="When it ends, after another took its place; null: not yet known."
    )


class WebhookEndpointOut(BaseModel):
    id: int
    workspace_id: int
    provider: str
    title: str = Field(description="The provider's name as people write it.")
    smtp_account: str
    topic_arn: str | None
    url: str | None = Field(
        description="Where the provider reports to: whoever has it may report. Null for callers who"
        " are no admins, and where no key of the instance opens it."
    )
    state: State
    secrets: list[WebhookSecretOut] = Field(description="Those that are valid now, newest first.")
    created_at: datetime
    created_by: str


class WebhookEndpointAdded(WebhookEndpointOut):
    setup: list[str] = Field(description="What to do at the provider now, in order.")


class WebhookEndpointReport(WebhookEndpointOut):
    setup: list[str] | None = Field(
        description="What to do at the provider, in order. Null where `url` is."
    )
    received_last_24_hours: int = Field(description="Requests that were taken.")
    refused_last_24_hours: int = Field(description="Requests whose signature did not hold.")
    last_event_at: datetime | None
    last_refused_at: datetime | None
    last_refusal: str | None = Field(description="Why the last one that was refused was.")
    silent_since: datetime | None = Field(
        description="Since when mail goes out and nothing is reported."
    )
    refusing_since: datetime | None = Field(description="Since when signatures keep failing.")


class WebhookEndpointList(BaseModel):
    workspace_id: int
    count: int
    endpoints: list[WebhookEndpointReport] = Field(description="The oldest first.")


class WebhookEndpointId(Input):
    id: StrictInt = Field(ge=1, le=2**31 - 1, description="The endpoint's.")
    workspace_id: WorkspaceId | None = None


class WebhookEndpointDeleted(BaseModel):
    workspace_id: int
    id: int
    status: Literal["deleted"] = "deleted"


class WebhookSecretIn(WebhookEndpointId):
    kind: str = Field(
        description="`signing`: what signatures are checked with; `basic_auth`: `user:password`.",
        json_schema_extra={"enum": [kind.value for kind in Kind]},
    )
    value: str = Field(description="Kept encrypted; never comes back.")
    old_valid_seconds: StrictInt = Field(
        webhook_secrets.OLD_VALID_SECONDS,
        ge=0,
        le=webhook_secrets.OLD_VALID_SECONDS_MAX,
        description="How long the one of its kind before goes on being valid; 0: it ends at once.",
    )


class WebhookSecretAdded(WebhookEndpointOut):
    secret_id: int = Field(description="The id of the secret that was saved.")
    status: Literal["saved_encrypted"] = "saved_encrypted"


class WebhookSecretRemoval(WebhookEndpointId):
    secret_id: StrictInt = Field(ge=1, le=2**31 - 1, description="The secret's.")


class WebhookSecretRemoved(WebhookEndpointOut):
    secret_id: int
    status: Literal["removed"] = "removed"
