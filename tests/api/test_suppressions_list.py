"""GET /v1/suppressions."""

import uuid

import pytest

from maild.domain.states import Stream
from maild.domain.suppression import SuppressionClass
from maild.services import suppressions

PATH = "/v1/suppressions"


def add(email, *, workspace_id=1, **fields):
    values = {"reason": "r", "source": "api", **fields}
    return suppressions.add(workspace_id, email, **values)


def names(response):
    assert response.status_code == 200, response.get_data(as_text=True)
    return [row["email"].partition("@")[0] for row in response.get_json()["suppressions"]]


def test_it_lists_them_newest_first_in_pages(api):
    for name in ("ann", "bob", "cid"):
        add(f"{name}@example.org")
    add("eve@example.org", workspace_id=2)
    first = api("GET", PATH, key="operator", query={"limit": 2})
    assert names(first) == ["cid", "bob"]
    page = first.get_json()
    assert (page["workspace_id"], page["count"]) == (1, 2)
    last = api("GET", PATH, query={"limit": 2, "cursor": page["next_cursor"]})
    assert names(last) == ["ann"]
    assert last.get_json()["next_cursor"] is None


def test_each_says_where_it_came_from(api):
    message_id = uuid.uuid4()
    add(
        "ann@example.org",
        reason="550 no such user",
        source="smtp_reply",
        class_=SuppressionClass.HARD_BOUNCE,
        message_id=message_id,
    )
    [row] = api("GET", PATH).get_json()["suppressions"]
    expected = {
        "reason": "550 no such user",
        "source": "smtp_reply",
        "class": "hard_bounce",
        "message_id": str(message_id),
        "created_by": "maild",
        "state": "in_force",
    }
    assert expected.items() <= row.items()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"email": "JO\u0308RG@xn--mller-kva.example"}, ["jörg"]),
        ({"source": "import"}, ["bob"]),
        ({"class": "complaint"}, ["bob"]),
        ({"stream": "marketing"}, ["cid"]),
        ({"stream": "all"}, ["bob", "jörg"]),
        ({"state": "in_force"}, ["cid", "bob", "jörg"]),
        ({"state": "expired"}, []),
        ({"state": "removed"}, ["dan"]),
        ({"state": "all"}, ["dan", "cid", "bob", "jörg"]),
    ],
)
def test_it_filters(api, query, found):
    add("jörg@müller.example")
    add("bob@example.org", source="import", class_=SuppressionClass.COMPLAINT)
    add("cid@example.org", stream=Stream.MARKETING)
    add("dan@example.org")
    api("DELETE", PATH, json={"email": "dan@example.org", "reason": "r"})
    assert names(api("GET", PATH, query=query)) == found


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"email": "ann"}, "email"),
        ({"class": "rubbish"}, "class"),
        ({"stream": "fax"}, "stream"),
        ({"state": "gone"}, "state"),
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"q": "ann"}, "q"),
    ],
)
def test_it_ignores_no_bad_value(api, refused, query, field):
    refused(api("GET", PATH, query=query), 400, "invalid_request", field)
