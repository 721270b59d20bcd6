"""POST /v1/smtp-accounts/resume."""

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


@pytest.fixture
def paused(accounts):
    smtp_accounts.pause(1, name="ses", reason="bounces", by=SYSTEM)
    smtp_accounts.pause(2, name="theirs", reason="bounces", by=SYSTEM)


def resume(api, **body):
    return api("POST", "/v1/smtp-accounts/resume", json=body)


def test_it_lets_mail_through_again(api, paused):
    for _ in range(2):
        response = resume(api, name="ses")
        assert response.status_code == 200
        assert response.get_json() == {
            "workspace_id": 1,
            "name": "ses",
            "status": "resumed",
            "paused_at": None,
            "pause_reason": None,
        }
    assert [row.name for row in SmtpAccount.select() if row.paused_at] == ["theirs"]


@pytest.mark.parametrize("name", ["theirs", "nobody"])
def test_it_answers_404_for_an_account_of_nobody_or_of_others(api, refused, paused, name):
    refused(resume(api, name=name), 404, "not_found")


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "ses", "surplus": 1}])
def test_it_answers_422_for_a_bad_body(api, refused, paused, body):
    field = "surplus" if "surplus" in body else "name"
    refused(resume(api, **body), 422, "invalid_fields", field)
