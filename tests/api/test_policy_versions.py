"""GET /v1/workspaces/policy/versions: what was changed, when and by whom."""

import pytest

PATH = "/v1/workspaces/policy/versions"
POLICY = "/v1/workspaces/policy"


def test_it_lists_the_newest_first_in_pages(api, viewer_a):
    for threshold in (6, 7, 8):
        api("POST", POLICY, json={"soft_bounce_threshold": threshold, "reason": f"to {threshold}"})
    api("POST", POLICY, json={"on_limit": "defer", "workspace_id": 2})
    first = api("GET", PATH, key=viewer_a, query={"limit": 2}).get_json()
    assert (first["workspace_id"], first["count"]) == (1, 2)
    second = api("GET", PATH, query={"limit": 2, "cursor": first["next_cursor"]}).get_json()
    assert second["next_cursor"] is None
    found = first["versions"] + second["versions"]
    assert [version["version"] for version in found] == [3, 2, 1]
    assert [version["reason"] for version in found] == ["to 8", "to 7", "to 6"]
    assert {version["created_by"] for version in found} == {"admin key"}
    assert [
        (change["field"], change["before"], change["after"])
        for version in found
        for change in version["changes"]
    ] == [("soft_bounce_threshold", n - 1, n) for n in (8, 7, 6)]


def test_without_a_version_it_is_empty(api, admin_b):
    api("POST", POLICY, json={"on_limit": "defer"})
    page = api("GET", PATH, key=admin_b).get_json()
    assert page == {"workspace_id": 2, "count": 0, "versions": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", "0"), ("limit", "21"), ("cursor", "x"), ("cursor", ""), ("nonsense", "1")],
)
def test_it_refuses_what_it_does_not_know(api, refused, name, value):
    refused(api("GET", PATH, query={name: value}), 400, "invalid_request", name)
