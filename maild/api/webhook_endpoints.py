"""/v1/webhooks/endpoints: where providers report to. A secret goes in and never comes out."""

from typing import Any

from maild.api import schemas
from maild.api.auth import ADMINS, READERS, Caller
from maild.api.endpoint import endpoint
from maild.errors import Conflict
from maild.models import WebhookEndpoint, WebhookSecret
from maild.services import webhook_endpoints, webhook_secrets
from maild.services.webhook_endpoints import Counts
from maild.services.webhook_secrets import Kind


@endpoint(
    "POST",
    "/v1/webhooks/endpoints",
    summary="Add an endpoint that a provider reports to; the answer says what to do there",
    allow=ADMINS,
    body=schemas.WebhookEndpointIn,
    answer=schemas.WebhookEndpointAdded,
    status=201,
    raises=(Conflict,),
)
def add_webhook_endpoint(
    caller: Caller, body: schemas.WebhookEndpointIn
) -> schemas.WebhookEndpointAdded:
    """`setup` says step by step what to do at the provider. Secrets are kept encrypted and come
    back in no answer.
    """
    row = webhook_endpoints.add(
        caller.workspace_id(body.workspace_id),
        provider=body.provider,
        smtp_account=body.smtp_account,
        topic_arn=body.topic_arn,
        signing_secret=body.signing_secret,
        basic_auth=(body.basic_auth.username, body.basic_auth.password)
        if body.basic_auth
        else None,
        by=caller.actor,
    )
    valid = webhook_secrets.find_valid([row])[row.id]
    return schemas.WebhookEndpointAdded(
        **_fields(row, valid, caller), setup=webhook_endpoints.setup_of(row, valid)
    )


@endpoint(
    "GET",
    "/v1/webhooks/endpoints",
    summary="The webhook endpoints of a workspace, and how they do",
    allow=READERS,
    query=schemas.WorkspaceQuery,
    answer=schemas.WebhookEndpointList,
)
def list_webhook_endpoints(
    caller: Caller, query: schemas.WorkspaceQuery
) -> schemas.WebhookEndpointList:
    """With what each received and refused in the last 24 hours. `url` is told to admins only."""
    workspace_id = caller.workspace_id(query.workspace_id)
    rows = webhook_endpoints.list_all(workspace_id)
    valid = webhook_secrets.find_valid(rows)
    counts = webhook_endpoints.counts_of(rows)
    return schemas.WebhookEndpointList(
        workspace_id=workspace_id,
        count=len(rows),
        endpoints=[_report(row, valid[row.id], counts[row.id], caller) for row in rows],
    )


@endpoint(
    "DELETE",
    "/v1/webhooks/endpoints",
    summary="Delete a webhook endpoint: from the next request on its address is not found",
    allow=ADMINS,
    body=schemas.WebhookEndpointId,
    answer=schemas.WebhookEndpointDeleted,
)
def delete_webhook_endpoint(
    caller: Caller, body: schemas.WebhookEndpointId
) -> schemas.WebhookEndpointDeleted:
    """What it has received stays."""
    workspace_id = caller.workspace_id(body.workspace_id)
    webhook_endpoints.delete(workspace_id, body.id, by=caller.actor)
    return schemas.WebhookEndpointDeleted(workspace_id=workspace_id, id=body.id)


@endpoint(
    "POST",
    "/v1/webhooks/endpoints/secrets",
    summary="Save a secret of a webhook endpoint; the one before it stays valid for a time",
    allow=ADMINS,
    body=schemas.WebhookSecretIn,
    answer=schemas.WebhookSecretAdded,
    status=201,
)
def add_webhook_secret(caller: Caller, body: schemas.WebhookSecretIn) -> schemas.WebhookSecretAdded:
    """For rotating secrets without losing a report: the old one stays valid for
    `old_valid_seconds`.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    secret = webhook_secrets.add(
        workspace_id,
        body.id,
        kind=body.kind,
        value=body.value,
        old_valid_seconds=body.old_valid_seconds,
        by=caller.actor,
    )
    return schemas.WebhookSecretAdded(
        **_look_up(workspace_id, body.id, caller), secret_id=secret.id
    )


@endpoint(
    "DELETE",
    "/v1/webhooks/endpoints/secrets",
    summary="Remove a secret of a webhook endpoint: from the next request on it is not valid",
    allow=ADMINS,
    body=schemas.WebhookSecretRemoval,
    answer=schemas.WebhookSecretRemoved,
)
def remove_webhook_secret(
    caller: Caller, body: schemas.WebhookSecretRemoval
) -> schemas.WebhookSecretRemoved:
    """Reports that are signed with it are refused from then on."""
    workspace_id = caller.workspace_id(body.workspace_id)
    webhook_secrets.remove(workspace_id, body.id, secret_id=body.secret_id, by=caller.actor)
    return schemas.WebhookSecretRemoved(
        **_look_up(workspace_id, body.id, caller), secret_id=body.secret_id
    )


def _look_up(workspace_id: int, endpoint_id: int, caller: Caller) -> dict[str, Any]:
    row = webhook_endpoints.get(workspace_id, endpoint_id)
    return _fields(row, webhook_secrets.find_valid([row])[row.id], caller)


def _report(
    row: WebhookEndpoint, valid: list[WebhookSecret], counts: Counts, caller: Caller
) -> schemas.WebhookEndpointReport:
    fields = _fields(row, valid, caller)
    return schemas.WebhookEndpointReport(
        **fields,
        # The steps hold the address: whoever is not told that is not told them.
        setup=None if fields["url"] is None else webhook_endpoints.setup_of(row, valid),
        received_last_24_hours=counts.received,
        refused_last_24_hours=counts.refused,
        last_event_at=row.last_event_at,
        last_refused_at=row.last_refused_at,
        last_refusal=row.last_refusal,
        silent_since=row.silent_since,
        refusing_since=row.refusing_since,
    )


def _fields(row: WebhookEndpoint, valid: list[WebhookSecret], caller: Caller) -> dict[str, Any]:
    return {
        "id": row.id,
        "workspace_id": row.workspace_id,
        "provider": row.provider,
        "title": webhook_endpoints.title_of(row.provider),
        "smtp_account": row.smtp_account_name,
        "topic_arn": row.topic_arn,
        "url": webhook_endpoints.find_url(row) if caller.role in ADMINS else None,
        "state": webhook_endpoints.state_of(row, valid),
        "secrets": [
            schemas.WebhookSecretOut(
                id=secret.id,
                kind=Kind(secret.kind),
                created_at=secret.created_at,
                expires_at=secret.expires_at,
            )
            for secret in valid
        ],
        "created_at": row.created_at,
        "created_by": row.created_by,
    }
