"""DELETE /v1/api-keys: a key is revoked, and its row stays."""

import pytest

from maild.models import ApiKey, AuditEntry
from tests.conftest import WORKSPACE_A, WORKSPACE_B

PATH = "/v1/api-keys"


@pytest.fixture
def key_id(sender_key_a):
    return ApiKey.get(ApiKey.prefix == sender_key_a[:11]).id


def revoke(api, key_id, *, key="admin", **fields):
    return api("DELETE", PATH, key=key, json={"id": key_id, **fields})


def test_it_revokes(api, refused, sender_key_a, key_id):
    response = revoke(api, key_id, reason="leaked")
    assert response.status_code == 200
    answer = response.get_json()
    assert (answer["status"], answer["state"], answer["id"]) == ("revoked", "revoked", key_id)
    assert answer["revoked_by"] == "admin key"
    refused(api.submit(key=sender_key_a), 401, "unauthenticated")
    assert ApiKey.select().where(ApiKey.id == key_id).exists()
    entry = AuditEntry.get(AuditEntry.action == "api_key.revoked")
    assert (entry.reason, entry.actor) == ("leaked", "admin key")


def test_it_says_so_where_it_was_revoked_already(api, key_id, admin_a):
    first = revoke(api, key_id).get_json()
    again = revoke(api, key_id, key=admin_a, reason="once more")
    assert again.status_code == 200
    assert again.get_json() == {**first, "status": "already_revoked"}
    assert AuditEntry.select().where(AuditEntry.action == "api_key.revoked").count() == 1


def test_it_revokes_an_expired_key_too(api, expired_a):
    answer = revoke(api, ApiKey.get().id).get_json()
    assert (answer["status"], answer["state"]) == ("revoked", "revoked")


def test_it_does_not_find_another_workspaces_key(api, refused, sender_key_a, key_id, admin_b):
    foreign = refused(revoke(api, key_id, key=admin_b), 404, "not_found")
    absent = refused(revoke(api, key_id + 10_000, key=admin_b), 404, "not_found")
    assert foreign["detail"] == absent["detail"]
    refused(revoke(api, key_id, workspace_id=WORKSPACE_B), 404, "not_found")
    refused(revoke(api, key_id, key=admin_b, workspace_id=WORKSPACE_A), 403, "forbidden")
    assert api.submit(key=sender_key_a).status_code == 201


@pytest.mark.parametrize("role", ["operator_a", "viewer_a", "sender_key_a"])
def test_no_lower_role_revokes(api, refused, request, sender_key_a, key_id, role):
    refused(revoke(api, key_id, key=request.getfixturevalue(role)), 403, "forbidden")
    assert api.submit(key=sender_key_a).status_code == 201


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "id"),
        ({"id": "1"}, "id"),
        ({"id": 0}, "id"),
        ({"id": 2**31}, "id"),
        ({"id": True}, "id"),
        ({"id": 1, "name": "x"}, "name"),
        ({"id": 1, "reason": ""}, "reason"),
        ({"id": 1, "reason": "a\nb"}, "reason"),
        ({"id": 1, "reason": "x" * 501}, "reason"),
    ],
)
def test_it_refuses_bad_fields(api, refused, body, named):
    refused(api("DELETE", PATH, json=body), 422, "invalid_fields", named)
