"""DELETE /v1/webhooks/endpoints: an address is one of nobody."""

import pytest

from maild.domain.actor import SYSTEM
from maild.models import AuditEntry, WebhookEndpoint
from maild.services import webhook_endpoints
from tests.conftest import WORKSPACE_A, WORKSPACE_B

PATH = "/v1/webhooks/endpoints"


@pytest.fixture
def made(database):
    return webhook_endpoints.add(
        WORKSPACE_A, provider="postmark", smtp_account="default", by=SYSTEM
    )


def delete(api, endpoint_id, *, key="admin", **fields):
    return api("DELETE", PATH, key=key, json={"id": endpoint_id, **fields})


def test_it_deletes(api, made):
    token = webhook_endpoints.url_of(made).rpartition("/")[2]
    response = delete(api, made.id)
    assert response.status_code == 200
    assert response.get_json() == {"workspace_id": 1, "id": made.id, "status": "deleted"}
    assert webhook_endpoints.find_by_token(token) is None
    assert AuditEntry.select().where(AuditEntry.action == "webhook_endpoint.deleted").count() == 1


def test_what_is_deleted_is_not_found(api, refused, made):
    delete(api, made.id)
    refused(delete(api, made.id), 404, "not_found")


def test_it_does_not_find_another_workspaces(api, refused, made, admin_b):
    foreign = refused(delete(api, made.id, key=admin_b), 404, "not_found")
    absent = refused(delete(api, made.id + 1000, key=admin_b), 404, "not_found")
    assert foreign["detail"] == absent["detail"]
    refused(delete(api, made.id, workspace_id=WORKSPACE_B), 404, "not_found")
    refused(delete(api, made.id, key=admin_b, workspace_id=WORKSPACE_A), 403, "forbidden")
    assert WebhookEndpoint.select().count() == 1


@pytest.mark.parametrize("role", ["operator_a", "viewer_a", "sender_key_a"])
def test_no_lower_role_deletes(api, refused, request, made, role):
    refused(delete(api, made.id, key=request.getfixturevalue(role)), 403, "forbidden")
    assert WebhookEndpoint.select().count() == 1


def test_nobody_deletes_nothing(api, refused, made):
    refused(delete(api, made.id, key=None), 401, "unauthenticated")
    assert WebhookEndpoint.select().count() == 1


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "id"),
        ({"id": "1"}, "id"),
        ({"id": 0}, "id"),
        ({"id": 2**31}, "id"),
        ({"id": True}, "id"),
        ({"id": 1, "url": "x"}, "url"),
    ],
)
def test_it_refuses_bad_fields(api, refused, body, named):
    refused(api("DELETE", PATH, json=body), 422, "invalid_fields", named)
