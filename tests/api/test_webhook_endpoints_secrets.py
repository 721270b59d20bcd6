"""POST and DELETE /v1/webhooks/endpoints/secrets: one secret takes another's place."""

import pytest

from maild.domain.actor import SYSTEM
from maild.models import WebhookSecret
from maild.services import webhook_endpoints
from tests.conftest import WORKSPACE_A, WORKSPACE_B

PATH = "/v1/webhooks/endpoints/secrets"


@pytest.fixture
def made(database):
    return webhook_endpoints.add(WORKSPACE_A, provider="mailgun", smtp_account="default", by=SYSTEM)


def save(api, made, value="hunter2", *, key="admin", **fields):
    body = {"id": made.id, "kind": "signing", "value": value, **fields}
    return api("POST", PATH, key=key, json=body)


def remove(api, made, secret_id, *, key="admin", **fields):
    body = {"id": made.id, "secret_id": secret_id, **fields}
    return api("DELETE", PATH, key=key, json=body)


def signing(made):
    return webhook_endpoints.keys_of(made).signing


def test_it_saves_a_secret_and_does_not_tell_it(api, made):
    response = save(api, made)
    assert response.status_code == 201
    answer = response.get_json()
    row = WebhookSecret.get()
    assert (answer["status"], answer["secret_id"]) == ("saved_encrypted", row.id)
    assert (answer["id"], answer["state"]) == (made.id, "waiting")
    [secret] = answer["secrets"]
    assert (secret["id"], secret["kind"], secret["expires_at"]) == (row.id, "signing", None)
    assert signing(made) == ("hunter2",)
    for told in (response, api("GET", "/v1/webhooks/endpoints"), api("GET", "/v1/audit")):
        assert "hunter2" not in told.get_data(as_text=True)


def test_the_one_before_stays_valid_for_a_time(api, made):
    old = save(api, made, "old").get_json()["secret_id"]
    answer = save(api, made, "new", old_valid_seconds=600).get_json()
    assert [secret["id"] for secret in answer["secrets"]] == [answer["secret_id"], old]
    assert answer["secrets"][1]["expires_at"].endswith("Z")
    assert signing(made) == ("new", "old")
    answer = save(api, made, "third", old_valid_seconds=0).get_json()
    assert len(answer["secrets"]) == 1
    assert signing(made) == ("third",)


def test_it_saves_basic_authentication(api, made):
    answer = save(api, made, "maild:pass:word", kind="basic_auth").get_json()
    assert [secret["kind"] for secret in answer["secrets"]] == ["basic_auth"]
    assert webhook_endpoints.keys_of(made).basic_auth == ("maild:pass:word",)


def test_it_removes_a_secret(api, refused, made):
    secret_id = save(api, made).get_json()["secret_id"]
    response = remove(api, made, secret_id)
    assert response.status_code == 200
    answer = response.get_json()
    assert (answer["status"], answer["secret_id"]) == ("removed", secret_id)
    assert (answer["state"], answer["secrets"]) == ("needs_secret", [])
    assert signing(made) == ()
    refused(remove(api, made, secret_id), 404, "not_found")


def test_removing_the_newest_undoes_the_rotation(api, made):
    old = save(api, made, "old").get_json()["secret_id"]
    new = save(api, made, "new").get_json()["secret_id"]
    [left] = remove(api, made, new).get_json()["secrets"]
    assert (left["id"], left["expires_at"]) == (old, None)


def test_it_does_not_find_another_workspaces(api, refused, made, admin_b):
    secret_id = save(api, made).get_json()["secret_id"]
    refused(save(api, made, "theirs", key=admin_b), 404, "not_found")
    refused(save(api, made, "theirs", workspace_id=WORKSPACE_B), 404, "not_found")
    refused(save(api, made, "x", key=admin_b, workspace_id=WORKSPACE_A), 403, "forbidden")
    refused(remove(api, made, secret_id, key=admin_b), 404, "not_found")
    refused(remove(api, made, secret_id, workspace_id=WORKSPACE_B), 404, "not_found")
    assert signing(made) == ("hunter2",)


@pytest.mark.parametrize("role", ["operator_a", "viewer_a", "sender_key_a"])
def test_no_lower_role_changes_secrets(api, refused, request, made, role):
    key = request.getfixturevalue(role)
    secret_id = save(api, made).get_json()["secret_id"]
    refused(save(api, made, "x", key=key), 403, "forbidden")
    refused(remove(api, made, secret_id, key=key), 403, "forbidden")
    assert signing(made) == ("hunter2",)


def test_nobody_changes_nothing(api, refused, made):
    secret_id = save(api, made).get_json()["secret_id"]
    refused(save(api, made, "x", key=None), 401, "unauthenticated")
    refused(remove(api, made, secret_id, key=None), 401, "unauthenticated")
    assert signing(made) == ("hunter2",)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"id": "1"}, "id"),
        ({"id": 0}, "id"),
        ({"kind": "password"}, "kind"),
        ({"kind": None}, "kind"),
        ({"value": ""}, "value"),
        ({"value": "a\nb"}, "value"),
        ({"value": 5}, "value"),
        ({"value": "x" * 4097}, "value"),
        ({"value": "no colon", "kind": "basic_auth"}, "value"),
        ({"old_valid_seconds": -1}, "old_valid_seconds"),
        ({"old_valid_seconds": 604_801}, "old_valid_seconds"),
        ({"old_valid_seconds": 1.5}, "old_valid_seconds"),
        ({"old_valid_seconds": None}, "old_valid_seconds"),
        ({"expires_at": "2099-01-01T00:00:00Z"}, "expires_at"),
    ],
)
def test_it_refuses_bad_fields(api, refused, made, fields, named):
    refused(save(api, made, **fields), 422, "invalid_fields", named)
    assert not WebhookSecret.select().exists()


def test_it_says_why_a_provider_takes_no_signing_secret(api, refused):
    for provider, word in (("postmark", "basic authentication"), ("dsn", "not signed")):
        row = webhook_endpoints.add(
            WORKSPACE_A, provider=provider, smtp_account="default", by=SYSTEM
        )
        document = refused(save(api, row), 422, "invalid_fields", "kind")
        assert word in document["detail"]
        assert "hunter2" not in str(document)


@pytest.mark.parametrize(
    ("fields", "named"),
    [({"secret_id": "1"}, "secret_id"), ({"secret_id": 0}, "secret_id"), ({"kind": "x"}, "kind")],
)
def test_it_refuses_bad_removals(api, refused, made, fields, named):
    refused(remove(api, made, **{"secret_id": 1, **fields}), 422, "invalid_fields", named)
