"""Signing in with a workspace's key: what it acts on, from where, and what it never reaches."""

import logging
import re
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest

from maild import db, log
from maild.db import database
from maild.models import ApiKey, AuditEntry
from maild.services import api_key_uses, api_keys
from tests.api.conftest import MESSAGE
from tests.conftest import WORKSPACE_A, WORKSPACE_B


@pytest.fixture
def from_address(client):
    """Call to say where requests come from."""

    def change(remote, forwarded=None):
        client.environ_base["REMOTE_ADDR"] = remote
        client.environ_base.pop("HTTP_X_FORWARDED_FOR", None)
        if forwarded is not None:
            client.environ_base["HTTP_X_FORWARDED_FOR"] = forwarded

    return change


def test_it_acts_on_its_own_workspace(api, admin_b):
    response = api.submit(key=admin_b)
    assert (response.status_code, response.get_json()["workspace_id"]) == (201, WORKSPACE_B)
    named = api.submit(key=admin_b, workspace_id=WORKSPACE_B)
    assert named.get_json()["workspace_id"] == WORKSPACE_B


@pytest.mark.parametrize("workspace_id", [WORKSPACE_A, 999])
def test_it_answers_403_for_any_other_workspace(api, refused, stored, admin_b, workspace_id):
    before = stored()
    document = refused(api.submit(key=admin_b, workspace_id=workspace_id), 403, "forbidden")
    assert f"belongs to workspace {WORKSPACE_B}" in document["detail"]
    query = {"workspace_id": workspace_id}
    refused(api("GET", "/v1/messages/logs", key=admin_b, query=query), 403, "forbidden")
    assert stored() == before


def test_it_comes_as_a_bearer_token_too(api, viewer_a):
    headers = {"Authorization": f"Bearer {viewer_a}"}
    assert api("GET", "/v1/messages/logs", key=None, headers=headers).status_code == 200


def test_it_answers_the_same_401_to_unknown_revoked_and_expired_keys(
    api, refused, revoked_a, expired_a
):
    details = set()
    for key in (f"mk_{'x' * 43}", "mk_short", "mk_", "nonsense", revoked_a, expired_a):
        response = api.submit(key=key)
        document = refused(response, 401, "unauthenticated")
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="maild"'
        details.add(document["detail"])
    assert len(details) == 1


@pytest.mark.proves("api-keys")
def test_a_revoked_key_is_out_at_the_next_request(api, refused, admin_a):
    key = api(
        "POST", "/v1/api-keys", key=admin_a, json={"name": "shop", "role": "sender"}
    ).get_json()
    assert api.submit(key=key["key"]).status_code == 201
    assert api("DELETE", "/v1/api-keys", key=admin_a, json={"id": key["id"]}).status_code == 200
    refused(api.submit(key=key["key"]), 401, "unauthenticated")


def test_a_key_may_revoke_itself(api, refused, admin_a):
    row = ApiKey.get()
    assert api("DELETE", "/v1/api-keys", key=admin_a, json={"id": row.id}).status_code == 200
    refused(api("GET", "/v1/api-keys", key=admin_a), 401, "unauthenticated")


@pytest.mark.proves("api-keys")
def test_it_works_from_the_addresses_that_it_allows(api, refused, make_key, from_address):
    key = make_key("sender", allowed_networks=["192.0.2.0/24", "2001:db8::1"])
    for remote in ("192.0.2.1", "192.0.2.255", "::ffff:192.0.2.9", "2001:DB8::1"):
        from_address(remote)
        assert api.submit(key=key).status_code == 201
    for remote in ("192.0.3.1", "2001:db8::2", "", "unix:"):
        from_address(remote)
        document = refused(api.submit(key=key), 403, "forbidden")
        assert "may not be used from" in document["detail"]
        assert "192.0.2.0" not in document["detail"]


@pytest.mark.proves("security-forwarded")
def test_it_believes_no_forwarded_address_without_a_trusted_proxy(
    api, refused, make_key, from_address
):
    key = make_key("sender", allowed_networks=["192.0.2.1"])
    from_address("198.51.100.1", "192.0.2.1")
    refused(api.submit(key=key), 403, "forbidden")


@pytest.mark.proves("security-forwarded")
def test_it_finds_the_caller_behind_a_trusted_proxy(
    api, refused, make_key, from_address, use_settings
):
    use_settings(trusted_proxies=(ip_network("10.0.0.0/24"),))
    key = make_key("sender", allowed_networks=["192.0.2.1"])
    from_address("10.0.0.1", "198.51.100.7, 192.0.2.1")
    assert api.submit(key=key).status_code == 201
    for forwarded in ("192.0.2.1, 198.51.100.7", "192.0.2.1, unknown", "", None):
        from_address("10.0.0.1", forwarded)
        refused(api.submit(key=key), 403, "forbidden")


def test_the_audit_log_names_the_key_and_the_callers_address(
    api, make_key, from_address, use_settings
):
    use_settings(trusted_proxies=(ip_network("10.0.0.0/24"),))
    from_address("10.0.0.1", "198.51.100.7")
    key = make_key("admin", name="billing")
    headers = {"X-Request-ID": "r-17"}
    body = {"name": "n", "role": "viewer"}
    api("POST", "/v1/api-keys", key=key, json=body, headers=headers)
    entry = AuditEntry.select().order_by(AuditEntry.seq.desc()).get()
    assert entry.actor == f"key {key[:11]} (billing)"
    assert (entry.actor_ip, entry.request_id) == ("198.51.100.7", "r-17")


def test_an_instance_key_is_bound_to_nothing(api):
    for workspace_id in (WORKSPACE_A, WORKSPACE_B):
        answer = api.submit(key="operator", workspace_id=workspace_id)
        assert answer.get_json()["workspace_id"] == workspace_id


def test_an_instance_key_may_begin_like_a_workspaces(api, use_settings):
    use_settings(admin_api_key="mk_0123456789abcdefghijklmnop")
    assert api("GET", "/v1/api-keys").status_code == 200


def test_it_costs_one_query_more_than_an_instance_key(api, monkeypatch, sender_key_a):
    statements = []
    genuine = database.execute_sql

    def execute_sql(sql, *arguments, **options):
        statements.append(sql)
        return genuine(sql, *arguments, **options)

    def count(key):
        api.submit(key=key)  # the statements are prepared by now
        statements.clear()
        assert api.submit(key=key).status_code == 201
        return len(statements)

    monkeypatch.setattr(database, "execute_sql", execute_sql)
    assert count(sender_key_a) == count("operator") + 1


def test_an_instance_key_needs_no_database_to_be_told(api, refused, postgres_away):
    refused(api("GET", "/v1/api-keys", key="operator"), 403, "forbidden")
    refused(api("GET", "/v1/api-keys", key="nonsense"), 401, "unauthenticated")


def test_it_answers_503_where_only_the_database_could_tell(api, refused, admin_a, postgres_away):
    response = api("GET", "/v1/api-keys", key=admin_a)
    refused(response, 503, "unavailable")
    assert response.headers["Retry-After"]


def test_use_is_noted_and_no_request_fails_by_it(api, sender_key_a, monkeypatch):
    assert api.submit(key=sender_key_a).status_code == 201
    assert ApiKey.get().last_used_at is None
    api_key_uses.write()
    assert ApiKey.get().last_used_at is not None


def test_no_answer_is_kept_by_a_cache(api, admin_a):
    for response in (
        api("GET", "/v1/api-keys", key=admin_a),
        api("GET", "/v1/api-keys", key=None),
        api("GET", "/v1/messages/logs", key=admin_a),
        api.submit(key=admin_a),
    ):
        assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.proves("api-keys")
def test_a_key_stands_in_no_log_line(api, admin_a, capsys, monkeypatch):
    """Not even where somebody puts it into a URL, a field or a header that is logged."""
    root, level = logging.getLogger(), logging.getLogger().level
    handlers = root.handlers[:]
    log.configure("DEBUG", fmt="json")
    try:
        api.submit(key=admin_a)
        api("GET", f"/v1/{admin_a}", key=admin_a)
        api("GET", "/v1/messages/logs", key=admin_a, query={"key": admin_a})
        api.submit(key=admin_a, subject=5, from_name=admin_a)
        api("GET", "/v1/api-keys", key=admin_a, headers={"X-Request-ID": admin_a})
        api(
            "POST", "/v1/api-keys", key=admin_a, json={"name": "n", "role": "sender"},
        )  # fmt: skip
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    lines = capsys.readouterr().out
    assert "api_key.created" in lines
    assert admin_a[:11] in lines
    assert admin_a[11:] not in lines
    assert not re.search(r"mk_[A-Za-z0-9_-]{12}", lines)


@pytest.mark.proves("api-keys")
def test_a_key_stands_in_no_row(api, admin_a):
    made = api("POST", "/v1/api-keys", key=admin_a, json={"name": "n", "role": "sender"})
    key = made.get_json()["key"]
    for table in ("api_keys", "audit_entries", "events"):
        rows = database.execute_sql(f"SELECT t::text FROM {table} t").fetchall()
        assert rows or table == "events"
        assert key not in str(rows)
        assert key[11:] not in str(rows)


@pytest.mark.proves("I22")
def test_an_expiry_is_judged_by_postgres(api, refused, make_key, monkeypatch):
    """A host whose clock is wrong lets nobody in, and keeps nobody out."""
    soon = datetime.now(UTC) + timedelta(hours=1)
    key = make_key("sender", expires_at=soon)
    monkeypatch.setattr("maild.clock.now", lambda: soon + timedelta(days=1))
    assert api_keys.find_in_force(key) is not None
    assert api("POST", "/v1/messages/validate", key=key, json=MESSAGE).status_code != 401
    with db.connection():
        ApiKey.update(expires_at=datetime(2020, 1, 1, tzinfo=UTC)).execute()
    monkeypatch.setattr("maild.clock.now", lambda: datetime(2019, 1, 1, tzinfo=UTC))
    refused(api.submit(key=key), 401, "unauthenticated")
