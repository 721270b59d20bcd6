"""POST /v1/api-keys: a key is made, and told once."""

import hashlib
import re

import pytest

from maild.models import ApiKey, AuditEntry
from tests.conftest import WORKSPACE_A, WORKSPACE_B

PATH = "/v1/api-keys"
GOOD = {"name": "billing", "role": "sender"}


def create(api, *, key="admin", **fields):
    return api("POST", PATH, key=key, json={**GOOD, **fields})


def test_it_makes_a_key_that_works(api):
    response = create(
        api,
        role="operator",
        expires_at="2099-01-31T09:30:00+01:00",
        allowed_networks=["127.0.0.1", "2001:DB8::/32"],
    )
    assert response.status_code == 201
    made = response.get_json()
    key = made.pop("key")
    assert re.fullmatch(r"mk_[A-Za-z0-9_-]{43}", key)
    row = ApiKey.get()
    assert bytes(row.key_hash) == hashlib.sha256(key.encode()).digest()
    assert made.pop("created_at").endswith("Z")
    assert made == {
        "id": row.id,
        "workspace_id": WORKSPACE_A,
        "name": "billing",
        "prefix": key[:11],
        "role": "operator",
        "state": "active",
        "allowed_networks": ["127.0.0.1/32", "2001:db8::/32"],
        "requests_per_minute": None,
        "expires_at": "2099-01-31T08:30:00Z",
        "last_used_at": None,
        "created_by": "admin key",
        "revoked_at": None,
        "revoked_by": None,
    }
    assert api("GET", "/v1/messages/logs", key=key).status_code == 200


def test_it_tells_the_key_this_once(api):
    key = create(api).get_json()["key"]
    for answer in (api("GET", PATH), api("DELETE", PATH, json={"id": ApiKey.get().id})):
        assert answer.status_code == 200
        assert key not in answer.get_data(as_text=True)
        assert key[11:] not in answer.get_data(as_text=True)
    assert key[11:] not in api("GET", "/v1/audit").get_data(as_text=True)


@pytest.mark.parametrize("role", ["sender", "viewer", "operator", "admin"])
def test_it_makes_keys_of_every_role(api, role):
    assert create(api, role=role).get_json()["role"] == role


def test_it_makes_keys_of_the_named_workspace(api):
    made = create(api, workspace_id=WORKSPACE_B).get_json()
    assert made["workspace_id"] == WORKSPACE_B
    assert api.submit(key=made["key"]).get_json()["workspace_id"] == WORKSPACE_B


def test_a_workspaces_admin_makes_keys_of_that_workspace(api, refused, admin_b):
    made = create(api, key=admin_b, role="admin").get_json()
    assert (made["workspace_id"], made["created_by"]) == (
        WORKSPACE_B, f"key {admin_b[:11]} (the admin)",
    )  # fmt: skip
    refused(create(api, key=admin_b, workspace_id=WORKSPACE_A), 403, "forbidden")


@pytest.mark.parametrize("maker", ["operator_a", "viewer_a", "sender_key_a"])
def test_no_lower_role_makes_a_key(api, refused, request, maker):
    key = request.getfixturevalue(maker)
    count = ApiKey.select().count()
    refused(create(api, key=key), 403, "forbidden")
    assert ApiKey.select().count() == count


def test_two_keys_may_have_one_name(api):
    assert create(api).get_json()["key"] != create(api).get_json()["key"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"name": ""}, ["name"]),
        ({"name": "a\r\nb"}, ["name"]),
        ({"name": "a\0"}, ["name"]),
        ({"name": "x" * 65}, ["name"]),
        ({"name": 5}, ["name"]),
        ({"role": "owner"}, ["role"]),
        ({"role": None}, ["role"]),
        ({"expires_at": "2020-01-01T00:00:00Z"}, ["expires_at"]),
        ({"expires_at": "2099-01-01T00:00:00"}, ["expires_at"]),
        ({"expires_at": "tomorrow"}, ["expires_at"]),
        ({"expires_at": 4102444800}, ["expires_at"]),
        ({"allowed_networks": []}, ["allowed_networks"]),
        ({"allowed_networks": "192.0.2.1"}, ["allowed_networks"]),
        ({"allowed_networks": ["192.0.2.1/24"]}, ["allowed_networks.0"]),
        ({"allowed_networks": ["192.0.2.1", "example.com"]}, ["allowed_networks.1"]),
        ({"allowed_networks": [5]}, ["allowed_networks.0"]),
        ({"secret": "mk_mine"}, ["secret"]),
        ({"name": "", "role": "", "expires_at": "2020-01-01T00:00:00Z"},
         ["name", "role", "expires_at"]),
    ],
)  # fmt: skip
def test_it_refuses_bad_fields_and_makes_nothing(api, refused, fields, named):
    refused(create(api, **fields), 422, "invalid_fields", *named)
    assert ApiKey.select().count() == AuditEntry.select().count() == 0


def test_it_answers_404_for_an_unknown_workspace(api, refused):
    refused(create(api, workspace_id=99), 404, "not_found")


@pytest.mark.parametrize("own", [1, 600, 6_000])
def test_a_key_may_have_a_limit_of_its_own(api, admin_a, own):
    response = create(api, key=admin_a, requests_per_minute=own)
    assert response.status_code == 201
    assert response.get_json()["requests_per_minute"] == own
    assert api("GET", PATH).get_json()["api_keys"][0]["requests_per_minute"] == own
    assert AuditEntry.select().order_by(AuditEntry.seq.desc()).get().after[
        "requests_per_minute"
    ] == own  # fmt: skip


@pytest.mark.parametrize("own", [0, 6_001, 10_000_000])
def test_only_the_instances_admin_gives_more_than_the_instances_limit(api, refused, admin_a, own):
    response = create(api, key=admin_a, requests_per_minute=own)
    document = refused(response, 422, "invalid_fields", "requests_per_minute")
    assert "must be 1 to 6,000" in document["detail"]
    assert create(api, key="admin", requests_per_minute=own).status_code == 201


@pytest.mark.parametrize("own", [-1, 10_000_001, "600", 1.5, True])
def test_a_limit_that_is_none_is_refused(api, refused, own):
    refused(create(api, requests_per_minute=own), 422, "invalid_fields", "requests_per_minute")
