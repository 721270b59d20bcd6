"""GET /v1/audit: who did what, newest first."""

import pytest

from maild.db import database
from maild.domain.actor import Actor
from maild.services import audit
from tests.conftest import WORKSPACE_A, WORKSPACE_B

PATH = "/v1/audit"


@pytest.fixture
def write(database):
    def add(count=1, *, workspace_id=WORKSPACE_A, actor="ann", **fields):
        for number in range(count):
            entry = {"action": "thing.done", "target": f"thing {number}", **fields}
            atomically(workspace_id, Actor(actor, "192.0.2.1", "r1"), **entry)

    return add


def atomically(workspace_id, actor, **entry):
    with database.atomic():
        audit.record(workspace_id, actor, **entry)


def read(api, *, key="admin", **query):
    response = api("GET", PATH, key=key, query={k.rstrip("_"): v for k, v in query.items()})
    assert response.status_code == 200, response.get_json(force=True)
    return response.get_json()


def test_it_tells_who_did_what(api, write):
    write(action="policy.changed", before={"a": 1}, after={"a": 2}, reason="why")
    page = read(api)
    [entry] = page["entries"]
    assert entry.pop("at").endswith("Z")
    head = audit.verify(WORKSPACE_A).head
    assert entry == {
        "seq": 1,
        "actor": "ann",
        "actor_ip": "192.0.2.1",
        "request_id": "r1",
        "action": "policy.changed",
        "target": "thing 0",
        "before": {"a": 1},
        "after": {"a": 2},
        "reason": "why",
        "previous_hash": "0" * 64,
        "hash": head.hash.hex(),
    }
    assert (page["workspace_id"], page["count"], page["next_cursor"]) == (WORKSPACE_A, 1, None)


def test_it_comes_in_pages_newest_first(api, write):
    write(5)
    first = read(api, limit=2)
    second = read(api, limit=2, cursor=first["next_cursor"])
    write()  # what comes meanwhile moves nothing
    third = read(api, limit=2, cursor=second["next_cursor"])
    pages = [[entry["seq"] for entry in page["entries"]] for page in (first, second, third)]
    assert pages == [[5, 4], [3, 2], [1]]
    assert third["next_cursor"] is None


def test_it_filters(api, write):
    write(2, action="a", actor="ann")
    write(2, action="b", actor="bob")
    write(1, action="a", actor="bob")

    def seqs(**query):
        return [entry["seq"] for entry in read(api, **query)["entries"]]

    assert seqs(action="a") == [5, 2, 1]
    assert seqs(actor="bob") == [5, 4, 3]
    assert seqs(actor="bob", action="a") == [5]
    assert seqs(actor="nobody") == []
    at = next(e["at"] for e in read(api)["entries"] if e["seq"] == 3)
    assert seqs(from_=at) == [5, 4, 3]
    assert seqs(to=at) == [2, 1]
    assert seqs(from_=at, to="2099-01-01T00:00:00Z", action="b") == [4, 3]


def test_it_shows_a_workspaces_admin_the_own_log_only(api, write, admin_b):
    write(3)
    page = read(api, key=admin_b)
    assert page["workspace_id"] == WORKSPACE_B
    assert [entry["action"] for entry in page["entries"]] == ["api_key.created"]


@pytest.mark.parametrize("role", ["operator_a", "viewer_a", "sender_key_a"])
def test_only_an_admin_reads_it(api, refused, request, role):
    refused(api("GET", PATH, key=request.getfixturevalue(role)), 403, "forbidden")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-01-01T00:00:00"}, "from"),
        ({"to": "5"}, "to"),
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "to"),
        ({"action": ""}, "action"),
        ({"actor": "a\0"}, "actor"),
        ({"since": "2026-01-02T00:00:00Z"}, "since"),
        ({"q": "x"}, "q"),
    ],
)
def test_it_refuses_bad_questions(api, refused, query, named):
    refused(api("GET", PATH, query=query), 400, "invalid_request", named)


def test_it_is_only_ever_read(api, refused):
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        refused(api(method, PATH), 405, "method_not_allowed")
