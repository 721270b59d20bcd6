"""GET /v1/api-keys: all keys of a workspace, with what became of them."""

import pytest

from maild.models import ApiKey
from tests.conftest import WORKSPACE_B

PATH = "/v1/api-keys"


def test_it_lists_every_key_newest_first_with_its_state(
    api, admin_a, revoked_a, expired_a, admin_b
):
    page = api("GET", PATH).get_json()
    assert (page["workspace_id"], page["count"], page["next_cursor"]) == (1, 3, None)
    assert [(key["name"], key["state"]) for key in page["api_keys"]] == [
        ("expired", "expired"),
        ("revoked", "revoked"),
        ("the admin", "active"),
    ]
    assert [key["prefix"] for key in page["api_keys"]] == [
        expired_a[:11], revoked_a[:11], admin_a[:11],
    ]  # fmt: skip
    revoked = page["api_keys"][1]
    assert revoked["revoked_by"] == "maild"
    assert revoked["revoked_at"].endswith("Z")


def test_it_tells_no_secret(api, admin_a):
    text = api("GET", PATH).get_data(as_text=True)
    assert admin_a[11:] not in text
    assert bytes(ApiKey.get().key_hash).hex() not in text
    assert "hash" not in text


def test_it_comes_in_pages(api, make_key):
    for number in range(5):
        make_key("sender", name=f"n{number}")
    names, cursor, pages = [], None, 0
    while True:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = api("GET", PATH, query=query).get_json()
        names += [key["name"] for key in page["api_keys"]]
        pages, cursor = pages + 1, page["next_cursor"]
        if cursor is None:
            break
    assert names == ["n4", "n3", "n2", "n1", "n0"]
    assert pages == 3


def test_it_shows_a_workspaces_admin_the_own_ones_only(api, admin_a, admin_b):
    page = api("GET", PATH, key=admin_b).get_json()
    assert page["workspace_id"] == WORKSPACE_B
    assert [key["prefix"] for key in page["api_keys"]] == [admin_b[:11]]


def test_an_empty_list_is_an_answer(api):
    assert api("GET", PATH).get_json()["api_keys"] == []


@pytest.mark.parametrize(
    "query",
    [{"limit": "0"}, {"limit": "201"}, {"limit": "x"}, {"cursor": "x"}, {"cursor": ""},
     {"cursor": "AAAAAAAAAAA="}, {"cursor": "AP__________"}, {"state": "active"}],
)  # fmt: skip
def test_it_refuses_bad_questions(api, refused, query):
    refused(api("GET", PATH, query=query), 400, "invalid_request", *query)
