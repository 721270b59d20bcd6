"""GET /v1/smtp-accounts/list."""

import pytest

from maild import clock, config
from maild.domain.actor import SYSTEM
from maild.domain.breaker import State
from maild.models import Breaker
from maild.services import smtp_accounts
from maild.services.smtp_account_fields import NewSmtpAccount


def save(name, workspace_id=1):
    account = NewSmtpAccount(name, "smtp.example.com", 587, "shop@example.com")
    return smtp_accounts.save(workspace_id, account, by=SYSTEM)


def names(answer):
    return [account["name"] for account in answer["accounts"]]


def test_at_first_there_is_the_account_of_the_environment(api):
    response = api("GET", "/v1/smtp-accounts/list")
    assert response.status_code == 200
    answer = response.get_json()
    assert (answer["workspace_id"], answer["count"]) == (1, 1)
    [account] = answer["accounts"]
    smtp = config.current().smtp
    assert account == {
        "workspace_id": 1,
        "name": "default",
        "host": smtp.host,
        "port": smtp.port,
        "username": None,
        "from_email": smtp.from_email,
        "security": smtp.security,
        "active": True,
        "max_connections": smtp.max_connections,
        "max_per_second": smtp.max_per_second,
        "priority": 0,
        "return_path": None,
        "paused_at": None,
        "pause_reason": None,
        "created_at": None,
        "updated_at": None,
        "health": "healthy",
        "freeze": None,
        "breaker": {
            "state": "closed",
            "reason": None,
            "error_class": None,
            "opened_at": None,
            "retry_at": None,
        },
        "last_fault_at": None,
        "tries_last_hour": None,
        "faults_last_hour": None,
    }


def test_it_lists_accounts_by_name(api):
    for name in ("ses", "mailgun", "postmark"):
        save(name)
    smtp_accounts.activate(1, name="postmark", by=SYSTEM)
    answer = api("GET", "/v1/smtp-accounts/list", key="operator").get_json()
    assert answer["count"] == 4
    assert [(a["name"], a["active"]) for a in answer["accounts"]] == [
        ("default", False),
        ("mailgun", False),
        ("postmark", True),
        ("ses", False),
    ]
    for account in answer["accounts"]:
        assert {"name", "host", "port", "from_email", "active", "updated_at"} <= set(account)
        assert not any("password" in name for name in account)
    assert answer["accounts"][1]["updated_at"].endswith("Z")


def test_it_shows_no_other_workspace(api):
    save("ours")
    save("theirs", workspace_id=2)
    for query, name in (({}, "ours"), ({"workspace_id": 2}, "theirs")):
        answer = api("GET", "/v1/smtp-accounts/list", query=query).get_json()
        assert names(answer) == ["default", name]


def test_it_tells_of_an_open_breaker(api):
    account = save("ses")
    Breaker.insert(
        account_id=account.id,
        state=State.OPEN,
        reason="421 4.7.0 Too busy",
        error_class="rate_limited",
        opened_at=clock.now(),
        retry_at=clock.now(),
        last_fault_at=clock.now(),
    ).execute()
    _, found = api("GET", "/v1/smtp-accounts/list").get_json()["accounts"]
    assert found["health"] == "open"
    assert found["breaker"]["state"] == "open"
    assert found["breaker"]["reason"] == "421 4.7.0 Too busy"
    assert found["breaker"]["retry_at"].endswith("Z")
    assert found["last_fault_at"].endswith("Z")


@pytest.mark.parametrize("query", [{"name": "ses"}, {"limit": "5"}])
def test_it_refuses_an_unknown_parameter(api, refused, database, query):
    response = api("GET", "/v1/smtp-accounts/list", query=query)
    refused(response, 400, "invalid_request", *query)
