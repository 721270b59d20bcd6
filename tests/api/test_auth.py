"""Who may call /v1: every endpoint, without a key, with a wrong one, with one that is too weak."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from maild import api as api_package
from maild.api.auth import ADMINS
from maild.api.endpoint import ENDPOINTS

assert api_package  # it declares the endpoints

MESSAGE = {"from_email": "a@example.com", "to_email": "b@example.org", "subject": "s"}
ACCOUNT = {"name": "ses", "host": "smtp.example.com", "port": 587, "from_email": "a@example.com"}
TOMORROW = (datetime.now(UTC) + timedelta(days=1)).isoformat()
SEGMENT = {"field": "email", "op": "contains", "value": "@"}
SOME_ID = "01890a5d-ac96-774b-bcce-b302099a8057"

REQUESTS = {
    "GET /v1/ops/onboarding-checklist": {"query": {}},
    "POST /v1/messages": {"json": {**MESSAGE, "body_text": "t"}},
    "POST /v1/messages/validate": {"json": {**MESSAGE, "body_text": "t"}},
    "POST /v1/messages/batch": {"json": {"messages": [{**MESSAGE, "body_text": "t"}]}},
    "POST /v1/messages/retry": {"json": {"message_ids": [SOME_ID]}},
    "POST /v1/messages/cancel": {"json": {"message_ids": [SOME_ID]}},
    "POST /v1/messages/hold": {"json": {"message_ids": [SOME_ID], "reason": "r"}},
    "POST /v1/messages/release": {"json": {"message_ids": [SOME_ID]}},
    "POST /v1/messages/resolve": {
        "json": {"message_ids": [SOME_ID], "outcome": "sent", "reason": "r"}
    },
    "POST /v1/messages/resend": {"json": {"message_ids": [SOME_ID]}},
    "GET /v1/messages/<message_id>": {"query": {}},
    "GET /v1/messages/logs": {"query": {}},
    "GET /v1/messages/timeline": {"query": {"message_id": SOME_ID}},
    "POST /v1/deployments": {"json": {"name": "shop", "version": "1.2"}},
    "GET /v1/incidents": {"query": {}},
    "POST /v1/incidents": {"json": {"message_id": SOME_ID}},
    "GET /v1/incidents/<incident_id>": {"query": {}},
    "GET /v1/incidents/<incident_id>/messages": {"query": {}},
    "POST /v1/incidents/<incident_id>/acknowledge": {"json": {}},
    "POST /v1/incidents/<incident_id>/assign": {"json": {"to": None}},
    "POST /v1/incidents/<incident_id>/note": {"json": {"text": "t"}},
    "POST /v1/incidents/<incident_id>/severity": {"json": {"severity": "major"}},
    "POST /v1/incidents/<incident_id>/resolve": {"json": {"cause": "c"}},
    "POST /v1/incidents/<incident_id>/reopen": {"json": {"reason": "r"}},
    "POST /v1/incidents/<incident_id>/merge": {"json": {"into_id": 2}},
    "GET /v1/incidents/bundle": {"query": {"message_id": SOME_ID}},
    "GET /v1/templates": {"query": {}},
    "POST /v1/templates": {"json": {"name": "n", "subject": "s", "source": "a"}},
    "GET /v1/templates/<template_id>": {"query": {}},
    "GET /v1/templates/<template_id>/versions": {"query": {}},
    "POST /v1/templates/save": {
        "json": {"template_id": 1, "version": 1, "subject": "s", "source": "a"}
    },
    "POST /v1/templates/restore": {"json": {"template_id": 1, "restored_version": 1, "version": 1}},
    "POST /v1/templates/rename": {"json": {"template_id": 1, "name": "n"}},
    "DELETE /v1/templates": {"json": {"template_id": 1}},
    "POST /v1/templates/bring-back": {"json": {"template_id": 1}},
    "POST /v1/templates/preview": {"json": {"subject": "s", "source": "a"}},
    "GET /v1/domains/dkim-keys": {"query": {}},
    "POST /v1/domains/dkim-keys": {
        "json": {"domain": "example.com", "algorithms": ["ed25519-sha256"]}
    },
    "POST /v1/domains/dkim-keys/rotate": {"json": {"id": 1}},
    "POST /v1/domains/dkim-keys/activate": {"json": {"id": 1, "insist": True}},
    "POST /v1/domains/dkim-keys/retire": {"json": {"id": 1}},
    "GET /v1/topics": {"query": {}},
    "POST /v1/topics": {"json": {"name": "news"}},
    "DELETE /v1/topics": {"json": {"name": "news"}},
    "GET /v1/freezes": {"query": {}},
    "POST /v1/freezes": {"json": {"kind": "workspace", "reason": "r", "expires_at": TOMORROW}},
    "POST /v1/domains/readiness": {"json": {"domain": "shop.example"}},
    "GET /v1/domains": {"query": {}},
    "POST /v1/domains": {"json": {"domain": "shop.example"}},
    "DELETE /v1/domains": {"json": {"domain": "shop.example"}},
    "POST /v1/domains/check": {"json": {"domain": "shop.example"}},
    "POST /v1/freezes/extend": {"json": {"id": 1, "reason": "r", "expires_at": TOMORROW}},
    "DELETE /v1/freezes": {"json": {"id": 1, "reason": "r"}},
    "GET /v1/workspaces/retention": {"query": {}},
    "POST /v1/workspaces/retention": {"json": {"version": 0, "dry_run": True}},
    "GET /v1/workspaces/policy": {"query": {}},
    "POST /v1/workspaces/policy": {"json": {"on_limit": "defer"}},
    "GET /v1/workspaces/policy/versions": {"query": {}},
    "POST /v1/workspaces/policy/rollback": {"json": {"version": 0}},
    "POST /v1/workspaces/policy/preview": {"json": {"policy": {}}},
    "POST /v1/api-keys": {"json": {"name": "billing", "role": "sender"}},
    "GET /v1/api-keys": {"query": {}},
    "POST /v1/api-keys/limit": {"json": {"id": 1, "requests_per_minute": 60}},
    "DELETE /v1/api-keys": {"json": {"id": 1}},
    "GET /v1/audit": {"query": {}},
    "GET /v1/analytics/summary": {"query": {}},
    "GET /v1/analytics/export.csv": {"query": {}},
    "GET /v1/billing/metering": {"query": {}},
    "POST /v1/smtp-accounts": {"json": ACCOUNT},
    "GET /v1/smtp-accounts/list": {"query": {}},
    "POST /v1/smtp-accounts/activate": {"json": {"name": "ses"}},
    "POST /v1/smtp-accounts/validate": {"json": {"name": "ses"}},
    "POST /v1/smtp-accounts/pause": {"json": {"name": "ses", "reason": "r"}},
    "POST /v1/smtp-accounts/resume": {"json": {"name": "ses"}},
    "DELETE /v1/smtp-accounts": {"json": {"name": "ses"}},
    "POST /v1/suppressions": {"json": {"email": "a@example.com", "reason": "r"}},
    "GET /v1/suppressions": {"query": {}},
    "DELETE /v1/suppressions": {"json": {"email": "a@example.com", "reason": "r"}},
    "GET /v1/suppressions/blocked": {"query": {"suppression_id": 1}},
    "POST /v1/suppressions/import": {"json": {"csv": "a@example.com"}},
    "GET /v1/suppressions/export": {"query": {}},
    "GET /v1/contacts": {"query": {}},
    "POST /v1/contacts": {"json": {"email": "a@example.com"}},
    "POST /v1/contacts/batch": {"json": {"contacts": [{"email": "a@example.com"}]}},
    "GET /v1/contacts/export": {"query": {}},
    "GET /v1/contacts/<contact_id>": {"query": {}},
    "DELETE /v1/contacts": {"json": {"email": "a@example.com"}},
    "GET /v1/contacts/attributes": {"query": {}},
    "POST /v1/contacts/attributes": {"json": {"name": "plan", "kind": "text"}},
    "DELETE /v1/contacts/attributes": {"json": {"name": "plan"}},
    "GET /v1/audiences": {"query": {}},
    "POST /v1/audiences": {"json": {"name": "Staff"}},
    "GET /v1/audiences/<audience_id>": {"query": {}},
    "POST /v1/audiences/change": {"json": {"audience_id": 1, "name": "Crew"}},
    "DELETE /v1/audiences": {"json": {"audience_id": 1}},
    "POST /v1/audiences/restore": {"json": {"audience_id": 1}},
    "GET /v1/audiences/members": {"query": {"audience_id": 1}},
    "POST /v1/audiences/members": {"json": {"audience_id": 1, "emails": ["a@example.com"]}},
    "DELETE /v1/audiences/members": {"json": {"audience_id": 1, "contact_ids": [1]}},
    "POST /v1/unsubscribes": {"json": {"email": "a@example.com"}},
    "GET /v1/unsubscribes": {"query": {}},
    "DELETE /v1/unsubscribes": {"json": {"email": "a@example.com", "reason": "r"}},
    "GET /v1/notification-channels": {"query": {}},
    "POST /v1/notification-channels": {
        "json": {"name": "x", "kind": "slack", "target": "https://hooks.example.com/x"}
    },
    "DELETE /v1/notification-channels": {"json": {"id": 1}},
    "POST /v1/notification-channels/test": {"json": {"id": 1}},
    "GET /v1/notifications": {"query": {}},
    "POST /v1/webhooks/endpoints": {"json": {"provider": "postmark"}},
    "GET /v1/webhooks/endpoints": {"query": {}},
    "DELETE /v1/webhooks/endpoints": {"json": {"id": 1}},
    "POST /v1/webhooks/endpoints/secrets": {
        "json": {"id": 1, "kind": "basic_auth", "value": "u:p"}
    },
    "DELETE /v1/webhooks/endpoints/secrets": {"json": {"id": 1, "secret_id": 1}},
    "GET /v1/webhooks/logs": {"query": {}},
    "POST /v1/webhooks/replay": {"json": {"event_ids": [1]}},
    "POST /v1/webhooks/dismiss": {"json": {"event_ids": [1], "reason": "r"}},
    "GET /v1/segments": {"query": {}},
    "POST /v1/segments": {"json": {"name": "s", "rules": SEGMENT}},
    "GET /v1/segments/<segment_id>": {"query": {}},
    "POST /v1/segments/change": {"json": {"segment_id": 1, "name": "s"}},
    "DELETE /v1/segments": {"json": {"segment_id": 1}},
    "POST /v1/segments/restore": {"json": {"segment_id": 1}},
    "POST /v1/segments/preview": {"json": {"rules": SEGMENT}},
    "GET /v1/segments/members": {"query": {"segment_id": 1}},
    "POST /v1/contacts/imports": {"query": {}, "data": "email\nann@example.org\n"},
    "GET /v1/contacts/imports": {"query": {}},
    "GET /v1/contacts/imports/<import_id>": {"query": {}},
    "POST /v1/contacts/imports/configure": {"json": {"id": 1}},
    "POST /v1/contacts/imports/start": {"json": {"id": 1}},
    "POST /v1/contacts/imports/undo": {"json": {"id": 1, "reason": "r"}},
    "GET /v1/contacts/imports/<import_id>/rejected": {"query": {}},
    "GET /v1/campaigns": {"query": {}},
    "POST /v1/campaigns": {
        "json": {"name": "Spring", "audience_kind": "everyone", "from_email": "a@example.com"}
    },
    "DELETE /v1/campaigns": {"json": {"id": 1}},
    "GET /v1/campaigns/<campaign_id>": {"query": {}},
    "POST /v1/campaigns/<campaign_id>": {"json": {"name": "Spring"}},
    "GET /v1/campaigns/<campaign_id>/checks": {"query": {}},
    "GET /v1/campaigns/<campaign_id>/preview": {"query": {}},
    "POST /v1/campaigns/<campaign_id>/copy": {"json": {}},
    "POST /v1/campaigns/<campaign_id>/test": {"json": {"to": ["a@example.com"]}},
    "POST /v1/campaigns/<campaign_id>/submit": {"json": {}},
    "POST /v1/campaigns/<campaign_id>/send-back": {"json": {}},
    "POST /v1/campaigns/<campaign_id>/approve": {"json": {}},
    "POST /v1/campaigns/<campaign_id>/schedule": {"json": {}},
    "POST /v1/campaigns/<campaign_id>/unschedule": {"json": {}},
    "POST /v1/campaigns/<campaign_id>/pause": {"json": {}},
    "POST /v1/campaigns/<campaign_id>/resume": {"json": {}},
    "POST /v1/campaigns/<campaign_id>/cancel": {"json": {}},
    "POST /v1/campaigns/<campaign_id>/winner": {"json": {"winner": "a"}},
    "GET /v1/campaigns/settings": {"query": {}},
    "POST /v1/campaigns/settings": {"json": {"needs_second_person": False}},
    "GET /v1/campaigns/report": {"query": {"campaign_id": 1}},
    "GET /v1/campaigns/recipients": {"query": {"campaign_id": 1}},
    "GET /v1/campaigns/recipients/export": {"query": {"campaign_id": 1}},
}
"""A good request to each endpoint; a new endpoint needs a line here."""

WITH_KEY = [e for e in ENDPOINTS if e.allow is not None]
"""The others ask for something else than a key: `test_webhooks_*.py`."""
NAMES = [f"{e.method} {e.path}" for e in WITH_KEY]
each_endpoint = pytest.mark.parametrize("endpoint", WITH_KEY, ids=NAMES)


def with_ids(path):
    """The path with something in the places of its parameters: most are numbers."""
    named = re.sub(r"<(message_id|provider|token)>", SOME_ID, path)
    return re.sub(r"<\w+>", "1", named)


def request(api, endpoint, **changes):
    arguments = REQUESTS[f"{endpoint.method} {endpoint.path}"]
    path = with_ids(endpoint.path)
    return api(endpoint.method, path, **{**arguments, **changes})


@pytest.mark.proves("api-auth")
def test_every_endpoint_is_tested():
    assert set(NAMES) == set(REQUESTS)


def test_only_what_providers_report_comes_without_a_key():
    assert {f"{e.method} {e.path}" for e in ENDPOINTS if e not in WITH_KEY} == {
        "POST /v1/webhooks/events",
        "POST /v1/webhooks/providers/<provider>/<token>",
        "GET /v1/webhooks/providers/<provider>/<token>",
        "POST /v1/webhooks/dsn/<token>",
    }


@pytest.mark.proves("api-auth")
@each_endpoint
def test_it_answers_401_to_anonymous(api, refused, endpoint):
    document = refused(request(api, endpoint, key=None), 401, "unauthenticated")
    assert "missing" in document["detail"]


@each_endpoint
@pytest.mark.parametrize(
    "key", ["nonsense", "ADMIN", "mk_0123456789abcdef", "schlüssel", "x" * 9000]
)
def test_it_answers_401_to_a_wrong_key(api, refused, endpoint, key):
    response = request(api, endpoint, key=key)
    document = refused(response, 401, "unauthenticated")
    assert "not known" in document["detail"]
    assert key not in document["detail"]
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="maild"'


@each_endpoint
def test_it_lets_an_operator_do_what_an_operator_may(api, refused, endpoint):
    response = request(api, endpoint, key="operator")
    if endpoint.allow == ADMINS:
        document = refused(response, 403, "forbidden")
        assert "admin" in document["detail"]
    else:
        assert response.status_code in {200, 201, 404}


@each_endpoint
def test_it_looks_at_the_key_before_the_request(api, refused, endpoint):
    bad = {"query": {"nonsense": "1"}} if endpoint.method == "GET" else {"json": {"nonsense": 1}}
    refused(request(api, endpoint, key=None, **bad), 401, "unauthenticated")
    if endpoint.allow == ADMINS:
        refused(request(api, endpoint, key="operator", **bad), 403, "forbidden")


@each_endpoint
def test_it_answers_404_for_an_unknown_workspace(api, refused, endpoint):
    arguments = REQUESTS[f"{endpoint.method} {endpoint.path}"]
    name = "json" if "json" in arguments else "query"
    changed = {name: {**arguments[name], "workspace_id": 999}}
    refused(request(api, endpoint, **changed), 404, "not_found")


@each_endpoint
@pytest.mark.parametrize("workspace_id", ["0", "-1", "one", "1.5", "2147483648", str(2**63), ""])
def test_it_refuses_what_is_no_workspace_id(api, refused, endpoint, workspace_id):
    arguments = REQUESTS[f"{endpoint.method} {endpoint.path}"]
    if "json" not in arguments:
        changed = {"query": {**arguments["query"], "workspace_id": workspace_id}}
        refused(request(api, endpoint, **changed), 400, "invalid_request", "workspace_id")
    else:
        changed = {"json": {**arguments["json"], "workspace_id": workspace_id}}
        refused(request(api, endpoint, **changed), 422, "invalid_fields", "workspace_id")


@pytest.mark.parametrize("path", sorted({e.path for e in ENDPOINTS}))
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
def test_it_answers_405_to_a_wrong_method(api, refused, path, method):
    allowed = {e.method for e in ENDPOINTS if e.path == path}
    if method in allowed:
        return
    response = api(method, with_ids(path))
    refused(response, 405, "method_not_allowed")
    assert allowed <= set(response.headers["Allow"].split(", "))
    assert method not in response.headers["Allow"].split(", ")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_it_takes_a_bearer_token(api, settings, scheme):
    headers = {"Authorization": f"{scheme} {settings.operator_api_key}"}
    assert api("GET", "/v1/messages/logs", key=None, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "text", ["Bearer", "Bearer ", "Basic {}", "{}", "Token {}", "Bearer {} x", ""]
)
def test_it_refuses_any_other_authorization(api, refused, settings, text):
    headers = {"Authorization": text.format(settings.admin_api_key)}
    refused(api("GET", "/v1/messages/logs", key=None, headers=headers), 401, "unauthenticated")


def test_it_takes_the_key_in_the_configured_header(api, refused, use_settings, settings):
    old = {"X-API-Key": settings.admin_api_key}
    use_settings(api_key_header="X-Mail-Key")
    assert api("GET", "/v1/messages/logs").status_code == 200
    document = refused(
        api("GET", "/v1/messages/logs", key=None, headers=old), 401, "unauthenticated"
    )
    assert "X-Mail-Key" in document["detail"]


def test_it_takes_no_key_from_the_query(api, refused, settings):
    query = {"api_key": settings.admin_api_key, "X-API-Key": settings.admin_api_key}
    refused(api("GET", "/v1/messages/logs", key=None, query=query), 401, "unauthenticated")


def test_the_header_wins_over_the_bearer_token(api, refused, settings):
    headers = {"Authorization": f"Bearer {settings.admin_api_key}"}
    response = api("GET", "/v1/messages/logs", key="nonsense", headers=headers)
    refused(response, 401, "unauthenticated")
