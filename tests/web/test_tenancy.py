"""No workspace sees, counts or changes anything of another's, by any page: every route of the
console, called by workspace B's admin, beside a workspace A that is full of things and beside an
empty one. The answers must not differ, and A's rows neither. A new route needs a line in FOREIGN.

And what each role may do, and that who is not signed in does nothing.
"""

import difflib
import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from bs4 import BeautifulSoup

from maild.db import database
from maild.domain import cursor, serial_cursor
from maild.domain.role import ADMINS, OPERATORS, READERS
from maild.web import access
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.tenancy import (
    EMAIL,
    HIDDEN,
    IDS,
    OTHER_EMAIL,
    SERIAL,
    ZEBRA,
    make_workspaces,
    rows_of_a,
    told,
)

SAFE = {"GET", "HEAD", "OPTIONS"}
MARK = str(cursor.Cursor(datetime.now(UTC) + timedelta(days=1), uuid.UUID(int=2**128 - 1)))
SERIAL_MARK = serial_cursor.write(SERIAL + 1)
PERSONAL_ONLY = {
    "POST /confirm",
    "GET /confirm/<token>",
    "POST /confirm/<token>",
    "GET /ui/settings",
    "GET /ui/settings/profile",
    "POST /ui/settings/profile",
    "POST /ui/settings/profile/email",
    "GET /ui/settings/security",
    "POST /ui/settings/security/password",
    "GET /ui/settings/security/second-factor",
    "POST /ui/settings/security/second-factor",
    "POST /ui/settings/security/second-factor/off",
    "POST /ui/settings/security/recovery-codes",
    "GET /workspaces/new",
    "POST /workspaces/new",
    "GET /ui/styleguide",
    "GET /ui/styleguide/drawer",
    "POST /ui/styleguide/toast",
}
"""They name nothing that could be another's: what they are about is the person who is signed in."""


PUBLIC = {
    "GET /",
    "GET /login",
    "POST /login",
    "GET /login/code",
    "POST /login/code",
    "POST /logout",
    "GET /signup",
    "POST /signup",
    "GET /reset",
    "POST /reset",
    "GET /reset/<token>",
    "POST /reset/<token>",
    "GET /invitations/<token>",
    "POST /invitations/<token>",
}
"""Open to everybody, on purpose."""


def queries(*given):
    return [{"query": query} for query in ({}, *given)]


def forms(*given):
    return [{"form": form} for form in given]


def each_message(**more):
    return [{"ids": {"message_id": message_id}, **more} for message_id in IDS.values()]


FOREIGN = {
    "GET /dashboard": queries(),
    "POST /workspaces/switch": forms({"to": WORKSPACE_A}, {"to": 0}),
    "GET /ui": queries({"seen": "x"}),
    "GET /ui/logs": queries(
        {"q": ZEBRA}, {"q": EMAIL}, {"q": IDS["sent"]}, {"q": f"<{IDS['sent']}@localhost>"},
        {"to_email": EMAIL}, {"from_email": EMAIL}, {"tag": ZEBRA}, {"smtp_account": ZEBRA},
        {"error_class": ZEBRA}, {"status": "failed"}, {"older_than": MARK},
    ),
    "GET /ui/logs/tail": [
        {"query": {"after": "AZrSSr0AAAAAAAAAAAAAAAAAAAAAAAAAAAA", "q": ZEBRA}},
        {"query": {"after": MARK, "watch": f"{IDS['queued']}:queued"}},
        {"query": {"after": MARK, "watch": f"{IDS['queued']}:sending"}},
    ],
    "GET /ui/messages/<uuid:message_id>": each_message(),
    "GET /ui/messages/<uuid:message_id>/preview": each_message(),
    "GET /ui/messages/<uuid:message_id>/text": each_message(),
    "POST /ui/settings/security/sessions/end": forms({"session": SERIAL}),
    "GET /ui/settings/members": queries(),
    "POST /ui/settings/members/role": forms({"person": SERIAL, "role": "viewer"}),
    "POST /ui/settings/members/remove": forms({"person": SERIAL}),
    "POST /ui/settings/members/restore": forms({"removal": "x"}, {"person": SERIAL}),
    "GET /ui/settings/invitations": queries(),
    "POST /ui/settings/invitations": forms(
        {"email": OTHER_EMAIL, "role": "viewer"}, {"email": EMAIL, "role": "viewer"}
    ),
    "POST /ui/settings/invitations/again": forms({"invitation": SERIAL}),
    "POST /ui/settings/invitations/revoke": forms({"invitation": SERIAL}),
    "POST /ui/settings/invitations/restore": forms({"invitation": SERIAL}),
    "GET /ui/settings/api-keys": queries({"older_than": SERIAL_MARK}),
    "POST /ui/settings/api-keys": forms({"name": ZEBRA, "role": "admin", "expires": "never"}),
    "POST /ui/settings/api-keys/revoke": forms({"key": SERIAL}),
    "GET /ui/settings/audit": queries(
        {"actor": ZEBRA}, {"action": ZEBRA}, {"older_than": SERIAL_MARK}
    ),
    "GET /ui/settings/audit/check": queries({"kept": f"1:{'7a' * 32}"}),
    "GET /ui/settings/workspace": queries({"workspace_id": WORKSPACE_A}),
    "POST /ui/settings/workspace": forms({"name": "Mine"}),
    "POST /ui/settings/workspace/leave": forms({}),
}  # fmt: skip
"""What B asks each route about A's things: by id, by name, by search, by list, by page mark."""


def key_of(rule, method):
    return f"{method} {rule.rule}"


def list_routes(app, *, with_public=False):
    """(`GET /path`, who may) of every route that is not open to everybody, or of all."""
    found = {}
    for rule in app.url_map.iter_rules():
        if rule.endpoint.partition(".")[0] not in access._guarded:
            continue
        need = getattr(app.view_functions[rule.endpoint], "access", READERS)
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            if need != "public" or with_public:
                found[key_of(rule, method)] = need
    return found


def call(client, key, arguments, *, workspace_id):
    method, _, rule = key.partition(" ")
    path = rule
    for name, value in arguments.get("ids", {}).items():
        path = path.replace(f"<uuid:{name}>", value)
    if method == "GET":
        return client.get(path, query_string=arguments.get("query"))
    page = BeautifulSoup(client.get("/reset").text, "html.parser")
    form = {
        "csrf_token": page.select_one("[name=csrf_token]")["value"],
        "workspace_id": workspace_id,
        **arguments["form"],
    }
    return client.post(path, data=form)


@pytest.fixture
def world(make_person, sign_in):
    """Call to make the workspaces anew; returns the browser of B's admin."""

    def make(*, is_a_full):
        make_workspaces(is_a_full=is_a_full)
        database.execute_sql("SELECT setval('people_id_seq', 10), setval('sessions_id_seq', 10)")
        person = make_person("bob@b.example", "admin", workspace_id=WORKSPACE_B)
        return sign_in(person)

    return make


def test_every_route_is_asked_about_another_workspaces_things(app):
    assert set(FOREIGN) | PERSONAL_ONLY == set(list_routes(app))
    assert not set(FOREIGN) & PERSONAL_ONLY


def test_nothing_is_open_to_everybody_by_mistake(app):
    found = list_routes(app, with_public=True)
    assert {key for key, need in found.items() if need == "public"} == PUBLIC


@pytest.mark.parametrize("key", FOREIGN)
def test_nothing_of_another_workspace_is_seen_or_changed(world, key):
    answers = {}
    for is_a_full in (False, True):
        client = world(is_a_full=is_a_full)
        before = rows_of_a() if is_a_full else None
        answers[is_a_full] = []
        for arguments in FOREIGN[key]:
            response = call(client, key, arguments, workspace_id=WORKSPACE_B)
            answers[is_a_full].append(told(response))
            assert response.status_code < 500
            asked = json.dumps(arguments)
            shown = [word for word in HIDDEN if word in response.text and word not in asked]
            assert shown == []
        if is_a_full:
            assert rows_of_a() == before
    for full, empty in zip(answers[True], answers[False], strict=True):
        assert full[:2] == empty[:2]
        lines = empty[2].splitlines(), full[2].splitlines()
        assert "\n".join(difflib.unified_diff(*lines, n=0)) == ""


@pytest.mark.parametrize(
    "key", [key for key in FOREIGN if key[:4] == "POST" and key != "POST /workspaces/switch"]
)
def test_a_form_that_names_another_workspace_changes_nothing(world, key):
    client = world(is_a_full=True)
    before = rows_of_a()
    for arguments in FOREIGN[key]:
        response = call(client, key, arguments, workspace_id=WORKSPACE_A)
        if key != "POST /ui/settings/security/sessions/end":  # a person's own, of no workspace
            assert response.status_code == 409
    assert rows_of_a() == before


@pytest.mark.parametrize("role", ["admin", "operator", "viewer"])
def test_each_role_does_what_it_may_and_no_more(app, make_person, sign_in, role):
    for number, (key, need) in enumerate(list_routes(app).items()):
        if need == "personal":
            continue
        person = make_person(f"otto{number}@a.example", role)  # they may have left with the last
        response = call(sign_in(person), key, FOREIGN[key][0], workspace_id=WORKSPACE_A)
        is_refused = response.status_code == 403
        assert is_refused == (role not in need), (key, response.status_code)


@pytest.mark.parametrize("key", [*FOREIGN, *sorted(PERSONAL_ONLY)])
def test_who_is_not_signed_in_does_nothing(anonymous, key):
    arguments = (FOREIGN.get(key) or [{"form": {}}])[0]
    response = call(anonymous, key, arguments, workspace_id=WORKSPACE_A)
    if key.startswith("GET"):
        assert response.status_code == 303
        assert response.location.startswith("/login")
    else:
        assert response.status_code == 401


@pytest.mark.parametrize(
    "key", [k for k in [*FOREIGN, *sorted(PERSONAL_ONLY)] if k.startswith("POST")]
)
def test_no_form_is_taken_without_its_token(client, key):
    form = (FOREIGN.get(key) or [{"form": {}}])[0]["form"]
    for headers in ({}, {"HX-Request": "true"}, {"Origin": "https://evil.example"}):
        response = client.post(
            key.partition(" ")[2], data={"workspace_id": WORKSPACE_A, **form}, headers=headers
        )
        assert response.status_code == 400


def test_what_an_operator_may_is_within_what_an_admin_may(app):
    needs = [need for need in list_routes(app).values() if need != "personal"]
    assert all(need in (READERS, OPERATORS, ADMINS) for need in needs)
