"""POST /v1/smtp-accounts/validate: dials a real server."""

import base64
import logging

import pytest

from maild.domain.actor import SYSTEM
from maild.services import smtp_accounts
from maild.services.smtp_account_fields import NewSmtpAccount
from tests.conftest import free_ports

PASSWORD = "correct-horse-battery-staple"


def save(port, *, workspace_id=1, **fields):
    values = {"security": "none", **fields}
    account = NewSmtpAccount("ours", "127.0.0.1", port, "shop@example.com", **values)
    smtp_accounts.save(workspace_id, account, by=SYSTEM)


def validate(api, name="ours", key="operator", **body):
    return api("POST", "/v1/smtp-accounts/validate", json={"name": name, **body}, key=key)


def test_it_says_what_a_server_offers(api, inbox):
    save(inbox.smtp.port)
    response = validate(api)
    assert response.status_code == 200
    answer = response.get_json()
    steps = answer.pop("steps")
    capabilities = answer.pop("capabilities")
    assert answer == {"valid": True, "provider": "ours", "tls": None, "auth": None}
    assert any("8BITMIME" in line for line in capabilities)
    assert {"connect", "banner", "ehlo"} <= {step["stage"] for step in steps}
    assert all(step["ok"] and step["ms"] >= 0 for step in steps)
    assert inbox.messages() == []


def test_it_tries_the_account_of_the_environment(api, inbox):
    answer = validate(api, name="default").get_json()
    assert (answer["valid"], answer["provider"]) == (True, "default")


def test_it_says_that_nobody_listens(api, refused):
    [port] = free_ports(1)
    save(port)
    document = refused(validate(api), 400, "smtp_validation_failed")
    assert document["detail"].startswith("connect: ")
    assert [step["ok"] for step in document["steps"]][-1] is False
    assert set(document["steps"][-1]) == {"stage", "ok", "text", "ms"}


def test_it_does_not_reach_inside_and_says_at_which_step(api, refused, inbox, use_settings):
    save(inbox.smtp.port)
    use_settings(allowed_private_networks=())
    document = refused(validate(api), 400, "smtp_validation_failed")
    assert document["detail"].startswith("dns: 127.0.0.1 leads to no address")
    assert [(step["stage"], step["ok"]) for step in document["steps"]] == [("dns", False)]
    assert validate(api, name="default").status_code == 200  # the instance owner's choice


@pytest.mark.parametrize("changes", [{"security": "starttls"}, {"security": "tls"}])
def test_it_says_that_a_server_does_not_encrypt(api, refused, inbox, changes):
    save(inbox.smtp.port, **changes)
    document = refused(validate(api), 400, "smtp_validation_failed")
    assert "tls" in document["detail"].lower()


def test_it_signs_in_and_shows_no_secret(api, inbox, caplog):
    caplog.set_level(logging.DEBUG)
    save(inbox.smtp.port, username="user-of-ours", password=PASSWORD)
    response = validate(api)
    assert response.get_json()["auth"] == "PLAIN"
    assert [s["stage"] for s in response.get_json()["steps"]].count("auth") == 1
    login = base64.b64encode(f"\0user-of-ours\0{PASSWORD}".encode()).decode()
    for secret in (PASSWORD, login):
        assert secret not in response.text
        assert secret not in caplog.text


@pytest.mark.parametrize("name", ["theirs", "nobody"])
def test_it_answers_404_for_an_account_of_nobody_or_of_others(api, refused, inbox, name):
    theirs = NewSmtpAccount("theirs", "127.0.0.1", inbox.smtp.port, "a@example.com", "none")
    smtp_accounts.save(2, theirs, by=SYSTEM)
    refused(validate(api, name=name), 404, "not_found")


@pytest.mark.parametrize("body", [{"name": ""}, {"name": 5}, {"surplus": 1}])
def test_it_answers_422_for_a_bad_body(api, refused, database, body):
    field = next(iter(body))
    refused(validate(api, **body), 422, "invalid_fields", field)
