"""/ui/providers/<id>/test: a real message through one account, and what becomes of it."""

import pytest

from maild.domain.role import Role
from maild.models import Message
from maild.services import policies
from maild.services.provider_tests import TAG
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.web.provider_helpers import PATH, audited, save, soup_of, words_of


@pytest.fixture
def row(inbox):
    return save(host=inbox.smtp.host, port=inbox.smtp.port, security="none")


@pytest.fixture
def path(row):
    return f"{PATH}/{row.id}/test"


def test_it_is_meant_for_oneself_unless_said_otherwise(page, path):
    assert page(path).select_one("[name=to_email]")["value"] == "ann@a.example"


def test_it_sends_and_shows_what_becomes_of_it(client, post, page, path, deliver, inbox):
    response = post(client, path, to_email="bob@example.org")
    [message] = Message.select()
    assert (response.status_code, response.location) == (303, f"{path}?message={message.id}")
    assert (message.pinned_account, message.tags) == ("main", [TAG])
    soup = page(response.location)
    assert "To bob@example.org" in words_of(soup.select_one("#sent-title"))
    story = soup.select_one("main [hx-get]")
    assert story["hx-trigger"] == "load"
    assert story.a["href"] == story["hx-get"]  # the way without htmx
    assert client.get(story["hx-get"], headers={"HX-Request": "true"}).status_code == 200
    deliver()
    assert inbox.only()["To"] == "bob@example.org"
    assert audited() == ["smtp_account.tested"]


@pytest.mark.parametrize("address", ["", "nobody", "a b@example.org"])
def test_what_is_no_address_comes_back_as_it_was_typed(client, post, path, address):
    response = post(client, path, to_email=address)
    assert response.status_code == 422
    field = soup_of(response).select_one("[name=to_email]")
    assert field["value"] == address
    assert field["aria-invalid"] == "true"
    assert Message.select().count() == 0


def test_what_the_policy_forbids_is_said(client, post, path, admin_a):
    from maild.domain.actor import SYSTEM

    changes = {"blocked_recipient_domains": ["example.org"]}
    policies.save(WORKSPACE_A, changes=changes, by=SYSTEM)
    response = post(client, path, to_email="bob@example.org")
    assert response.status_code == 422
    soup = soup_of(response)
    assert "example.org" in words_of(soup.select_one("main .form-error, main .field-error"))
    assert Message.select().count() == 0


def test_an_account_that_is_paused_says_so_beforehand(page, path, row):
    from maild.domain.actor import SYSTEM
    from maild.services import smtp_accounts

    smtp_accounts.pause(WORKSPACE_A, name="main", reason="r", by=SYSTEM)
    assert "is paused now: the test waits" in words_of(page(path).main)


@pytest.mark.parametrize("message", ["x", "00000000-0000-0000-0000-000000000000"])
def test_there_is_no_such_message(client, path, message):
    assert client.get(f"{path}?message={message}").status_code == 404


def test_another_workspaces_message_is_not_shown(client, path, accept):
    theirs = accept(workspace_id=WORKSPACE_B)
    assert client.get(f"{path}?message={theirs.id}").status_code == 404


def test_another_workspaces_account_sends_nothing(client, post):
    row = save(workspace_id=WORKSPACE_B)
    assert client.get(f"{PATH}/{row.id}/test").status_code == 404
    response = post(client, f"{PATH}/{row.id}/test", to_email="bob@example.org")
    assert response.status_code == 404
    assert Message.select().count() == 0


def test_who_has_not_confirmed_their_address_has_nobody_mailed(sign_in, post, make_person, path):
    client = sign_in(make_person("new@a.example", is_verified=False))
    soup = soup_of(client.get(path))
    assert soup.find(id="send-it-reason").text == "Confirm your own address first."
    assert post(client, path, to_email="bob@example.org").status_code == 403
    assert Message.select().count() == 0


def test_an_operator_may_and_a_viewer_sees_why_not(sign_in, post, make_person, path):
    operator = sign_in(make_person("olaf@a.example", Role.OPERATOR))
    assert post(operator, path, to_email="bob@example.org").status_code == 303
    viewer = sign_in(make_person("vera@a.example", Role.VIEWER))
    soup = soup_of(viewer.get(path))
    assert soup.find(id="send-it-reason").text.startswith("You are a viewer here")
    assert soup.select_one("[name=to_email]").has_attr("disabled")
    assert post(viewer, path, to_email="bob@example.org").status_code == 403
    assert Message.select().count() == 1


def test_who_is_not_signed_in_does_nothing(anonymous, post, path):
    assert anonymous.get(path).status_code == 303
    assert post(anonymous, path, to_email="bob@example.org").status_code == 401
