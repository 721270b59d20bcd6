"""Who may do what, and that no workspace sees, counts or changes anything of another's: every
declared route, with every kind of caller.

For the second half each route is called by workspace B's admin, twice: beside a workspace A that is
full of rows, and beside an empty one. The answers must not differ, and A's rows neither. A new
route needs lines in FOREIGN; a new table fills itself, or needs a line in ROWS.
"""

import functools
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
from maild.models import Message, Workspace
from maild.services import api_keys
from maild.services.api_keys import NewApiKey
from tests.api.test_auth import REQUESTS, WITH_KEY, each_endpoint, request
from tests.conftest import WORKSPACE_A, WORKSPACE_B

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
ZEBRA = "zebra"
"""Stands in every text of workspace A, and nowhere else."""
EMAIL = f"ann@{ZEBRA}.example"
OTHER_EMAIL = f"bob@{ZEBRA}.example"
IDS = {status: str(uuid.uuid4()) for status in ("queued", "failed", "unknown", "held", "sent")}
SERIAL = 700_000_001
"""The id of each of A's rows that has a number."""
FILTERED = {"filter": {"q": ZEBRA}}
ACCOUNT = {"name": ZEBRA, "host": "smtp.example.com", "port": 587, "from_email": "b@example.com"}
MAIL = {"from_email": EMAIL, "to_email": EMAIL, "subject": "s", "body_text": "t"}


# -- what each role may do ------------------------------------------------------------------------


@pytest.fixture
def keys(request):
    """Each caller's key, by the caller's name."""
    named = {name: request.getfixturevalue(name) for name in (*OF_A, *NOBODY) if name}
    return {None: None, **{name: name for name in INSTANCE}, **named}


@each_endpoint
def test_each_caller_does_what_the_role_may_and_no_more(api, endpoint, keys):
    for caller, role in (INSTANCE | OF_A).items():
        for workspace_id in (None, WORKSPACE_A):
            response = ask(api, endpoint, key=keys[caller], workspace_id=workspace_id)
            # 404, 409: what the request names is not there, or there already.
            allowed = {endpoint.status, 404, 409} if role in endpoint.allow else {403}
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
    changed = {place: {**fields, **named} for place, fields in arguments.items()}
    return request(api, endpoint, key=key, **changed)


# -- what is another workspace's ------------------------------------------------------------------


def by_ids(**fields):
    return [{"json": {"message_ids": list(IDS.values()), **fields}}]


def by_query(*queries):
    return [{"query": query} for query in ({}, *queries)]


def by_json(*bodies):
    return [{"json": body} for body in bodies]


MARK = str(cursor.Cursor(datetime.now(UTC) + timedelta(days=1), uuid.UUID(int=2**128 - 1)))
SERIAL_MARK = serial_cursor.write(SERIAL + 1)

FOREIGN = {
    "POST /v1/messages": by_json(MAIL, {**MAIL, "stream": "marketing"}),
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
    "GET /v1/workspaces/policy": by_query({"version": 1}),
    "POST /v1/workspaces/policy": by_json({"on_limit": "defer", "version": 0}, {}),
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
    "DELETE /v1/api-keys": by_json({"id": SERIAL}),
    "GET /v1/audit": by_query(
        {"actor": ZEBRA}, {"action": ZEBRA}, {"cursor": SERIAL_MARK}, {"to": TOMORROW}
    ),
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
    "POST /v1/webhooks/dismiss": by_json({"event_ids": [SERIAL], "reason": "r"}),
}  # fmt: skip
"""What B asks each route about A's things: by id, by name, by search, by list, by page mark."""

ROWS = {
    "policies": {"version": 1, "on_limit": "reject"},
    "suppressions": {"email": EMAIL, "class": "manual"},
    "unsubscribes": {"email": EMAIL},
    "freezes": {"kind": "recipient_domain", "target": f"{ZEBRA}.example"},
    "smtp_accounts": {"security": "none", "host": "192.0.2.1"},
    "api_keys": {"role": "admin"},
    "attempts": {"status": "sent"},
    "message_bodies": {"body_text": ZEBRA},
    "breakers": {"state": "closed"},
    "webhook_secrets": {"kind": "signing", "endpoint_id": SERIAL},
    "webhook_payloads": {"status": "read", "endpoint_id": SERIAL},
    "provider_events": {
        "payload_id": SERIAL, "status": "ignored", "position": 0, "event_type": "opened",
        "report": json.dumps({ZEBRA: ZEBRA}), "email": EMAIL,
    },
}  # fmt: skip
"""What a row needs that cannot be made up from the types of its columns."""

MADE_UP = {
    "integer": 1, "bigint": 1, "smallint": 1, "real": 1.0, "double precision": 1.0,
    "text": ZEBRA, "jsonb": json.dumps({ZEBRA: ZEBRA}), "boolean": False,
    "timestamp with time zone": datetime(2020, 1, 1, tzinfo=UTC), "ARRAY": [ZEBRA],
    "bytea": b"z" * 32, "uuid": uuid.UUID(IDS["sent"]),
}  # fmt: skip


@functools.cache  # the schema stays what it is, and its own views are slow
def list_tables(column):
    rows = database.execute_sql(
        "SELECT table_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND column_name = %s ORDER BY 1",
        (column,),
    )
    return [name for (name,) in rows]


@functools.cache
def list_columns(table):
    return database.execute_sql(
        "SELECT column_name, data_type, is_nullable = 'NO', column_default"
        " FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s",
        (table,),
    ).fetchall()


def insert(table, values):
    names = ", ".join(f'"{name}"' for name in values)
    places = ", ".join(["%s"] * len(values))
    database.execute_sql(f"INSERT INTO {table} ({names}) VALUES ({places})", list(values.values()))


def fill(table, **keys):
    """A row of the table, with something in every column that needs something."""
    values = {**keys, **ROWS.get(table, {})}
    for name, type_, is_needed, default in list_columns(table):
        if name in values:
            continue
        if default and default.startswith("nextval"):
            values[name] = SERIAL
        elif is_needed and default is None:
            values[name] = MADE_UP[type_]
    insert(table, values)


def fill_messages():
    for status, message_id in IDS.items():
        Message.insert(
            id=message_id,
            workspace=WORKSPACE_A,
            status=status,
            stream="transactional",
            priority=0,
            from_email=EMAIL,
            to_email=EMAIL,
            subject=ZEBRA,
            size_bytes=1,
            tags=[ZEBRA],
            metadata={ZEBRA: ZEBRA},
            smtp_account_name=ZEBRA,
            last_error=ZEBRA,
            error_class=ZEBRA,
            expires_at=datetime(2099, 1, 1, tzinfo=UTC),
            next_attempt_at=datetime(2099, 1, 1, tzinfo=UTC) if status == "queued" else None,
            hold_reason=ZEBRA if status == "held" else None,
        ).execute()


def fill_workspace_a():
    """At least one row in every table, in an order in which each finds what it refers to."""
    fill_messages()
    first = ["suppressions", "unsubscribes", "freezes", "smtp_accounts"]
    first += ["webhook_endpoints", "webhook_payloads"]
    others = [t for t in list_tables("workspace_id") if t not in {"messages", *first}]
    for table in (*first, *others):
        fill(table, workspace_id=WORKSPACE_A)
    for table in set(list_tables("message_id")) - set(list_tables("workspace_id")):
        for message_id in IDS.values():
            fill(table, message_id=message_id)
    for table in list_tables("account_id"):
        fill(table, account_id=SERIAL)


def rows_of_a():
    """Everything that is A's, table by table."""
    queries = {
        **dict.fromkeys(list_tables("workspace_id"), f"workspace_id = {WORKSPACE_A}"),
        **dict.fromkeys(list_tables("account_id"), f"account_id = {SERIAL}"),
        "workspaces": f"id = {WORKSPACE_A}",
    }
    ids = ", ".join(f"'{message_id}'" for message_id in IDS.values())
    for table in set(list_tables("message_id")) - set(queries):
        queries[table] = f"message_id IN ({ids})"
    found = {
        table: database.execute_sql(
            f"SELECT t::text FROM {table} t WHERE {condition} ORDER BY 1"
        ).fetchall()
        for table, condition in queries.items()
    }
    assert [table for table, rows in found.items() if not rows] == [], "A has rows in every table"
    return found


def fresh_world(api, *, is_a_full):
    """Workspaces A and B anew; returns the key of B's admin."""
    Workspace.delete().execute()
    for table in list_tables("account_id"):
        database.execute_sql(f"DELETE FROM {table}")
    Workspace.insert_many(
        [{"id": WORKSPACE_A, "name": ZEBRA}, {"id": WORKSPACE_B, "name": "Other"}]
    ).execute()
    if is_a_full:
        fill_workspace_a()
    new = NewApiKey(name="the admin", role="admin")
    key = api_keys.create(WORKSPACE_B, new, by=SYSTEM)[1]
    assert api.submit(key=key, to_email="eve@example.org").status_code == 201
    return key


def call(api, endpoint, key, arguments):
    arguments = dict(arguments)
    path = re.sub(r"<\w+>", arguments.pop("id", ""), endpoint.path)
    return api(endpoint.method, path, key=key, **arguments)


VARYING = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)", "TIME"),
    (r"mk_[A-Za-z0-9_-]+", "KEY"),
    (r"(/v1/webhooks/[a-z_/]+)/[A-Za-z0-9_-]{43}", r"\1/TOKEN"),
    (r'"(request_id|next_cursor|hash|previous_hash)":\s*"[^"]*"', r'"\1": "..."'),
    (r'"((?:\w+_)?id)":\s*\d+', r'"\1": 0'),
    (r"\bkey \d+\b", "key 0"),
    (r'"ms":\s*[\d.]+', '"ms": 0'),
]
"""What differs between two answers that say the same."""


def told(response):
    """Everything that an answer says, but for names and times that were made up for it."""
    text = response.get_data(as_text=True)
    for pattern, word in VARYING:
        text = re.sub(pattern, word, text)
    headers = sorted((k, v) for k, v in response.headers if k not in NOT_TOLD)
    return response.status_code, headers, text


NOT_TOLD = {"X-Request-ID", "Content-Length", "RateLimit-Reset"}


def test_every_route_is_asked_about_another_workspaces_things():
    assert set(FOREIGN) == {f"{e.method} {e.path}" for e in WITH_KEY}


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
        hidden = [ZEBRA, EMAIL, OTHER_EMAIL, str(SERIAL), *IDS.values()]
        assert [word for word in hidden if word in text and word not in asked] == []
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
        place = "query" if endpoint.method == "GET" else "json"
        fields = {**arguments.get(place, {}), "workspace_id": WORKSPACE_A}
        response = call(api, endpoint, key, {**arguments, place: fields})
        document = refused(response, 403, "forbidden")
        assert ZEBRA not in json.dumps(document)
    assert rows_of_a() == before
