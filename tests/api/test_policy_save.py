"""POST /v1/workspaces/policy: change the rules."""

import pytest

from maild.models import PolicyVersion
from tests.conftest import WORKSPACE_A

PATH = "/v1/workspaces/policy"


def test_it_answers_the_new_version_and_what_it_changed(api, admin_a):
    response = api(
        "POST",
        PATH,
        key=admin_a,
        json={
            "rate_limit_domain_per_hour": None,
            "blocked_recipient_domains": ["tempmail.com", "XN--BCHER-KVA.example"],
            "marketing": {"max_attempts": 3},
            "reason": "spring sale",
        },
    )
    assert response.status_code == 200
    answer = response.get_json()
    assert (answer["status"], answer["version"], answer["source"]) == ("saved", 1, "workspace")
    assert (answer["reason"], answer["workspace_id"]) == ("spring sale", WORKSPACE_A)
    assert answer["created_by"].startswith("key mk_")
    limit, domains, attempts = answer["changes"]
    assert limit["field"] == "rate_limit_domain_per_hour"
    assert (limit["before"], limit["after"], limit["added"]) == (100_000_000, None, None)
    assert domains == {
        "field": "blocked_recipient_domains",
        "before": None,
        "after": None,
        "added": ["bücher.example"],
        "added_count": 1,
        "removed": ["mailinator.com"],
        "removed_count": 1,
    }
    assert (attempts["field"], attempts["before"], attempts["after"]) == (
        "marketing.max_attempts", 9, 3,
    )  # fmt: skip
    shown = api("GET", PATH).get_json()
    assert shown == {name: answer[name] for name in shown}


def test_what_is_left_out_or_null_stays_as_it_is(api):
    api("POST", PATH, json={"rate_limit_workspace_per_hour": 5, "soft_bounce_threshold": 7})
    same = {
        "on_limit": None, "marketing": {"max_attempts": None}, "soft_bounce_threshold": None,
        "blocked_recipient_domains": None,
    }  # fmt: skip
    assert api("POST", PATH, json=same).get_json()["status"] == "unchanged"
    assert api("GET", PATH).get_json()["rate_limit_workspace_per_hour"] == 5
    lifted = api("POST", PATH, json={"rate_limit_workspace_per_hour": None}).get_json()
    assert (lifted["version"], lifted["rate_limit_workspace_per_hour"]) == (2, None)


def test_one_that_changes_nothing_says_so_and_writes_nothing(api):
    api("POST", PATH, json={"on_limit": "defer"})
    answer = api("POST", PATH, json={"on_limit": "defer", "reason": "again"}).get_json()
    assert (answer["status"], answer["version"], answer["changes"]) == ("unchanged", 1, [])
    assert PolicyVersion.select().count() == 1


@pytest.mark.proves("decide-versions")
def test_it_refuses_a_stale_version(api, refused):
    assert api("POST", PATH, json={"on_limit": "defer", "version": 0}).status_code == 200
    response = api("POST", PATH, json={"on_limit": "reject", "version": 0})
    document = refused(response, 409, "conflict")
    assert "Version 1" in document["detail"]
    assert "admin key" in document["detail"]
    assert api("POST", PATH, json={"on_limit": "reject", "version": 1}).status_code == 200


def test_it_holds_from_the_next_message_on(api, refused):
    api("POST", PATH, json={"blocked_recipient_domains": ["*.example.org", "example.org"]})
    refused(api.submit(), 422, "blocked_recipient_domain", "to_email")
    api("POST", PATH, json={"blocked_recipient_domains": []})
    assert api.submit().status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"rate_limit_workspace_per_hour": -1}, "rate_limit_workspace_per_hour"),
        ({"rate_limit_domain_per_hour": "many"}, "rate_limit_domain_per_hour"),
        ({"on_limit": "wait"}, "on_limit"),
        ({"blocked_recipient_domains": ["a.example", "?"]}, "blocked_recipient_domains.1"),
        ({"blocked_recipient_domains": "a.example"}, "blocked_recipient_domains"),
        ({"allowed_from_domains": [1]}, "allowed_from_domains.0"),
        ({"transactional": {"max_attempts": 101}}, "transactional.max_attempts"),
        ({"transactional": {"attempts": 1}}, "transactional.attempts"),
        ({"marketing": {"unknown_outcome": "x"}}, "marketing.unknown_outcome"),
        ({"marketing": 5}, "marketing"),
        ({"soft_bounce_threshold": 0}, "soft_bounce_threshold"),
        ({"version": -1}, "version"),
        ({"version": "1"}, "version"),
        ({"reason": "a\nb"}, "reason"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_it_names_the_field_that_is_wrong(api, refused, body, field):
    refused(api("POST", PATH, json=body), 422, "invalid_fields", field)
    assert PolicyVersion.select().count() == 0


def test_ten_thousand_domains_are_taken_and_no_more(api, refused):
    domains = [f"d{number}.example" for number in range(10_000)]
    answer = api("POST", PATH, json={"blocked_recipient_domains": domains}).get_json()
    [change] = answer["changes"]
    assert (change["added_count"], len(change["added"])) == (10_000, 100)
    too_many = {"blocked_recipient_domains": [*domains, "one.example"]}
    response = api("POST", PATH, json=too_many)
    refused(response, 422, "invalid_fields", "blocked_recipient_domains")


@pytest.mark.parametrize("role", ["operator", "viewer", "sender"])
def test_only_an_admin_may(api, make_key, refused, role):
    response = api("POST", PATH, key=make_key(role), json={"on_limit": "defer"})
    refused(response, 403, "forbidden")


def test_an_admin_of_another_workspace_may_not(api, admin_b, refused):
    body = {"on_limit": "defer", "workspace_id": WORKSPACE_A}
    refused(api("POST", PATH, key=admin_b, json=body), 403, "forbidden")
    assert PolicyVersion.select().count() == 0
