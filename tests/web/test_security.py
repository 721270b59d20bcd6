"""/ui/settings/security: password, second factor, sessions."""

import re

import pyotp
import pytest
from bs4 import BeautifulSoup

from maild import clock
from maild.domain.actor import SYSTEM
from maild.models import MessageBody, Person, RecoveryCode, Session
from maild.services import passwords, second_factors
from tests.conftest import PASSWORD, client_of

NEW = "eleven green bottles"
SECURITY = "/ui/settings/security"


def code_of(page_text):
    secret = re.search(r"\b[A-Z2-7]{32}\b", page_text)[0]
    return pyotp.TOTP(secret).at(clock.now())


@pytest.fixture
def turned_on(client, post):
    """The second factor of the admin, set up in the browser; returns the recovery codes."""
    code = code_of(client.get(f"{SECURITY}/second-factor").text)
    response = post(client, f"{SECURITY}/second-factor", code=code, password=PASSWORD)
    assert response.status_code == 200, response.text
    return re.findall(r"\b[a-z2-9]{5}(?:-[a-z2-9]{5}){4}\b", response.text)


def test_it_changes_the_password_and_ends_the_other_sessions(client, post, sign_in, admin_a):
    elsewhere = sign_in(admin_a)
    response = post(client, f"{SECURITY}/password", current=PASSWORD, new=NEW)
    assert response.status_code == 303
    assert passwords.is_right(NEW, Person.get().password_hash)
    assert client.get("/ui").status_code == 200
    assert elsewhere.get("/ui").status_code == 303
    assert "your password was changed" in MessageBody.get().body_text


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"current": "not it", "new": NEW}, "current"),
        ({"current": "", "new": NEW}, "current"),
        ({"current": PASSWORD, "new": "short"}, "new"),
        ({"current": PASSWORD, "new": "ann@a.example"}, "new"),
    ],
)
def test_it_says_why_a_password_cannot_be_changed(client, post, fields, field):
    response = post(client, f"{SECURITY}/password", **fields)
    assert response.status_code == 422
    soup = BeautifulSoup(response.text, "html.parser")
    assert soup.select_one(f"#{field}-error").get_text()
    assert passwords.is_right(PASSWORD, Person.get().password_hash)


def test_it_turns_the_second_factor_on_and_shows_the_recovery_codes_once(client, turned_on):
    assert len(set(turned_on)) == second_factors.RECOVERY_CODES
    assert Person.get().totp_enabled_at is not None
    assert "10 of 10 recovery codes are left" in client.get(SECURITY).text
    assert turned_on[0] not in client.get(SECURITY).text
    stored = b"".join(bytes(row.code_hash) for row in RecoveryCode.select())
    assert turned_on[0].replace("-", "").encode() not in stored


def test_its_secret_is_not_in_the_database_as_it_is(client):
    text = client.get(f"{SECURITY}/second-factor").text
    secret = re.search(r"\b[A-Z2-7]{32}\b", text)[0]
    assert secret.encode() not in bytes(Person.get().totp_secret_encrypted)
    assert client.get(f"{SECURITY}/second-factor").text.count(secret) >= 1  # the same on a reload


def test_its_qr_code_breaks_no_policy(client):
    svg = BeautifulSoup(client.get(f"{SECURITY}/second-factor").text, "html.parser").select_one(
        ".qr svg"
    )
    assert svg is not None
    assert "style" not in svg.attrs
    assert not svg.select("[style], style, script")


@pytest.mark.parametrize(
    "fields", [{"code": "000000", "password": PASSWORD}, {"password": "not it"}, {"code": ""}]
)
def test_it_is_not_turned_on_without_code_and_password(client, post, fields):
    code = code_of(client.get(f"{SECURITY}/second-factor").text)
    response = post(client, f"{SECURITY}/second-factor", **{"code": code, **fields})
    assert response.status_code == 422
    assert Person.get().totp_enabled_at is None
    assert RecoveryCode.select().count() == 0


def test_it_makes_new_recovery_codes_in_place_of_the_old(client, turned_on, post, admin_a):
    assert post(client, f"{SECURITY}/recovery-codes", password="not it").status_code == 422
    response = post(client, f"{SECURITY}/recovery-codes", password=PASSWORD)
    assert response.status_code == 200
    assert not second_factors.check(admin_a.id, turned_on[0], by=SYSTEM)
    fresh = re.search(r"\b[a-z2-9]{5}(?:-[a-z2-9]{5}){4}\b", response.text)[0]
    assert second_factors.check(admin_a.id, fresh, by=SYSTEM)


def test_it_turns_the_second_factor_off_with_the_password_only(client, turned_on, post):
    assert post(client, f"{SECURITY}/second-factor/off", password="not it").status_code == 422
    assert Person.get().totp_enabled_at is not None
    assert post(client, f"{SECURITY}/second-factor/off", password=PASSWORD).status_code == 303
    row = Person.get()
    assert (row.totp_enabled_at, row.totp_secret_encrypted) == (None, None)
    assert RecoveryCode.select().count() == 0
    texts = " ".join(body.body_text for body in MessageBody.select())
    assert "a second factor was turned on" in texts
    assert "the second factor was turned off" in texts


def test_the_secret_of_one_that_is_on_is_shown_no_more(client, turned_on):
    assert client.get(f"{SECURITY}/second-factor").location == SECURITY


def test_it_lists_the_sessions_and_ends_one(client, post, sign_in, admin_a, page):
    other = sign_in(admin_a)
    rows = page(SECURITY).select("table tbody tr")
    assert len(rows) == 2
    assert sum("this one" in row.text for row in rows) == 1
    [button] = [
        row.select_one("button[name=session]") for row in rows if "this one" not in row.text
    ]
    assert post(client, f"{SECURITY}/sessions/end", session=button["value"]).status_code == 303
    assert other.get("/ui").status_code == 303
    assert client.get("/ui").status_code == 200


def test_it_ends_all_others_at_once(client, post, sign_in, admin_a):
    others = [sign_in(admin_a) for _ in range(3)]
    post(client, f"{SECURITY}/sessions/end", all="1")
    assert [other.get("/ui").status_code for other in others] == [303] * 3
    assert client.get("/ui").status_code == 200


@pytest.mark.parametrize("which", ["theirs", "0", "x", "", "9" * 30])
def test_it_ends_no_session_of_somebody_else(client, post, sign_in, admin_b, which):
    theirs = sign_in(admin_b)
    session_id = Session.get(Session.person == admin_b.id).id if which == "theirs" else which
    assert post(client, f"{SECURITY}/sessions/end", session=session_id).status_code == 303
    assert theirs.get("/ui").status_code == 200
    assert client.get("/ui").status_code == 200


def test_what_a_browser_says_of_itself_is_text(app, client, admin_a):
    from maild.services import sessions

    agent = "<script>alert(1)</script>\x00\r\nSet-Cookie: x" + "y" * 5_000
    sessions.start(admin_a.id, is_remembered=False, ip=None, user_agent=agent)
    text = client.get(SECURITY).text
    assert "<script>alert" not in text
    assert len(Session.get(Session.ip.is_null()).user_agent) <= 300


@pytest.fixture
def thief(app, client):
    """Somebody who has a copy of the admin's cookie."""
    other = client_of(app)
    other.set_cookie("maild", client.get_cookie("maild").value)
    assert other.get("/ui").status_code == 200
    return other


@pytest.mark.proves("security-sessions")
def test_a_copied_cookie_is_out_after_a_change_of_the_password(client, thief, post):
    post(client, f"{SECURITY}/password", current=PASSWORD, new=NEW)
    assert client.get("/ui").status_code == 200
    assert thief.get("/ui").status_code == 303


def test_a_copied_cookie_is_out_when_all_others_are_ended(client, thief, post):
    post(client, f"{SECURITY}/sessions/end", all="1")
    assert client.get("/ui").status_code == 200
    assert thief.get("/ui").status_code == 303


def test_every_other_session_ends_when_a_second_factor_is_turned_on(
    client, thief, sign_in, admin_a, post
):
    elsewhere = sign_in(admin_a)
    code = code_of(client.get(f"{SECURITY}/second-factor").text)
    post(client, f"{SECURITY}/second-factor", code=code, password=PASSWORD)
    assert client.get("/ui").status_code == 200
    assert [thief.get("/ui").status_code, elsewhere.get("/ui").status_code] == [303, 303]
