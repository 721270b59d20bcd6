"""Who may do what, and that no workspace sees, counts or changes anything of another's: every
declared route, with every kind of caller.

For the second half each route is called by workspace B's admin, twice: beside a workspace A that is
full of rows, and beside an empty one. The answers must not differ, and A's rows neither. A new
route needs lines in FOREIGN.
"""

import json
import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from maild import api as api_package
from maild.db import database
from maild.domain import cursor, serial_cursor
from maild.domain.actor import SYSTEM
from maild.domain.role import Role
from maild.services import api_keys
from maild.services.api_keys import NewApiKey
from tests.api.test_auth import REQUESTS, WITH_KEY, each_endpoint, request
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.tenancy import (
    EMAIL,
    HIDDEN,
    IDS,
    NOBODYS,
    OTHER_EMAIL,
    SERIAL,
    ZEBRA,
    make_workspaces,
    rows_of_a,
    told,
)

assert api_package  # it declares the endpoints

INSTANCE = {"admin": Role.ADMIN, "operator": Role.OPERATOR}
OF_A = {
    "admin_a": Role.ADMIN,
    "operator_a": Role.OPERATOR,
    "viewer_a": Role.VIEWER,
    "sender_key_a": Role.SENDER,
}
NOBODY = {None: "missing", "revoked_a": "not known", "expired_a": "not known"}

TOMORROW = (datetime.now(UTC) + timedelta(days=1)).isoformat()
FILTERED = {"filter": {"q": ZEBRA}}
ACCOUNT = {"name": ZEBRA, "host": "smtp.example.com", "port": 587, "from_email": "b@example.com"}
CAMPAIGN = {"name": ZEBRA, "audience_kind": "everyone", "from_email": EMAIL}
MAIL = {"from_email": EMAIL, "to_email": EMAIL, "subject": "s", "body_text": "t"}


# -- what each role may do ------------------------------------------------------------------------


@pytest.fixture
def keys(request):
    """Each caller's key, by the caller's name."""
    named = {name: request.getfixturevalue(name) for name in (*OF_A, *NOBODY) if name}
    return {None: None, **{name: name for name in INSTANCE}, **named}


@pytest.mark.proves("api-auth", "security-roles")
@each_endpoint
def test_each_caller_does_what_the_role_may_and_no_more(api, endpoint, keys):
    for caller, role in (INSTANCE | OF_A).items():
        for workspace_id in (None, WORKSPACE_A):
            response = ask(api, endpoint, key=keys[caller], workspace_id=workspace_id)
            # 404, 409: what the request names is not there, or there already.
            done = {endpoint.status, endpoint.status_if_known}
            allowed = {*done, 404, 409} if role in endpoint.allow else {403}
            assert response.status_code in allowed, (caller, response.get_data(as_text=True))


@each_endpoint
def test_a_workspaces_key_acts_on_no_other(api, refused, endpoint, keys):
    for caller in OF_A:
        for workspace_id in (WORKSPACE_B, 999):
            response = ask(api, endpoint, key=keys[caller], workspace_id=workspace_id)
            refused(response, 403, "forbidden")


@each_endpoint
def test_who_has_no_key_that_works_does_nothing(api, refused, endpoint, keys):
    for caller, words in NOBODY.items():
        document = refused(ask(api, endpoint, key=keys[caller]), 401, "unauthenticated")
        assert words in document["detail"], caller


def ask(api, endpoint, *, key, workspace_id=None):
    """A good request; for the workspace, where one is named."""
    arguments = REQUESTS[f"{endpoint.method} {endpoint.path}"]
    named = {} if workspace_id is None else {"workspace_id": workspace_id}
    changed = {
        place: fields if place == "data" else {**fields, **named}
        for place, fields in arguments.items()
    }
    return request(api, endpoint, key=key, **changed)


# -- what is another workspace's ------------------------------------------------------------------


def by_ids(**fields):
    return [{"json": {"message_ids": list(IDS.values()), **fields}}]


def by_query(*queries):
    return [{"query": query} for query in ({}, *queries)]


def by_path():
    return [{"id": str(SERIAL)}]


def by_json(*bodies):
    return [{"json": body} for body in bodies]


MARK = str(cursor.Cursor(datetime.now(UTC) + timedelta(days=1), uuid.UUID(int=2**128 - 1)))
SERIAL_MARK = serial_cursor.write(SERIAL + 1)
SEGMENT = {"field": "email", "op": "contains", "value": ZEBRA}
LONG_AGO = {"from": "2019-12-15T00:00:00Z", "to": "2020-01-15T00:00:00Z"}
"""When everything of A's that is counted has happened."""

FOREIGN = {
    "GET /v1/ops/onboarding-checklist": by_query(),
    "POST /v1/messages": by_json(
        MAIL,
        {**MAIL, "stream": "marketing"},
        {"from_email": EMAIL, "to_email": EMAIL, "template": ZEBRA},
        {"from_email": EMAIL, "to_email": EMAIL, "template": SERIAL},
    ),
    "POST /v1/messages/validate": by_json(MAIL),
    "POST /v1/messages/batch": by_json(
        {"messages": [MAIL]}, {"messages": [{**MAIL, "workspace_id": WORKSPACE_A}]}
    ),
    "POST /v1/messages/retry": [
        *by_ids(),
        *by_json({"limit": 500}, FILTERED, {**FILTERED, "dry_run": True}, {"filter": {}}),
    ],
    "POST /v1/messages/cancel": by_ids(),
    "POST /v1/messages/hold": by_ids(reason="r"),
    "POST /v1/messages/release": by_ids(),
    "POST /v1/messages/resolve": by_ids(outcome="sent", reason="r"),
    "POST /v1/messages/resend": by_ids(),
    "GET /v1/messages/<message_id>": [{"id": message_id} for message_id in IDS.values()],
    "GET /v1/messages/logs": by_query(
        {"q": ZEBRA}, {"subject": ZEBRA}, {"to_email": EMAIL}, {"from_email": EMAIL},
        {"tag": ZEBRA}, {"smtp_account": ZEBRA}, {"error_class": ZEBRA}, {"status": "failed"},
        {"cursor": MARK},
    ),
    "GET /v1/messages/timeline": [
        {"query": {"message_id": message_id}} for message_id in IDS.values()
    ],
    "GET /v1/topics": by_query(),
    "POST /v1/topics": by_json({"name": ZEBRA}),
    "DELETE /v1/topics": by_json({"name": ZEBRA}),
    "POST /v1/deployments": by_json({"name": ZEBRA, "version": "1"}),
    "GET /v1/incidents": by_query(
        {"status": "all"}, {"status": "all", "cursor": SERIAL_MARK}, {"smtp_account": ZEBRA},
        {"assigned_to": ZEBRA}, {"kind": "delivery"},
    ),
    "POST /v1/incidents": by_json(*({"message_id": message_id} for message_id in IDS.values())),
    "GET /v1/incidents/<incident_id>": [{"id": str(SERIAL)}],
    "GET /v1/incidents/<incident_id>/messages": [{"id": str(SERIAL)}],
    **{
        f"POST /v1/incidents/<incident_id>/{verb}": [{"id": str(SERIAL), "json": body}]
        for verb, body in {
            "acknowledge": {}, "assign": {"to": EMAIL}, "note": {"text": ZEBRA},
            "severity": {"severity": "minor"}, "resolve": {"cause": ZEBRA},
            "reopen": {"reason": ZEBRA}, "merge": {"into_id": SERIAL + 1},
        }.items()
    },
    "GET /v1/incidents/bundle": [
        {"query": {"message_id": message_id}} for message_id in IDS.values()
    ],
    "GET /v1/workspaces/policy": by_query({"version": 1}),
    "POST /v1/workspaces/policy": by_json({"on_limit": "defer", "version": 0}, {}),
    "GET /v1/workspaces/retention": by_query(),
    "POST /v1/workspaces/retention": by_json(
        {"version": 0, "bodies_days": 7}, {"version": 1}, {"version": 0, "dry_run": True}
    ),
    "GET /v1/workspaces/policy/versions": by_query({"cursor": SERIAL_MARK}),
    "POST /v1/workspaces/policy/rollback": by_json({"version": 1}),
    "POST /v1/workspaces/policy/preview": by_json(
        {"policy": {}, "window": "7d"}, {"policy": {"rate_limit_workspace_per_hour": 1}}
    ),
    "POST /v1/smtp-accounts": by_json(ACCOUNT),
    "GET /v1/smtp-accounts/list": by_query(),
    "POST /v1/smtp-accounts/activate": by_json({"name": ZEBRA}),
    "POST /v1/smtp-accounts/validate": by_json({"name": ZEBRA}),
    "POST /v1/smtp-accounts/pause": by_json({"name": ZEBRA, "reason": "r"}),
    "POST /v1/smtp-accounts/resume": by_json({"name": ZEBRA}),
    "DELETE /v1/smtp-accounts": by_json({"name": ZEBRA}),
    "POST /v1/api-keys": by_json({"name": ZEBRA, "role": "admin"}),
    "GET /v1/api-keys": by_query({"cursor": SERIAL_MARK}),
    "POST /v1/api-keys/limit": by_json({"id": SERIAL, "requests_per_minute": 60}),
    "DELETE /v1/api-keys": by_json({"id": SERIAL}),
    "GET /v1/audit": by_query(
        {"actor": ZEBRA}, {"action": ZEBRA}, {"cursor": SERIAL_MARK}, {"to": TOMORROW}
    ),
    "GET /v1/analytics/summary": by_query({"span": "7d"}, LONG_AGO),
    "GET /v1/analytics/export.csv": by_query({"step": "day"}, LONG_AGO),
    "GET /v1/billing/metering": by_query(LONG_AGO),
    "POST /v1/domains/readiness": by_json({"domain": f"{ZEBRA}.example"}),
    "GET /v1/domains": by_query({"cursor": "a.example"}),
    "POST /v1/domains": by_json({"domain": f"{ZEBRA}.example"}),
    "DELETE /v1/domains": by_json({"domain": f"{ZEBRA}.example"}),
    "POST /v1/domains/check": by_json({"domain": f"{ZEBRA}.example"}),
    "GET /v1/domains/dkim-keys": by_query({"domain": ZEBRA + ".example"}, {"cursor": SERIAL_MARK}),
    "POST /v1/domains/dkim-keys": by_json(
        {"domain": f"{ZEBRA}.example", "algorithms": ["ed25519-sha256"]}
    ),
    "POST /v1/domains/dkim-keys/rotate": by_json({"id": SERIAL}),
    "POST /v1/domains/dkim-keys/activate": by_json({"id": SERIAL}, {"id": SERIAL, "insist": True}),
    "POST /v1/domains/dkim-keys/retire": by_json({"id": SERIAL}, {"id": SERIAL, "at_once": True}),
    "GET /v1/freezes": by_query({"state": "all"}, {"state": "all", "cursor": SERIAL_MARK}),
    "POST /v1/freezes": by_json(
        *({"kind": kind, "target": target, "reason": "r", "expires_at": TOMORROW}
          for kind, target in (("api_key", str(SERIAL)), ("smtp_account", ZEBRA),
                               ("recipient_domain", f"{ZEBRA}.example"), ("from_email", EMAIL),
                               ("workspace", None))),
    ),
    "POST /v1/freezes/extend": by_json({"id": SERIAL, "reason": "r", "expires_at": TOMORROW}),
    "DELETE /v1/freezes": by_json({"id": SERIAL, "reason": "r"}),
    "POST /v1/suppressions": by_json({"email": EMAIL, "reason": "r"}),
    "GET /v1/suppressions": by_query(
        {"email": EMAIL}, {"source": ZEBRA}, {"state": "all"}, {"cursor": SERIAL_MARK}
    ),
    "DELETE /v1/suppressions": by_json({"email": EMAIL, "reason": "r"}),
    "GET /v1/suppressions/blocked": [{"query": {"suppression_id": SERIAL}}],
    "POST /v1/suppressions/import": by_json({"csv": f"{EMAIL}\n{OTHER_EMAIL}"}),
    "GET /v1/suppressions/export": by_query({"state": "all"}),
    "GET /v1/contacts": by_query(
        {"email": EMAIL}, {"email_start": ZEBRA}, {"domain": f"{ZEBRA}.example"}, {"topic": ZEBRA},
        {"audience_id": SERIAL}, {"cursor": SERIAL_MARK}, {"standing": "suppressed"},
    ),
    "POST /v1/contacts": by_json(
        {"email": EMAIL}, {"email": OTHER_EMAIL, "attributes": {ZEBRA: 7}},
    ),
    "POST /v1/contacts/batch": by_json({"contacts": [{"email": EMAIL}]}),
    "GET /v1/contacts/export": by_query({"audience_id": SERIAL}, {"topic": ZEBRA}),
    "GET /v1/contacts/<contact_id>": by_path(),
    "DELETE /v1/contacts": by_json({"email": EMAIL}, {"id": SERIAL}),
    "GET /v1/contacts/attributes": by_query(),
    "POST /v1/contacts/attributes": by_json({"name": ZEBRA, "kind": "number"}),
    "DELETE /v1/contacts/attributes": by_json({"name": ZEBRA}),
    "GET /v1/audiences": by_query(),
    "POST /v1/audiences": by_json({"name": ZEBRA}),
    "GET /v1/audiences/<audience_id>": by_path(),
    "POST /v1/audiences/change": by_json({"audience_id": SERIAL, "name": "x"}),
    "DELETE /v1/audiences": by_json({"audience_id": SERIAL}),
    "POST /v1/audiences/restore": by_json({"audience_id": SERIAL}),
    "GET /v1/audiences/members": [{"query": {"audience_id": SERIAL}}],
    "POST /v1/audiences/members": by_json(
        {"audience_id": SERIAL, "emails": [EMAIL]}, {"audience_id": SERIAL, "contact_ids": [SERIAL]}
    ),
    "DELETE /v1/audiences/members": by_json(
        {"audience_id": SERIAL, "emails": [EMAIL]}, {"audience_id": SERIAL, "contact_ids": [SERIAL]}
    ),
    "POST /v1/unsubscribes": by_json({"email": EMAIL}, {"email": EMAIL, "topic": ZEBRA}),
    "GET /v1/unsubscribes": by_query(
        {"email": EMAIL}, {"topic": ZEBRA}, {"state": "removed"}, {"cursor": SERIAL_MARK}
    ),
    "DELETE /v1/unsubscribes": by_json({"email": EMAIL, "reason": "r"}),
    "POST /v1/webhooks/endpoints": by_json(
        {"provider": "postmark"}, {"provider": "postmark", "smtp_account": ZEBRA}
    ),
    "GET /v1/webhooks/endpoints": by_query(),
    "DELETE /v1/webhooks/endpoints": by_json({"id": SERIAL}),
    "POST /v1/webhooks/endpoints/secrets": by_json(
        *({"id": SERIAL, "kind": kind, "value": "u:p"} for kind in ("signing", "basic_auth"))
    ),
    "DELETE /v1/webhooks/endpoints/secrets": by_json({"id": SERIAL, "secret_id": SERIAL}),
    "GET /v1/webhooks/logs": by_query(
        {"email": EMAIL}, {"provider": ZEBRA}, {"linked": "true"}, {"cursor": SERIAL_MARK}
    ),
    "POST /v1/webhooks/replay": by_json(
        {"event_ids": [SERIAL]}, {"event_ids": [SERIAL], "dry_run": True}, {"limit": 500}
    ),
    "GET /v1/notification-channels": by_query(),
    "POST /v1/notification-channels": by_json(
        {"name": ZEBRA, "kind": "email", "target": EMAIL},
        {"name": ZEBRA, "kind": "slack", "target": "https://hooks.example.com/x"},
    ),
    "DELETE /v1/notification-channels": by_json({"id": SERIAL}),
    "POST /v1/notification-channels/test": by_json({"id": SERIAL}),
    "GET /v1/notifications": by_query({"channel_id": SERIAL}, {"cursor": SERIAL_MARK}),
    "POST /v1/webhooks/dismiss": by_json({"event_ids": [SERIAL], "reason": "r"}),
    "GET /v1/templates": by_query({"q": ZEBRA}, {"archived": "true"}, {"cursor": SERIAL_MARK}),
    "POST /v1/templates": by_json({"name": ZEBRA, "subject": "s", "source": "a"}),
    "GET /v1/templates/<template_id>": by_path(),
    "GET /v1/templates/<template_id>/versions": by_path(),
    "POST /v1/templates/save": by_json(
        {"template_id": SERIAL, "version": 1, "subject": "s", "source": "a"}
    ),
    "POST /v1/templates/restore": by_json(
        {"template_id": SERIAL, "restored_version": 1, "version": 1}
    ),
    "POST /v1/templates/rename": by_json({"template_id": SERIAL, "name": ZEBRA}),
    "DELETE /v1/templates": by_json({"template_id": SERIAL}),
    "POST /v1/templates/bring-back": by_json({"template_id": SERIAL}),
    "POST /v1/templates/preview": by_json(
        {"template": SERIAL},
        {"template": ZEBRA},
        {"subject": "s", "source": "{{ contact.zebra }}", "contact_email": EMAIL},
    ),
    "GET /v1/segments": by_query({"cursor": SERIAL_MARK}),
    "POST /v1/segments": by_json(
        {"name": ZEBRA, "rules": SEGMENT},
        {"name": "b", "rules": {"field": "list", "op": "in", "value": SERIAL}},
        {"name": "b", "rules": {"field": "attributes.zebra", "op": "equals", "value": ZEBRA}},
    ),
    "GET /v1/segments/<segment_id>": by_path(),
    "POST /v1/segments/change": by_json({"segment_id": SERIAL, "name": ZEBRA}),
    "DELETE /v1/segments": by_json({"segment_id": SERIAL}),
    "POST /v1/segments/restore": by_json({"segment_id": SERIAL}),
    "POST /v1/segments/preview": by_json(
        {"rules": SEGMENT},
        {"rules": {"not": {"field": "topics", "op": "has", "value": ZEBRA}}},
        {"rules": {"field": "list", "op": "not_in", "value": SERIAL}},
    ),
    "GET /v1/segments/members": [{"query": {"segment_id": SERIAL}}],
    "POST /v1/contacts/imports": [{"query": {"name": ZEBRA}, "data": f"email\n{EMAIL}\n"}],
    "GET /v1/contacts/imports": by_query(),
    "GET /v1/contacts/imports/<import_id>": by_path(),
    "POST /v1/contacts/imports/configure": by_json({"id": SERIAL}),
    "POST /v1/contacts/imports/start": by_json({"id": SERIAL}),
    "POST /v1/contacts/imports/undo": by_json({"id": SERIAL, "reason": "r"}),
    "GET /v1/contacts/imports/<import_id>/rejected": by_path(),
    "GET /v1/campaigns": by_query({"status": "draft"}, {"cursor": SERIAL_MARK}),
    "POST /v1/campaigns": by_json(
        CAMPAIGN,
        {**CAMPAIGN, "audience_kind": "list", "audience_id": SERIAL},
        {**CAMPAIGN, "audience_kind": "segment", "segment_id": SERIAL},
        {**CAMPAIGN, "template_id": SERIAL},
    ),
    "DELETE /v1/campaigns": by_json({"id": SERIAL}),
    "GET /v1/campaigns/<campaign_id>": by_path(),
    "GET /v1/campaigns/<campaign_id>/checks": by_path(),
    "GET /v1/campaigns/<campaign_id>/preview": [
        {"id": str(SERIAL)}, {"id": str(SERIAL), "query": {"email": EMAIL}}
    ],
    "POST /v1/campaigns/<campaign_id>": [{"id": str(SERIAL), "json": {"name": ZEBRA}}],
    **{
        f"POST /v1/campaigns/<campaign_id>/{verb}": [{"id": str(SERIAL), "json": body}]
        for verb, body in {
            "copy": {}, "test": {"to": [EMAIL]}, "submit": {}, "send-back": {"reason": ZEBRA},
            "approve": {}, "schedule": {"now": True}, "unschedule": {}, "pause": {}, "resume": {},
            "cancel": {}, "winner": {"winner": "a"},
        }.items()
    },
    "GET /v1/campaigns/settings": by_query(),
    "POST /v1/campaigns/settings": by_json({"needs_second_person": True}),
    "GET /v1/campaigns/report": [{"query": {"campaign_id": SERIAL}}],
    "GET /v1/campaigns/recipients": [
        {"query": {"campaign_id": SERIAL, **more}} for more in ({}, {"cursor": SERIAL_MARK})
    ],
    "GET /v1/campaigns/recipients/export": [{"query": {"campaign_id": SERIAL}}],
}  # fmt: skip
"""What B asks each route about A's things: by id, by name, by search, by list, by page mark."""


def fresh_world(api, *, is_a_full):
    """Workspaces A and B anew; returns the key of B's admin."""
    make_workspaces(is_a_full=is_a_full)
    new = NewApiKey(name="the admin", role="admin")
    key = api_keys.create(WORKSPACE_B, new, by=SYSTEM)[1]
    assert api.submit(key=key, to_email="eve@example.org").status_code == 201
    return key


def call(api, endpoint, key, arguments):
    arguments = dict(arguments)
    path = re.sub(r"<\w+>", arguments.pop("id", ""), endpoint.path)
    return api(endpoint.method, path, key=key, **arguments)


@pytest.mark.proves("I20")
def test_every_route_is_asked_about_another_workspaces_things():
    assert set(FOREIGN) == {f"{e.method} {e.path}" for e in WITH_KEY}


@pytest.mark.proves("I20")
@each_endpoint
def test_nothing_of_another_workspace_is_seen_or_changed(api, endpoint):
    requests = FOREIGN[f"{endpoint.method} {endpoint.path}"]
    beside_empty, beside_full = [], []
    key = fresh_world(api, is_a_full=False)
    for arguments in requests:
        beside_empty.append(told(call(api, endpoint, key, arguments)))
    key = fresh_world(api, is_a_full=True)
    before = rows_of_a()
    for arguments in requests:
        response = call(api, endpoint, key, arguments)
        beside_full.append(told(response))
        text = response.get_data(as_text=True)
        asked = json.dumps(arguments)
        assert [word for word in HIDDEN if word in text and word not in asked] == []
    assert beside_full == beside_empty
    assert rows_of_a() == before
    # What is refused for its form alone would prove nothing.
    assert all(status in {endpoint.status, 404, 422} for status, _, _ in beside_full)
    assert any(status != 422 for status, _, _ in beside_full)


@each_endpoint
def test_another_workspace_cannot_be_named(api, refused, endpoint):
    key = fresh_world(api, is_a_full=True)
    before = rows_of_a()
    for arguments in FOREIGN[f"{endpoint.method} {endpoint.path}"]:
        place = "json" if "json" in arguments else "query"
        fields = {**arguments.get(place, {}), "workspace_id": WORKSPACE_A}
        response = call(api, endpoint, key, {**arguments, place: fields})
        document = refused(response, 403, "forbidden")
        assert ZEBRA not in json.dumps(document)
    assert rows_of_a() == before


def test_every_table_is_somebodys(api):
    """Or the instance's: the rows of any other would go unnoticed in all tests above."""
    fresh_world(api, is_a_full=True)
    tables = database.execute_sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert {name for (name,) in tables} - NOBODYS == set(rows_of_a())


NO_SUCH_WORKSPACE = 999


@pytest.mark.parametrize(
    "endpoint",
    [e for e in WITH_KEY if e.method == "GET"],
    ids=[e.path for e in WITH_KEY if e.method == "GET"],
)
def test_there_is_nothing_to_read_of_a_workspace_that_is_not_there(api, database, endpoint):
    for arguments in FOREIGN[f"{endpoint.method} {endpoint.path}"]:
        query = {**arguments.get("query", {}), "workspace_id": NO_SUCH_WORKSPACE}
        response = call(api, endpoint, "admin", {**arguments, "query": query})
        assert response.status_code == 404, response.text
