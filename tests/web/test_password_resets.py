"""/reset: a password that is forgotten."""

import re

import pytest

from maild import clock
from maild.models import MailedLink, MessageBody, Person, Session
from maild.services import passwords, second_factors
from tests.conftest import PASSWORD

EVIL = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
NEW = "eleven green bottles"


@pytest.fixture
def ask(anonymous, post):
    def send(email):
        with post(anonymous, "/reset", workspace_id=None, email=email) as response:
            response.get_data()  # the mail is written when the answer is out
        return response

    return send


@pytest.fixture
def link(ask, admin_a):
    """The path of a link that was mailed."""
    ask("ann@a.example")
    return re.search(r"/reset/[\w-]+", MessageBody.get().body_text)[0]


def test_it_mails_a_link(ask, admin_a, settings):
    response = ask(" ANN@a.example ")
    assert response.status_code == 200
    assert "on its way" in response.text
    body = MessageBody.get()
    assert body.message.to_email == "ann@a.example"
    assert f"{settings.public_url}/reset/" in body.body_text


def test_its_link_leads_to_the_public_address_wherever_the_request_came_to(
    anonymous, admin_a, use_settings, settings, post
):
    """Or a request with another Host would have the link mailed to lead elsewhere."""
    use_settings(env="production", public_url="https://mail.example.com")
    token = re.search(r'csrf_token" value="([^"]+)', anonymous.get("/reset", headers=EVIL).text)[1]
    with anonymous.post(
        "/reset",
        data={"email": "ann@a.example", "csrf_token": token},
        headers=EVIL,
    ):
        pass
    text = MessageBody.get().body_text
    assert "https://mail.example.com/reset/" in text
    assert "evil" not in text


def test_it_says_the_same_to_who_has_no_account_and_mails_nothing(ask, admin_a):
    known, unknown = ask("ann@a.example").text, ask("bob@a.example").text
    assert known.replace("ann@a.example", "X") == unknown.replace("bob@a.example", "X")
    assert MessageBody.select().count() == 1


@pytest.mark.parametrize("wrong", ["", "ann", "a@b@c", "x" * 10_000, "ann@a.example\r\nx"])
def test_it_says_what_is_no_address(ask, wrong):
    assert ask(wrong).status_code == 422


def test_opening_the_link_changes_nothing(anonymous, link, admin_a):
    for _ in range(2):
        response = anonymous.get(link)
        assert response.status_code == 200
        assert "ann@a.example" in response.text
    assert passwords.is_right(PASSWORD, Person.get().password_hash)


def test_it_changes_the_password_once_and_ends_every_session(
    anonymous, link, post, admin_a, sign_in
):
    elsewhere = sign_in(admin_a)
    response = post(anonymous, link, workspace_id=None, new=NEW)
    assert response.status_code == 303
    assert response.location.startswith("/login")
    assert passwords.is_right(NEW, Person.get().password_hash)
    assert elsewhere.get("/ui").status_code == 303
    assert Session.select().count() == 0  # it signs nobody in, either
    assert post(anonymous, link, workspace_id=None, new=PASSWORD).status_code == 404
    assert passwords.is_right(NEW, Person.get().password_hash)


def test_it_tells_the_person(anonymous, link, post):
    post(anonymous, link, workspace_id=None, new=NEW)
    texts = [body.body_text for body in MessageBody.select()]
    assert any("your password was changed" in text for text in texts)


def test_it_refuses_a_password_that_is_too_easy_and_keeps_the_link(anonymous, link, post):
    response = post(anonymous, link, workspace_id=None, new="password12")
    assert response.status_code == 422
    assert "too easy to guess" in response.text
    assert post(anonymous, link, workspace_id=None, new=NEW).status_code == 303


def test_a_newer_link_ends_the_older(anonymous, link, ask):
    ask("ann@a.example")
    assert anonymous.get(link).status_code == 404


@pytest.mark.parametrize("path", ["/reset/x", "/reset/" + "A" * 43, "/reset/%00", "/reset/..%2f"])
def test_a_link_that_is_none_says_so(anonymous, path):
    response = anonymous.get(path)
    assert response.status_code == 404


def test_a_link_is_shown_to_nobody_else(anonymous, link):
    headers = anonymous.get(link).headers
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "noindex" in headers["X-Robots-Tag"]


def test_only_a_hash_of_it_is_kept(link):
    token = link.rpartition("/")[2].encode()
    assert token not in bytes(MailedLink.get().token_hash)


def test_a_link_that_confirms_an_address_resets_no_password(anonymous, admin_a):
    from maild.services import mailed_links

    mailed_links.send_confirmation(admin_a)
    token = re.search(r"/confirm/([\w-]+)", MessageBody.get().body_text)[1]
    assert anonymous.get(f"/reset/{token}").status_code == 404


def test_nothing_is_left_of_who_has_signed_up_with_somebody_elses_address(
    anonymous, make_person, sign_in, ask, post
):
    stranger = make_person("victim@a.example", is_verified=False)
    theirs = sign_in(stranger)
    ask("victim@a.example")
    path = re.search(r"/reset/[\w-]+", MessageBody.get().body_text)[0]
    assert post(anonymous, path, workspace_id=None, new=NEW).status_code == 303
    assert theirs.get("/ui").status_code == 303
    assert Person.get().email_verified_at is not None


def test_a_second_factor_stays_where_the_address_was_confirmed(anonymous, admin_a, link, post):
    second_factors.begin(admin_a.id)
    Person.update(totp_enabled_at=clock.now()).execute()
    post(anonymous, link, workspace_id=None, new=NEW)
    assert Person.get().totp_enabled_at is not None


def test_who_comes_too_late_is_led_to_another_link(anonymous, link, ask):
    ask("ann@a.example")
    text = anonymous.get(link).text
    assert "Have another link mailed" in text
    assert 'href="/reset"' in text
