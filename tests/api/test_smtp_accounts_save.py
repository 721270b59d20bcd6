"""POST /v1/smtp-accounts."""

import logging

import pytest

from maild.domain.actor import SYSTEM
from maild.models import SmtpAccount
from maild.services import smtp_accounts

PASSWORD = "correct-horse-battery-staple"
ACCOUNT = {
    "name": "ses",
    "host": "smtp.example.com",
    "port": 587,
    "from_email": "shop@example.com",
    "username": "AKIA",
    "password": PASSWORD,
}
NOTHING = {"Message": 0, "MessageBody": 0, "MessageAttachment": 0, "Event": 0, "SmtpAccount": 0}


def save(api, *, key="admin", **fields):
    body = {name: value for name, value in {**ACCOUNT, **fields}.items() if value is not ...}
    return api("POST", "/v1/smtp-accounts", json=body, key=key)


def test_it_saves_an_account(api):
    response = save(api)
    assert response.status_code == 201
    answer = response.get_json()
    assert answer.pop("created_at").endswith("Z")
    assert answer.pop("updated_at").endswith("Z")
    assert answer == {
        "workspace_id": 1,
        "name": "ses",
        "host": "smtp.example.com",
        "port": 587,
        "from_email": "shop@example.com",
        "username": "AKIA",
        "security": "auto",
        "active": False,
        "max_connections": 10,
        "max_per_second": None,
        "priority": 100,
        "return_path": None,
        "paused_at": None,
        "pause_reason": None,
        "status": "saved_encrypted",
    }


def test_it_saves_an_account_without_a_login(api):
    response = save(api, username=..., password=..., security="none", host="127.0.0.1", port=25)
    assert response.status_code == 201
    assert SmtpAccount.get().password_encrypted is None


def test_it_replaces_the_account_of_that_name(api):
    first = save(api).get_json()
    second = save(
        api, host="other.example.com", port=465, security="tls", password="new"
    ).get_json()
    assert (second["host"], second["port"], second["security"]) == ("other.example.com", 465, "tls")
    assert second["created_at"] == first["created_at"]
    row = SmtpAccount.get()
    assert smtp_accounts.get_server(row.id).password == "new"
    save(api, username=None, password=None)
    server = smtp_accounts.get_server(row.id)
    assert (server.username, server.password) == (None, None)


def test_it_saves_the_limits_and_the_order_of_fail_over(api):
    answer = save(api, max_connections=3, max_per_second=0.5, priority=0).get_json()
    assert (answer["max_connections"], answer["max_per_second"], answer["priority"]) == (3, 0.5, 0)


def test_what_is_left_out_of_a_replacement_has_its_default_again(api):
    save(api, max_connections=3, max_per_second=14, priority=5)
    answer = save(api).get_json()
    limits = answer["max_connections"], answer["max_per_second"], answer["priority"]
    assert limits == (10, None, 100)


def test_it_saves_where_bounces_go_to(api):
    answer = save(api, return_path="bounces@BÜCHER.example").get_json()
    assert answer["return_path"] == SmtpAccount.get().return_path == "bounces@bücher.example"
    listed = api("GET", "/v1/smtp-accounts/list").get_json()["accounts"]
    assert [account["return_path"] for account in listed] == [None, "bounces@bücher.example"]
    assert save(api, return_path=None).get_json()["return_path"] is None
    assert save(api).get_json()["return_path"] is None


def test_replacing_leaves_a_paused_account_paused(api):
    save(api)
    smtp_accounts.pause(1, name="ses", reason="broken", by=SYSTEM)
    assert save(api).get_json()["pause_reason"] == "broken"


def test_it_keeps_an_account_active_that_is_replaced(api):
    save(api)
    api("POST", "/v1/smtp-accounts/activate", json={"name": "ses"})
    assert save(api, port=465).get_json()["active"] is True


def test_it_keeps_workspaces_apart(api):
    save(api)
    save(api, workspace_id=2, host="theirs.example.com")
    rows = SmtpAccount.select().order_by(SmtpAccount.workspace)
    assert [(row.workspace_id, row.host) for row in rows] == [
        (1, "smtp.example.com"),
        (2, "theirs.example.com"),
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "2130706433", "localhost", "::1"])
def test_it_answers_422_for_a_host_that_is_not_public(api, refused, use_settings, host):
    use_settings(allowed_private_networks=())
    document = refused(save(api, host=host), 422, "invalid_fields", "host")
    [error] = document["errors"]
    assert "ALLOWED_PRIVATE_NETWORKS" in error["message"]
    assert SmtpAccount.select().count() == 0


def test_it_shows_the_password_nowhere(api, caplog, refused):
    caplog.set_level(logging.DEBUG)
    answers = [
        save(api),
        save(api, port="x"),
        save(api, username=None),
        save(api, workspace_id=999),
        save(api, key="operator"),
        save(api, surplus=PASSWORD),
        save(api, password=[PASSWORD]),
        save(api, password=PASSWORD + "\n"),
        api("GET", "/v1/smtp-accounts/list"),
        api("POST", "/v1/smtp-accounts/activate", json={"name": "ses"}),
    ]
    assert {answer.status_code for answer in answers} == {200, 201, 403, 404, 422}
    assert all(PASSWORD not in answer.text for answer in answers)
    assert "request" in caplog.text
    assert PASSWORD not in caplog.text
    row = SmtpAccount.get()
    assert PASSWORD.encode() not in bytes(row.password_encrypted)
    assert smtp_accounts.get_server(row.id).password == PASSWORD


@pytest.mark.parametrize("name", ["name", "host", "port", "from_email"])
@pytest.mark.parametrize("value", [..., None])
def test_it_answers_422_for_a_missing_field(api, refused, stored, name, value):
    refused(save(api, **{name: value}), 422, "invalid_fields", name)
    assert stored() == NOTHING


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("name", value) for value in ("", "a" * 65, "a\nb", "a\0b", "a\u2028b", 5, [])),
        *(("host", value) for value in (
            "", "smtp example.com", "smtp.example.com\r\nQUIT", "a" * 256, "http://smtp.example.com",
            "smtp.example.com\0", "user@host", 5,
        )),
        *(("port", value) for value in (0, -1, 65_536, 2**70, "587", 587.0, True, [])),
        *(("from_email", value) for value in ("", "shop", "a@x.org,b@x.org", "a@b\n", 5)),
        *(("return_path", value) for value in (
            "", "bounces", "a@x.org,b@x.org", "a@b\n", "größe@x.org", f"{'a' * 38}@x.org", 5,
        )),
        *(("username", value) for value in ("a\r\nb", "a\0b", 5)),
        *(("password", value) for value in ("a\r\nb", "a\0b", 5, "", None)),
        *(("max_connections", value) for value in (0, 1001, -1, 1.5, "10", None, True)),
        *(("max_per_second", value) for value in (0, -1, 1e9, "5", True, [])),
        *(("priority", value) for value in (-1, 1001, 0.5, "1", None, True)),
        *(("security", value) for value in ("", "TLS", "ssl", None, 5)),
        ("workspace_id", "1"), ("workspace_id", 0), ("surplus", 1), ("is_active", True),
    ],
)  # fmt: skip
def test_it_answers_422_for_a_bad_value(api, refused, stored, name, value):
    refused(save(api, **{name: value}), 422, "invalid_fields", name)
    assert stored() == NOTHING


def test_it_names_every_bad_field_at_once(api, refused):
    response = save(api, name="", host="", port=0, from_email="x")
    refused(response, 422, "invalid_fields", "name", "host", "port", "from_email")


def test_it_refuses_a_name_of_spaces(api, refused):
    refused(save(api, name="   "), 422, "invalid_fields", "name")


@pytest.mark.parametrize("data", [b"", b"{", b'{"password":"\\ud800"}'])
def test_it_answers_400_for_what_is_not_json(api, refused, stored, data):
    refused(api("POST", "/v1/smtp-accounts", data=data), 400, "malformed_json")
    assert stored() == NOTHING


def test_it_answers_404_for_an_unknown_workspace(api, refused, stored):
    refused(save(api, workspace_id=999), 404, "not_found")
    assert stored() == NOTHING


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        (None, 401, "unauthenticated"),
        ("no", 401, "unauthenticated"),
        ("operator", 403, "forbidden"),
    ],
)
def test_it_is_for_admins(api, refused, stored, key, status, code):
    refused(save(api, key=key), status, code)
    assert stored() == NOTHING
