"""POST /v1/api-keys/limit: another limit of requests for a key that is there."""

import pytest

from maild.models import ApiKey, AuditEntry
from maild.services.api_keys import REQUESTS_MAX
from tests.conftest import WORKSPACE_A, WORKSPACE_B

PATH = "/v1/api-keys/limit"
LOGS = "/v1/messages/logs"


@pytest.fixture
def key_id(sender_key_a):
    return ApiKey.get(ApiKey.prefix == sender_key_a[:11]).id


def limit(api, key_id, requests_per_minute, *, key="admin", **fields):
    body = {"id": key_id, "requests_per_minute": requests_per_minute, **fields}
    return api("POST", PATH, key=key, json=body)


def entries():
    return list(AuditEntry.select().where(AuditEntry.action == "api_key.limited"))


def test_it_holds_from_the_next_request_on(api, sender_key_a, key_id, admin_a):
    answer = limit(api, key_id, 2, key=admin_a, reason="it polls")
    assert answer.status_code == 200
    assert (answer.json["id"], answer.json["requests_per_minute"]) == (key_id, 2)
    assert [api.submit(key=sender_key_a).status_code for _ in range(3)] == [201, 201, 429]
    assert limit(api, key_id, None, key=admin_a).json["requests_per_minute"] is None
    assert api.submit(key=sender_key_a).headers["RateLimit-Policy"] == '"key";q=6000;w=60'


def test_it_is_audited_where_it_changes_something(api, key_id, admin_a):
    for _ in range(2):
        assert limit(api, key_id, 60, key=admin_a, reason="it polls").status_code == 200
    [entry] = entries()
    assert entry.before == {"id": key_id, "requests_per_minute": None}
    assert entry.after == {"id": key_id, "requests_per_minute": 60}
    assert (entry.workspace_id, entry.reason) == (WORKSPACE_A, "it polls")


def test_more_than_the_instance_allows_is_the_instances_to_give(
    api, refused, key_id, admin_a, use_settings
):
    use_settings(api_requests_per_minute=100)
    for wrong in (101, 0):
        response = limit(api, key_id, wrong, key=admin_a)
        document = refused(response, 422, "invalid_fields", "requests_per_minute")
        assert "1 to 100" in document["detail"]
        assert limit(api, key_id, wrong).json["requests_per_minute"] == wrong


def test_it_does_not_find_another_workspaces_key(api, refused, key_id, admin_b):
    foreign = refused(limit(api, key_id, 1, key=admin_b), 404, "not_found")
    absent = refused(limit(api, key_id + 10_000, 1, key=admin_b), 404, "not_found")
    assert foreign["detail"] == absent["detail"]
    refused(limit(api, key_id, 1, workspace_id=WORKSPACE_B), 404, "not_found")
    assert ApiKey.get_by_id(key_id).requests_per_minute is None
    assert entries() == []


def test_a_revoked_key_has_none(api, refused, key_id):
    api("DELETE", "/v1/api-keys", json={"id": key_id})
    refused(limit(api, key_id, 1), 409, "conflict")
    assert entries() == []


@pytest.mark.parametrize("value", ["60", -1, REQUESTS_MAX + 1, True, 1.5])
def test_it_refuses_what_is_no_limit(api, refused, key_id, value):
    refused(limit(api, key_id, value), 422, "invalid_fields", "requests_per_minute")


def test_it_must_be_named(api, refused, key_id):
    response = api("POST", PATH, json={"id": key_id})
    refused(response, 422, "invalid_fields", "requests_per_minute")
