"""POST /v1/webhooks/endpoints: an address for a provider to report to."""

import re

import pytest

from maild.models import AuditEntry, WebhookEndpoint, WebhookSecret
from maild.services import webhook_endpoints
from tests.conftest import WORKSPACE_A, WORKSPACE_B

PATH = "/v1/webhooks/endpoints"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:ses-events"
SECRET = "hunter2-signing"


def add(api, *, key="admin", **fields):
    return api("POST", PATH, key=key, json={"provider": "postmark", **fields})


def test_it_makes_an_address_and_says_what_to_do_with_it(api):
    response = add(api)
    assert response.status_code == 201
    made = response.get_json()
    url, setup = made.pop("url"), made.pop("setup")
    assert re.search(r"^http.*/v1/webhooks/providers/postmark/[A-Za-z0-9_-]{43}$", url)
    assert any(url in step for step in setup)
    assert all(isinstance(step, str) and step for step in setup)
    assert made.pop("created_at").endswith("Z")
    assert made == {
        "id": WebhookEndpoint.get().id,
        "workspace_id": WORKSPACE_A,
        "provider": "postmark",
        "title": "Postmark",
        "smtp_account": "default",
        "topic_arn": None,
        "state": "waiting",
        "secrets": [],
        "created_by": "admin key",
    }
    found = webhook_endpoints.find_by_token(url.rpartition("/")[2])
    assert found == WebhookEndpoint.get()


def test_it_takes_secrets_and_tells_none(api):
    response = add(
        api,
        provider="mailgun",
        signing_secret=SECRET,
        basic_auth={"username": "maild", "password": "hunter3"},
    )
    made = response.get_json()
    assert (response.status_code, made["state"]) == (201, "waiting")
    assert sorted(secret["kind"] for secret in made["secrets"]) == ["basic_auth", "signing"]
    assert all(set(s) == {"id", "kind", "created_at", "expires_at"} for s in made["secrets"])
    keys = webhook_endpoints.keys_of(WebhookEndpoint.get())
    assert (keys.signing, keys.basic_auth) == ((SECRET,), ("maild:hunter3",))
    for answer in (response, api("GET", PATH), api("GET", "/v1/audit")):
        text = answer.get_data(as_text=True)
        assert SECRET not in text
        assert "hunter3" not in text
    token = made["url"].rpartition("/")[2]
    assert token not in api("GET", "/v1/audit").get_data(as_text=True)


def test_it_says_where_a_secret_is_missing(api):
    made = add(api, provider="sendgrid").get_json()
    assert (made["state"], made["secrets"]) == ("needs_secret", [])
    assert any("POST /v1/webhooks/endpoints/secrets" in step for step in made["setup"])


def test_it_takes_the_topic_of_amazon_ses(api):
    made = add(api, provider="ses", topic_arn=TOPIC).get_json()
    assert (made["topic_arn"], made["state"], made["title"]) == (TOPIC, "waiting", "Amazon SES")


def test_it_takes_bounce_mails(api):
    made = add(api, provider="dsn").get_json()
    assert "/v1/webhooks/dsn/" in made["url"]
    assert "message/rfc822" in " ".join(made["setup"])


def test_it_names_an_account_of_the_workspace(api, refused):
    account = {"name": "ses", "host": "smtp.example.com", "port": 587, "from_email": "a@b.example"}
    api("POST", "/v1/smtp-accounts", json=account)
    assert add(api, smtp_account="ses").get_json()["smtp_account"] == "ses"
    refused(add(api, smtp_account="other"), 422, "invalid_fields", "smtp_account")
    refused(
        add(api, smtp_account="ses", workspace_id=WORKSPACE_B),
        422,
        "invalid_fields",
        "smtp_account",
    )


def test_an_account_may_have_several(api):
    assert add(api).get_json()["url"] != add(api).get_json()["url"]


def test_it_refuses_more_than_there_may_be(api, refused, monkeypatch):
    monkeypatch.setattr(webhook_endpoints, "ENDPOINTS_MAX", 1)
    add(api)
    assert "Delete one" in refused(add(api), 409, "conflict")["detail"]


def test_a_workspaces_admin_adds_to_that_workspace(api, refused, admin_b):
    assert add(api, key=admin_b).get_json()["workspace_id"] == WORKSPACE_B
    refused(add(api, key=admin_b, workspace_id=WORKSPACE_A), 403, "forbidden")
    assert WebhookEndpoint.select().count() == 1


@pytest.mark.parametrize("role", ["operator_a", "viewer_a", "sender_key_a"])
def test_no_lower_role_adds(api, refused, request, role):
    refused(add(api, key=request.getfixturevalue(role)), 403, "forbidden")
    assert not WebhookEndpoint.select().exists()


def test_nobody_adds_nothing(api, refused):
    refused(add(api, key=None), 401, "unauthenticated")
    assert not WebhookEndpoint.select().exists()


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"provider": "pigeon"}, ["provider"]),
        ({"provider": None}, ["provider"]),
        ({"provider": 5}, ["provider"]),
        ({"smtp_account": ""}, ["smtp_account"]),
        ({"smtp_account": "a\0"}, ["smtp_account"]),
        ({"smtp_account": None}, ["smtp_account"]),
        ({"topic_arn": TOPIC}, ["topic_arn"]),
        ({"provider": "ses"}, ["topic_arn"]),
        ({"provider": "ses", "topic_arn": "arn:aws:s3:::bucket"}, ["topic_arn"]),
        ({"signing_secret": SECRET}, ["signing_secret"]),
        ({"provider": "ses", "topic_arn": TOPIC, "signing_secret": SECRET}, ["signing_secret"]),
        ({"provider": "mailgun", "signing_secret": ""}, ["signing_secret"]),
        ({"provider": "mailgun", "signing_secret": 5}, ["signing_secret"]),
        ({"basic_auth": "user:password"}, ["basic_auth"]),
        ({"basic_auth": {"username": "u"}}, ["basic_auth.password"]),
        ({"basic_auth": {"username": "", "password": "p"}}, ["basic_auth"]),
        ({"basic_auth": {"username": "a:b", "password": "p"}}, ["basic_auth.username"]),
        ({"basic_auth": {"username": "u", "password": "p", "realm": "r"}}, ["basic_auth.realm"]),
        ({"token": "mine"}, ["token"]),
    ],
)
def test_it_refuses_bad_fields_and_makes_nothing(api, refused, fields, named):
    document = refused(add(api, **fields), 422, "invalid_fields", *named)
    assert SECRET not in str(document)
    for model in (WebhookEndpoint, WebhookSecret, AuditEntry):
        assert not model.select().exists()
