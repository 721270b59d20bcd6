"""POST /v1/workspaces/policy/rollback: bring earlier rules back."""

import pytest

from maild.models import AuditEntry

PATH = "/v1/workspaces/policy/rollback"
POLICY = "/v1/workspaces/policy"


@pytest.mark.proves("decide-versions")
def test_it_writes_a_new_version_with_the_old_rules(api, admin_a):
    api("POST", POLICY, json={"on_limit": "defer"})
    api("POST", POLICY, json={"on_limit": "reject", "soft_bounce_threshold": 9})
    response = api("POST", PATH, key=admin_a, json={"version": 1, "reason": "too strict"})
    assert response.status_code == 200
    answer = response.get_json()
    assert (answer["version"], answer["restored_version"]) == (3, 1)
    assert (answer["on_limit"], answer["soft_bounce_threshold"]) == ("defer", 5)
    assert (answer["status"], answer["reason"]) == ("saved", "too strict")
    entry = AuditEntry.select().order_by(AuditEntry.at.desc()).first()
    assert (entry.action, entry.reason) == ("policy.changed", "too strict")
    assert entry.after["restored_version"] == 1


def test_0_is_the_instances_defaults(api):
    api("POST", POLICY, json={"on_limit": "defer"})
    answer = api("POST", PATH, json={"version": 0}).get_json()
    assert (answer["version"], answer["restored_version"], answer["on_limit"]) == (2, 0, "reject")


def test_what_is_in_force_already_stays(api):
    api("POST", POLICY, json={"on_limit": "defer"})
    assert api("POST", PATH, json={"version": 1}).get_json()["status"] == "unchanged"


def test_it_answers_404_for_a_version_that_is_not_there(api, refused, admin_b):
    api("POST", POLICY, json={"on_limit": "defer"})
    refused(api("POST", PATH, json={"version": 2}), 404, "not_found")
    refused(api("POST", PATH, key=admin_b, json={"version": 1}), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "version"), ({"version": -1}, "version"), ({"version": None}, "version"),
     ({"version": 0, "reason": ""}, "reason"), ({"version": 0, "colour": 1}, "colour")],
)  # fmt: skip
def test_it_names_the_field_that_is_wrong(api, refused, body, field):
    refused(api("POST", PATH, json=body), 422, "invalid_fields", field)


@pytest.mark.parametrize("role", ["operator", "viewer", "sender"])
def test_only_an_admin_may(api, make_key, refused, role):
    refused(api("POST", PATH, key=make_key(role), json={"version": 0}), 403, "forbidden")
