"""GET /v1/workspaces/policy: the rules that hold."""

import pytest

PATH = "/v1/workspaces/policy"


def test_without_one_of_its_own_it_shows_the_instances_defaults(api, viewer_a, settings):
    answer = api("GET", PATH, key=viewer_a).get_json()
    assert answer == {
        "workspace_id": 1,
        "version": 0,
        "source": "instance",
        "rate_limit_workspace_per_hour": settings.rate_limit_workspace_per_hour,
        "rate_limit_domain_per_hour": settings.rate_limit_domain_per_hour,
        "on_limit": "reject",
        "blocked_recipient_domains": ["mailinator.com", "tempmail.com"],
        "allowed_from_domains": [],
        "transactional": {
            "max_attempts": 9, "lifetime_seconds": 172_800, "unknown_outcome": "hold",
        },
        "marketing": {"max_attempts": 9, "lifetime_seconds": 345_600, "unknown_outcome": "hold"},
        "soft_bounce_threshold": 5,
        "created_at": None,
        "created_by": None,
        "reason": None,
        "restored_version": None,
    }  # fmt: skip


def test_it_shows_the_newest_version_and_earlier_ones(api):
    api("POST", PATH, json={"on_limit": "defer", "reason": "first"})
    api("POST", PATH, json={"soft_bounce_threshold": 7})
    now = api("GET", PATH, key="operator").get_json()
    assert (now["version"], now["source"], now["created_by"]) == (2, "workspace", "admin key")
    assert (now["on_limit"], now["soft_bounce_threshold"]) == ("defer", 7)
    first = api("GET", PATH, query={"version": 1}).get_json()
    assert (first["version"], first["soft_bounce_threshold"], first["reason"]) == (1, 5, "first")
    assert api("GET", PATH, query={"version": 0}).get_json()["source"] == "instance"


def test_another_workspaces_policy_is_its_own(api, admin_b, refused):
    api("POST", PATH, json={"on_limit": "defer"})
    assert api("GET", PATH, key=admin_b).get_json()["version"] == 0
    refused(api("GET", PATH, key=admin_b, query={"workspace_id": 1}), 403, "forbidden")
    refused(api("GET", PATH, key=admin_b, query={"version": 1}), 404, "not_found")


def test_a_sender_may_not_see_it(api, sender_key_a, refused):
    refused(api("GET", PATH, key=sender_key_a), 403, "forbidden")


@pytest.mark.parametrize(("name", "value"), [("version", "-1"), ("version", "x"), ("v", "1")])
def test_it_refuses_what_it_does_not_know(api, refused, name, value):
    refused(api("GET", PATH, query={name: value}), 400, "invalid_request", name)
