"""POST /v1/smtp-accounts/activate."""

import pytest

from maild.domain.actor import SYSTEM
from maild.models import SmtpAccount
from maild.services import smtp_accounts
from maild.services.smtp_account_fields import NewSmtpAccount


@pytest.fixture
def accounts(database):
    for workspace_id, name in ((1, "ses"), (1, "postmark"), (2, "theirs")):
        account = NewSmtpAccount(name, "smtp.example.com", 587, "shop@example.com")
        smtp_accounts.save(workspace_id, account, by=SYSTEM)


def activate(api, **body):
    return api("POST", "/v1/smtp-accounts/activate", json=body)


def active():
    return sorted(row.name for row in SmtpAccount.select().where(SmtpAccount.is_active))


def test_it_activates_an_account(api, accounts):
    response = activate(api, name="ses")
    assert response.status_code == 200
    assert response.get_json() == {"workspace_id": 1, "name": "ses", "status": "active"}
    assert active() == ["ses"]


def test_it_leaves_one_account_active(api, accounts):
    for name in ("ses", "postmark", "postmark"):
        assert activate(api, name=name).status_code == 200
    assert active() == ["postmark"]


def test_it_goes_back_to_the_account_of_the_environment(api, accounts):
    assert activate(api, name="ses").status_code == 200
    assert activate(api, name="default").get_json()["name"] == "default"
    assert active() == []


def test_it_sends_no_mail_of_the_sandbox_to_people(api, refused, accounts, accept):
    activate(api, name="ses")
    SmtpAccount.update(is_sandbox=True).where(SmtpAccount.name == "ses").execute()
    accept()
    accept(workspace_id=2)
    for name in ("postmark", "default"):
        document = refused(activate(api, name=name), 409, "queued_in_sandbox")
        assert document["detail"].startswith("1 message of the sandbox is queued")
    assert active() == ["ses"]


@pytest.mark.parametrize("name", ["", "n\0", "ses\0"])
def test_it_refuses_a_name_that_is_none(api, refused, accounts, name):
    refused(activate(api, name=name), 422, "invalid_fields", "name")


def test_it_leaves_other_workspaces_alone(api, accounts):
    assert activate(api, name="theirs", workspace_id=2).status_code == 200
    assert activate(api, name="ses").status_code == 200
    assert active() == ["ses", "theirs"]


@pytest.mark.parametrize(
    "body", [{"name": "theirs"}, {"name": "SES"}, {"name": "ses", "workspace_id": 2}]
)
def test_it_answers_404_for_an_account_of_nobody_or_of_others(api, refused, accounts, body):
    refused(activate(api, **body), 404, "not_found")
    assert active() == []


def test_a_refusal_leaves_the_active_account_active(api, refused, accounts):
    activate(api, name="ses")
    refused(activate(api, name="nobody"), 404, "not_found")
    assert active() == ["ses"]


@pytest.mark.parametrize("body", [{}, {"name": None}, {"name": 5}, {"name": "ses", "surplus": 1}])
def test_it_answers_422_for_a_bad_body(api, refused, accounts, body):
    field = "surplus" if "surplus" in body else "name"
    refused(activate(api, **body), 422, "invalid_fields", field)
    assert active() == []


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        (None, 401, "unauthenticated"),
        ("no", 401, "unauthenticated"),
        ("operator", 403, "forbidden"),
    ],
)
def test_it_is_for_admins(api, refused, accounts, key, status, code):
    response = api("POST", "/v1/smtp-accounts/activate", json={"name": "ses"}, key=key)
    refused(response, status, code)
    assert active() == []
