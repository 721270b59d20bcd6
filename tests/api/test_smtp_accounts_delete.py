"""DELETE /v1/smtp-accounts."""

import pytest

from maild.domain.actor import SYSTEM
from maild.models import SmtpAccount
from maild.services import smtp_accounts
from maild.services.smtp_accounts import NewSmtpAccount


@pytest.fixture
def accounts(database):
    for workspace_id, name in ((1, "ses"), (2, "theirs")):
        account = NewSmtpAccount(name, "smtp.example.com", 587, "shop@example.com")
        smtp_accounts.save(workspace_id, account, by=SYSTEM)


def delete(api, **body):
    return api("DELETE", "/v1/smtp-accounts", json=body)


def names():
    return sorted(row.name for row in SmtpAccount.select())


def test_it_forgets_an_account(api, accounts):
    response = delete(api, name="ses")
    assert response.status_code == 200
    assert response.get_json() == {"workspace_id": 1, "name": "ses", "status": "deleted"}
    assert names() == ["theirs"]


def test_a_deleted_account_is_not_found(api, refused, accounts):
    delete(api, name="ses")
    refused(delete(api, name="ses"), 404, "not_found")


def test_it_keeps_the_active_account(api, refused, accounts):
    smtp_accounts.activate(1, name="ses", by=SYSTEM)
    document = refused(delete(api, name="ses"), 409, "conflict")
    assert "Activate another account first" in document["detail"]
    assert names() == ["ses", "theirs"]


@pytest.mark.parametrize("name", ["theirs", "nobody", "default"])
def test_it_answers_404_for_an_account_of_nobody_or_of_others(api, refused, accounts, name):
    refused(delete(api, name=name), 404, "not_found")
    assert names() == ["ses", "theirs"]


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 5}, {"name": "ses", "surplus": 1}])
def test_it_answers_422_for_a_bad_body(api, refused, accounts, body):
    field = "surplus" if "surplus" in body else "name"
    refused(delete(api, **body), 422, "invalid_fields", field)
    assert names() == ["ses", "theirs"]
