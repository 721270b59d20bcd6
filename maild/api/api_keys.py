"""/v1/api-keys: the keys of a workspace. A key is told once, when it is made."""

from typing import Any

from maild.api import schemas
from maild.api.auth import ADMINS, Caller
from maild.api.endpoint import endpoint
from maild.api.query import parse_serial_cursor
from maild.domain import serial_cursor
from maild.errors import Conflict
from maild.models import ApiKey
from maild.services import api_keys
from maild.services.api_keys import NewApiKey


@endpoint(
    "POST",
    "/v1/api-keys",
    summary="Make an API key; the answer is the only one that holds it",
    allow=ADMINS,
    body=schemas.ApiKeyIn,
    answer=schemas.ApiKeyCreated,
    status=201,
)
def create_api_key(caller: Caller, body: schemas.ApiKeyIn) -> schemas.ApiKeyCreated:
    """The answer holds the key this once; maild keeps only its hash. A key of the role sender may
    submit and read its own messages, and nothing else.
    """
    row, key = api_keys.create(
        caller.workspace_id(body.workspace_id),
        NewApiKey(
            name=body.name,
            role=body.role,
            expires_at=body.expires_at,
            allowed_networks=body.allowed_networks,
            requests_per_minute=body.requests_per_minute,
        ),
        by=caller.actor,
        is_by_instance=caller.key_id is None,
    )
    return schemas.ApiKeyCreated(**_fields(row), key=key)


@endpoint(
    "GET",
    "/v1/api-keys",
    summary="The API keys of a workspace, newest first, also those that do not work any more",
    allow=ADMINS,
    query=schemas.ApiKeyQuery,
    answer=schemas.ApiKeyPage,
)
def list_api_keys(caller: Caller, query: schemas.ApiKeyQuery) -> schemas.ApiKeyPage:
    """Of a key its visible beginning is told, never the key."""
    workspace_id = caller.workspace_id(query.workspace_id)
    page = api_keys.list_page(
        workspace_id, limit=query.limit, older_than=parse_serial_cursor(query.cursor)
    )
    return schemas.ApiKeyPage(
        workspace_id=workspace_id,
        count=len(page.keys),
        api_keys=[schemas.ApiKeyOut(**_fields(row)) for row in page.keys],
        next_cursor=None if page.older is None else serial_cursor.write(page.older),
    )


@endpoint(
    "POST",
    "/v1/api-keys/limit",
    summary="Change how many requests a minute an API key may make",
    allow=ADMINS,
    body=schemas.ApiKeyLimit,
    answer=schemas.ApiKeyOut,
    raises=(Conflict,),
)
def limit_api_key(caller: Caller, body: schemas.ApiKeyLimit) -> schemas.ApiKeyOut:
    """It holds from the next request on, and what the key has used of this minute counts. A key
    that is revoked is a conflict.
    """
    row = api_keys.limit(
        caller.workspace_id(body.workspace_id),
        key_id=body.id,
        requests_per_minute=body.requests_per_minute,
        reason=body.reason,
        by=caller.actor,
        is_by_instance=caller.key_id is None,
    )
    return schemas.ApiKeyOut(**_fields(row))


@endpoint(
    "DELETE",
    "/v1/api-keys",
    summary="Revoke an API key: from the next request on it does not work",
    allow=ADMINS,
    body=schemas.ApiKeyRevoke,
    answer=schemas.ApiKeyRevoked,
)
def revoke_api_key(caller: Caller, body: schemas.ApiKeyRevoke) -> schemas.ApiKeyRevoked:
    """It cannot be taken back. A key that was revoked before has the status `already_revoked`."""
    row, was_in_use = api_keys.revoke(
        caller.workspace_id(body.workspace_id),
        key_id=body.id,
        reason=body.reason,
        by=caller.actor,
    )
    return schemas.ApiKeyRevoked(
        **_fields(row), status="revoked" if was_in_use else "already_revoked"
    )


def _fields(row: ApiKey) -> dict[str, Any]:
    return {
        "id": row.id,
        "workspace_id": row.workspace_id,
        "name": row.name,
        "prefix": row.prefix,
        "role": row.role,
        "state": api_keys.state_of(row),
        "allowed_networks": row.allowed_networks,
        "requests_per_minute": row.requests_per_minute,
        "expires_at": row.expires_at,
        "last_used_at": row.last_used_at,
        "created_at": row.created_at,
        "created_by": row.created_by,
        "revoked_at": row.revoked_at,
        "revoked_by": row.revoked_by,
    }
