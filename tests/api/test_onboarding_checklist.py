"""GET /v1/ops/onboarding-checklist: how far a workspace is set up, and what shows it."""

from maild.domain.actor import SYSTEM
from maild.services import onboarding, policy_reviews, smtp_accounts
from maild.services.smtp_account_fields import NewSmtpAccount
from tests.conftest import WORKSPACE_A, WORKSPACE_B

PATH = "/v1/ops/onboarding-checklist"


def read(api, **query):
    response = api("GET", PATH, key="admin", query=query)
    assert response.status_code == 200, response.get_data(as_text=True)
    return response.get_json()


def test_it_lists_the_seven_items_with_evidence_and_what_to_do(api):
    new = NewSmtpAccount(name="main", host="127.0.0.1", port=2525, from_email="shop@example.com")
    smtp_accounts.save(WORKSPACE_A, new, by=SYSTEM)
    policy_reviews.mark(WORKSPACE_A, version=0, by=SYSTEM)
    answer = read(api)
    assert answer["workspace_id"] == WORKSPACE_A
    assert answer["generated_at"].endswith("Z")
    assert (answer["completed"], answer["total"]) == (2, 7)
    assert [item["id"] for item in answer["items"]] == list(onboarding.CHECKLIST)
    for item in answer["items"]:
        assert set(item) == {"id", "title", "description", "done", "evidence", "action"}
        assert item["evidence"]["summary"]
        assert item["action"]
    found = {item["id"]: item for item in answer["items"]}
    assert found["smtp_account_configured"]["evidence"]["accounts"] == ["main"]
    reviewed = found["workspace_policy_reviewed"]
    assert reviewed["done"]
    assert reviewed["evidence"]["at"].endswith("Z")
    assert "/ui/onboarding/provider" in found["active_smtp_provider_selected"]["action"]


def test_it_is_of_the_workspace_that_is_asked_for(api):
    policy_reviews.mark(WORKSPACE_A, version=0, by=SYSTEM)
    assert read(api, workspace_id=WORKSPACE_B)["completed"] == 0


def test_there_is_none_of_no_workspace(api, refused):
    refused(api("GET", PATH, key="admin", query={"workspace_id": 999}), 404, "not_found")


def test_it_refuses_what_it_does_not_know(api, refused):
    refused(api("GET", PATH, key="admin", query={"step": "provider"}), 400, "invalid_request")
