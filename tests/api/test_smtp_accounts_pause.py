"""POST /v1/smtp-accounts/pause."""

import pytest

from maild.domain.actor import SYSTEM
from maild.models import SmtpAccount
from maild.services import smtp_accounts
from maild.services.smtp_account_fields import NewSmtpAccount


@pytest.fixture
def accounts(database):
    for workspace_id, name in ((1, "ses"), (2, "theirs")):
        account = NewSmtpAccount(name, "smtp.example.com", 587, "shop@example.com")
        smtp_accounts.save(workspace_id, account, by=SYSTEM)


def pause(api, **body):
    return api("POST", "/v1/smtp-accounts/pause", json={"reason": "bounces", **body})


def paused():
    return sorted(row.name for row in SmtpAccount.select() if row.paused_at)


def test_it_pauses_an_account(api, accounts):
    response = pause(api, name="ses")
    assert response.status_code == 200
    answer = response.get_json()
    assert answer.pop("paused_at").endswith("Z")
    assert answer == {
        "workspace_id": 1,
        "name": "ses",
        "status": "paused",
        "pause_reason": "bounces",
    }
    _, account = api("GET", "/v1/smtp-accounts/list").get_json()["accounts"]
    assert (account["health"], account["pause_reason"]) == ("paused", "bounces")


def test_pausing_twice_keeps_the_first_reason(api, accounts):
    first = pause(api, name="ses").get_json()
    assert pause(api, name="ses", reason="another").get_json() == first


@pytest.mark.parametrize("name", ["theirs", "nobody"])
def test_it_answers_404_for_an_account_of_nobody_or_of_others(api, refused, accounts, name):
    refused(pause(api, name=name), 404, "not_found")
    assert paused() == []


def test_it_does_not_pause_the_account_of_the_environment(api, refused, accounts):
    refused(pause(api, name="default"), 422, "invalid_fields", "name")


@pytest.mark.parametrize("reason", ["", " ", "a\nb", "x" * 501, 5, None])
def test_it_wants_a_reason(api, refused, accounts, reason):
    refused(pause(api, name="ses", reason=reason), 422, "invalid_fields", "reason")
    assert paused() == []
