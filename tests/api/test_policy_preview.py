"""POST /v1/workspaces/policy/preview: try a policy on past mail."""

import pytest

from maild.models import PolicyVersion
from maild.services import policy_previews

PATH = "/v1/workspaces/policy/preview"


@pytest.fixture
def sent(api):
    """Submit messages to these addresses; returns their ids."""
    return lambda *addresses: [
        api.submit(to_email=address).get_json()["id"] for address in addresses
    ]


def test_it_tells_what_would_have_become_of_past_messages(api, operator_a, sent):
    ids = sent("a@one.example", "b@one.example", "c@two.example", "d@three.example")
    response = api(
        "POST",
        PATH,
        key=operator_a,
        json={
            "policy": {
                "blocked_recipient_domains": ["two.example"],
                "rate_limit_domain_per_hour": 1,
                "on_limit": "defer",
            },
            "window": "7d",
        },
    )
    assert response.status_code == 200
    answer = response.get_json()
    assert (answer["workspace_id"], answer["window"], answer["looked_at"]) == (1, "7d", 4)
    assert (answer["passed"], answer["deferred"]) == (2, 1)
    assert (answer["rejected"], answer["suppressed"], answer["truncated"]) == (1, 0, False)
    assert answer["by_check"] == {
        "from_domain": 0, "recipient_domain": 1, "workspace_limit": 0, "domain_limit": 1,
    }  # fmt: skip
    assert answer["in_force"]["passed"] == 4
    assert answer["in_force"]["version"] == 0
    assert answer["stopped_domains"] == [
        {"domain": "one.example", "deferred": 1, "rejected": 0},
        {"domain": "two.example", "deferred": 0, "rejected": 1},
    ]
    assert answer["policy"]["rate_limit_domain_per_hour"] == 1
    assert {change["field"] for change in answer["changes"]} == {
        "blocked_recipient_domains", "rate_limit_domain_per_hour", "on_limit",
    }  # fmt: skip
    found = {sample["message_id"]: sample for sample in answer["samples"]}
    assert [found[id_]["outcome"] for id_ in ids] == ["passed", "deferred", "rejected", "passed"]
    waits, blocked = found[ids[1]], found[ids[2]]
    assert (waits["check"], waits["evidence"]["limit"]) == ("domain_limit", 1)
    assert waits["deferred_until"] > waits["created_at"]
    assert (blocked["to_email"], blocked["subject"]) == ("c@two.example", "Hello")
    assert blocked["evidence"] == {"value": "two.example", "entry": "two.example"}
    assert blocked["deferred_until"] is None
    assert PolicyVersion.select().count() == 0


def test_it_looks_back_a_day_unless_told_otherwise(api):
    answer = api("POST", PATH, json={"policy": {}}).get_json()
    assert answer["window"] == "24h"
    assert answer["from"] < answer["to"]


def test_it_sees_nothing_of_another_workspace(api, admin_b, sent):
    sent("a@one.example")
    assert api("POST", PATH, key=admin_b, json={"policy": {}}).get_json()["looked_at"] == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "policy"),
        ({"policy": None}, "policy"),
        ({"policy": {}, "window": "1h"}, "window"),
        ({"policy": {"on_limit": "x"}}, "policy.on_limit"),
        ({"policy": {"blocked_recipient_domains": ["?"]}}, "policy.blocked_recipient_domains.0"),
        ({"policy": {"marketing": {"max_attempts": 0}}}, "policy.marketing.max_attempts"),
        ({"policy": {"version": 1}}, "policy.version"),
    ],
)
def test_it_names_the_field_that_is_wrong(api, refused, body, field):
    refused(api("POST", PATH, json=body), 422, "invalid_fields", field)


def test_one_that_takes_too_long_is_answered_503(api, refused, sent, monkeypatch):
    sent("a@one.example")
    monkeypatch.setattr(policy_previews, "TIMEOUT_SECONDS", -1.0)
    response = api("POST", PATH, json={"policy": {}})
    refused(response, 503, "unavailable")
    assert int(response.headers["Retry-After"]) > 0


@pytest.mark.parametrize("role", ["viewer", "sender"])
def test_an_operator_may_and_nobody_below(api, make_key, refused, role):
    refused(api("POST", PATH, key=make_key(role), json={"policy": {}}), 403, "forbidden")
