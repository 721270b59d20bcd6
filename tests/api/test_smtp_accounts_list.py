"""GET /v1/smtp-accounts/list."""

import pytest

from maild.services import smtp_accounts
from maild.services.smtp_accounts import NewSmtpAccount


def save(name, workspace_id=1):
    account = NewSmtpAccount(name, "smtp.example.com", 587, "shop@example.com")
    return smtp_accounts.save(workspace_id, account)


def test_it_is_empty_at_first(api):
    response = api("GET", "/v1/smtp-accounts/list")
    assert response.status_code == 200
    assert response.get_json() == {"workspace_id": 1, "count": 0, "accounts": []}


def test_it_lists_accounts_by_name(api):
    for name in ("ses", "mailgun", "postmark"):
        save(name)
    smtp_accounts.activate(1, name="postmark")
    answer = api("GET", "/v1/smtp-accounts/list", key="operator").get_json()
    assert answer["count"] == 3
    assert [(a["name"], a["active"]) for a in answer["accounts"]] == [
        ("mailgun", False),
        ("postmark", True),
        ("ses", False),
    ]
    for account in answer["accounts"]:
        assert {"name", "host", "port", "from_email", "active", "updated_at"} <= set(account)
        assert not any("password" in name for name in account)
        assert account["updated_at"].endswith("Z")


def test_it_shows_no_other_workspace(api):
    save("ours")
    save("theirs", workspace_id=2)
    for query, name in (({}, "ours"), ({"workspace_id": 2}, "theirs")):
        answer = api("GET", "/v1/smtp-accounts/list", query=query).get_json()
        assert [account["name"] for account in answer["accounts"]] == [name]


@pytest.mark.parametrize("query", [{"name": "ses"}, {"limit": "5"}])
def test_it_refuses_an_unknown_parameter(api, refused, database, query):
    response = api("GET", "/v1/smtp-accounts/list", query=query)
    refused(response, 400, "invalid_request", *query)
