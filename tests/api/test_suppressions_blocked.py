"""GET /v1/suppressions/blocked: what one has stopped."""

import pytest

from maild.domain.states import Status
from maild.models import Message
from maild.services import suppressions

PATH = "/v1/suppressions/blocked"


@pytest.fixture
def block(accept):
    """A suppression of workspace A, and messages that it has stopped."""

    def make(count):
        row = suppressions.add(1, "ann@example.org", reason="r", source="test")
        ids = []
        for _ in range(count):
            message = accept()
            Message.update(
                status=Status.SUPPRESSED, next_attempt_at=None, suppression=row.id
            ).where(Message.id == message.id).execute()
            ids.append(str(message.id))
        return row.id, ids

    return make


def test_it_lists_them_newest_first_in_pages(api, block, accept):
    suppression_id, ids = block(3)
    accept(to_email="bob@example.org")
    first = api("GET", PATH, query={"suppression_id": suppression_id, "limit": 2}, key="operator")
    page = first.get_json()
    assert [m["id"] for m in page["messages"]] == [ids[2], ids[1]]
    assert (page["count"], page["suppression"]["email"]) == (2, "ann@example.org")
    assert page["messages"][0]["status"] == "suppressed"
    assert page["messages"][0]["to_email"] == "ann@example.org"
    query = {"suppression_id": suppression_id, "limit": 2, "cursor": page["next_cursor"]}
    page = api("GET", PATH, query=query).get_json()
    assert [m["id"] for m in page["messages"]] == [ids[0]]
    assert page["next_cursor"] is None


def test_it_tells_nothing_of_another_workspaces(api, refused, block):
    suppression_id, _ = block(1)
    query = {"suppression_id": suppression_id, "workspace_id": 2}
    refused(api("GET", PATH, query=query), 404, "not_found")
    refused(api("GET", PATH, query={"suppression_id": 2**31 - 1}), 404, "not_found")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "suppression_id"),
        ({"suppression_id": "0"}, "suppression_id"),
        ({"suppression_id": str(2**31)}, "suppression_id"),
        ({"suppression_id": "x"}, "suppression_id"),
        ({"suppression_id": "1", "cursor": "x"}, "cursor"),
        ({"suppression_id": "1", "limit": "x"}, "limit"),
    ],
)
def test_it_names_what_it_does_not_take(api, refused, query, field):
    refused(api("GET", PATH, query=query), 400, "invalid_request", field)
