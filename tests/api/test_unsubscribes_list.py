"""GET /v1/unsubscribes: who opted out of what."""

import pytest

PATH = "/v1/unsubscribes"


@pytest.fixture
def add(api):
    def make(email, **fields):
        return api("POST", PATH, json={"email": email, **fields}).get_json()

    return make


def test_it_lists_the_newest_first_in_pages(api, add):
    added = [add(f"user{n}@example.org") for n in range(3)]
    add("other@example.org", workspace_id=2)
    first = api("GET", PATH, key="operator", query={"limit": 2}).get_json()
    assert (first["workspace_id"], first["count"]) == (1, 2)
    second = api("GET", PATH, query={"limit": 2, "cursor": first["next_cursor"]}).get_json()
    assert second["next_cursor"] is None
    found = first["unsubscribes"] + second["unsubscribes"]
    assert [row["email"] for row in found] == [row["email"] for row in reversed(added)]
    assert found[0].items() <= added[2].items()


def test_it_filters(api, add):
    add("ann@example.org", topic="news")
    add("bob@example.org", topic="offers")
    api("DELETE", PATH, json={"email": "bob@example.org", "topic": "offers", "reason": "r"})

    def emails(**query):
        page = api("GET", PATH, query=query).get_json()
        return [row["email"] for row in page["unsubscribes"]]

    assert emails(email="ANN@example.org") == ["ann@example.org"]
    assert emails(topic="News") == ["ann@example.org"]
    assert emails(source="page") == []
    assert emails(state="in_force") == ["ann@example.org"]
    assert emails(state="removed") == ["bob@example.org"]


def test_an_empty_list_is_one(api):
    assert api("GET", PATH).get_json()["unsubscribes"] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"), ("limit", "201"), ("limit", "x"), ("cursor", "x"), ("cursor", "AAAA"),
        ("email", "ann"), ("state", "gone"), ("topic", ""), ("nonsense", "1"),
    ],
)  # fmt: skip
def test_it_refuses_what_it_does_not_know(api, refused, name, value):
    refused(api("GET", PATH, query={name: value}), 400, "invalid_request", name)
