"""DELETE /v1/smtp-accounts."""

import pytest

from maild.domain.actor import SYSTEM
from maild.models import Message, SmtpAccount
from maild.services import smtp_accounts
from maild.services.smtp_account_fields import NewSmtpAccount


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


def test_it_keeps_an_account_that_queued_mail_must_go_through(api, refused, accounts):
    message_id = api.submit(smtp_account="ses").get_json()["id"]
    api.submit(smtp_account="default")
    api.submit()
    api.submit(smtp_account="ses", stream="marketing")
    document = refused(delete(api, name="ses"), 409, "conflict")
    assert "as their senders asked: 2." in document["detail"]
    assert names() == ["ses", "theirs"]
    Message.update(status="cancelled", next_attempt_at=None).where(
        Message.pinned_account == "ses", Message.id != message_id
    ).execute()
    assert "asked: 1." in refused(delete(api, name="ses"), 409, "conflict")["detail"]
    Message.update(status="cancelled", next_attempt_at=None).where(
        Message.id == message_id
    ).execute()
    assert delete(api, name="ses").status_code == 200


def test_it_counts_no_further_than_it_must(api, refused, accounts, monkeypatch):
    monkeypatch.setattr(smtp_accounts, "PINNED_MAX", 3)
    for _ in range(5):
        api.submit(smtp_account="ses")
    assert "asked: 3 or more." in refused(delete(api, name="ses"), 409, "conflict")["detail"]


@pytest.mark.parametrize("name", ["theirs", "nobody", "default"])
def test_it_answers_404_for_an_account_of_nobody_or_of_others(api, refused, accounts, name):
    refused(delete(api, name=name), 404, "not_found")
    assert names() == ["ses", "theirs"]


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 5}, {"name": "ses", "surplus": 1}])
def test_it_answers_422_for_a_bad_body(api, refused, accounts, body):
    field = "surplus" if "surplus" in body else "name"
    refused(delete(api, **body), 422, "invalid_fields", field)
    assert names() == ["ses", "theirs"]
