"""/login, /login/code and /logout."""

import datetime as dt
import threading

import pyotp
import pytest
from flask import session

from maild import clock
from maild.domain.actor import SYSTEM
from maild.models import Person, Session
from maild.services import second_factors
from tests.conftest import PASSWORD, client_of

RIGHT = {"email": "ann@a.example", "password": PASSWORD, "workspace_id": None}


@pytest.fixture
def log_in(anonymous, post, admin_a):
    """Send the form, with what is given in place of the right address and password."""
    return lambda path="/login", **fields: post(anonymous, path, **{**RIGHT, **fields})


@pytest.fixture
def secret(admin_a):
    """The second factor of the admin, which is on."""
    secret = second_factors.begin(admin_a.id).secret
    second_factors.enable(admin_a.id, password=PASSWORD, code=code(secret), by=SYSTEM)
    # As if that had been a while ago: the code that the app shows now is not used up.
    Person.update(totp_last_step=None).where(Person.id == admin_a.id).execute()
    return secret


def code(secret):
    return pyotp.TOTP(secret).at(clock.now())


def test_it_logs_in_and_leads_to_the_dashboard(anonymous, log_in):
    response = log_in()
    assert (response.status_code, response.location) == (303, "/dashboard")
    assert anonymous.get("/dashboard").status_code == 200
    row = Session.get()
    assert (row.ip, row.is_remembered) == ("127.0.0.1", False)


def test_it_goes_on_to_where_one_wanted_to_go(log_in, anonymous):
    soup = anonymous.get("/login?next=/ui/logs?status%3Dfailed").text
    assert 'name="next" value="/ui/logs?status=failed"' in soup
    assert log_in(next="/ui/logs?status=failed").location == "/ui/logs?status=failed"


@pytest.mark.proves("security-redirect")
@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "http:evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "evil",
        "///evil.example",
    ],
)
def test_it_leads_nobody_elsewhere(log_in, elsewhere):
    assert log_in(next=elsewhere).location == "/dashboard"


@pytest.mark.parametrize("spelling", ["ANN@A.EXAMPLE", " ann@a.example ", "Ann@a.example"])
def test_it_knows_an_address_in_every_spelling(log_in, spelling):
    assert log_in(email=spelling).status_code == 303


@pytest.mark.proves("security-passwords")
@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "not it"},
        {"password": ""},
        {"password": PASSWORD.upper()},
        {"password": PASSWORD + " "},
        {"password": "x" * 100_000},
        {"password": "\x00"},
        {"email": "nobody@a.example"},
        {"email": "no address"},
        {"email": ""},
        {"email": "x" * 100_000},
        {"email": "ann@a.example\r\nBcc: x@example.com"},
    ],
    ids=str,
)
def test_it_says_the_same_of_every_wrong_pair(log_in, wrong):
    response = log_in(**wrong)
    assert response.status_code == 422
    assert "The address or the password is not right." in response.text
    assert Session.select().count() == 0


def test_it_keeps_the_address_that_was_typed_and_never_the_password(log_in):
    response = log_in(email="anna@a.example", password="my secret")
    assert 'value="anna@a.example"' in response.text
    assert "my secret" not in response.text


@pytest.mark.proves("security-sessions")
def test_it_makes_a_new_session_and_ends_the_one_before(anonymous, log_in):
    log_in()
    before = anonymous.get_cookie("maild").value, Session.get().id
    log_in()
    assert anonymous.get_cookie("maild").value != before[0]
    assert [row.id for row in Session.select()] != [before[1]]
    assert Session.select().count() == 1


def test_it_takes_over_nothing_from_before_the_log_in(app, anonymous, post, admin_a):
    """Session fixation: what somebody has put into the cookie is gone."""
    with anonymous.session_transaction() as before:
        before["planted"] = "x"
    with anonymous:
        post(anonymous, "/login", **RIGHT)
        assert "planted" not in session


@pytest.mark.proves("security-sessions")
def test_it_gives_a_cookie_that_scripts_and_other_sites_do_not_get(log_in):
    cookie = log_in().headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    assert "Expires" not in cookie  # it goes with the browser


def test_it_stays_for_30_days_where_that_is_asked_for(log_in):
    cookie = log_in(remember="y").headers["Set-Cookie"]
    assert "Expires" in cookie
    row = Session.get()
    assert row.is_remembered
    left = row.expires_at - clock.now()
    assert dt.timedelta(days=29) < left <= dt.timedelta(days=30)


def test_it_leads_on_who_is_logged_in_already(client):
    assert client.get("/login").location == "/dashboard"
    assert client.get("/login?next=/ui/logs").location == "/ui/logs"


def test_it_needs_the_token_of_the_form(anonymous, admin_a):
    response = anonymous.post("/login", data={"email": "ann@a.example", "password": PASSWORD})
    assert response.status_code == 400
    assert "of another session" in response.text
    assert Session.select().count() == 0


def test_it_logs_out(client, post):
    response = post(client, "/logout")
    assert (response.status_code, response.location) == (303, "/")
    assert Session.select().count() == 0
    assert client.get("/ui").status_code == 303


def test_a_cookie_that_was_copied_is_worth_nothing_after_the_log_out(app, client, post):
    thief = client_of(app)
    thief.set_cookie("maild", client.get_cookie("maild").value)
    assert thief.get("/ui").status_code == 200
    post(client, "/logout")
    assert thief.get("/ui").status_code == 303


def test_it_does_not_log_out_by_a_link(client):
    assert client.get("/logout").status_code == 405
    assert client.get("/ui").status_code == 200


def test_it_asks_for_the_second_factor(anonymous, log_in, secret):
    assert log_in().location == "/login/code"
    assert Session.select().count() == 0
    assert anonymous.get("/ui").status_code == 303
    response = log_in("/login/code", code=code(secret))
    assert (response.status_code, response.location) == (303, "/dashboard")
    assert anonymous.get("/ui").status_code == 200


def test_it_goes_on_and_remembers_after_the_second_factor_too(log_in, secret):
    log_in(next="/ui/logs", remember="y")
    assert log_in("/login/code", code=code(secret)).location == "/ui/logs"
    assert Session.get().is_remembered


@pytest.mark.parametrize(
    "wrong", ["", "000000", "12345", "abcdef", "x" * 10_000, "１２３４５６", "\x00"]
)
def test_it_refuses_a_code_that_is_none(log_in, secret, wrong):
    log_in()
    response = log_in("/login/code", code=wrong)
    assert response.status_code == 422
    assert "Is not the code" in response.text
    assert Session.select().count() == 0


@pytest.mark.proves("security-second-factor")
def test_it_takes_no_code_twice(anonymous, log_in, secret, post):
    log_in()
    used = code(secret)
    assert log_in("/login/code", code=used).status_code == 303
    post(anonymous, "/logout")
    log_in()
    assert log_in("/login/code", code=used).status_code == 422


@pytest.mark.proves("security-second-factor")
def test_it_takes_a_recovery_code_once(anonymous, log_in, admin_a, secret, post):
    codes = second_factors.renew_codes(admin_a.id, password=PASSWORD, by=SYSTEM)
    log_in()
    assert log_in("/login/code", code=codes[0].upper().replace("-", " ")).status_code == 303
    post(anonymous, "/logout")
    log_in()
    assert log_in("/login/code", code=codes[0]).status_code == 422


def test_the_second_step_is_nothing_without_the_first(anonymous, post, secret):
    assert anonymous.get("/login/code").location == "/login"
    response = post(anonymous, "/login/code", workspace_id=None, code=code(secret))
    assert response.location == "/login"
    assert Session.select().count() == 0


def test_the_second_step_must_follow_soon(log_in, secret, monkeypatch):
    log_in()
    late = clock.now() + dt.timedelta(minutes=11)
    monkeypatch.setattr("maild.clock.now", lambda: late)
    assert log_in("/login/code", code=pyotp.TOTP(secret).at(late)).location == "/login"


def test_the_second_step_is_over_with_a_changed_password(log_in, admin_a, secret):
    log_in()
    Person.update(password_changed_at=clock.now()).where(Person.id == admin_a.id).execute()
    assert log_in("/login/code", code=code(secret)).location == "/login"


def test_a_form_is_read_from_a_form_and_from_nothing_else(anonymous, admin_a):
    """What limits the tries for an account reads the form: nothing else shall name the account."""
    page = anonymous.get("/login").text
    token = {"X-CSRFToken": page.split('name="csrf_token" value="')[1].split('"')[0]}
    for json in ({"email": "ann@a.example", "password": PASSWORD}, [1], 1, {"email": 1}):
        assert anonymous.post("/login", json=json, headers=token).status_code == 422
    fields = {"password": PASSWORD}
    response = anonymous.post("/login?email=ann@a.example", data=fields, headers=token)
    assert response.status_code == 422
    assert Session.select().count() == 0


@pytest.mark.parametrize("next_", ["//[", "/\\[", "http://["])
def test_what_is_no_address_leads_nowhere(anonymous, log_in, next_):
    assert anonymous.get(f"/login?next={next_}").status_code == 200
    assert log_in(next=next_).location == "/dashboard"


def test_who_would_wait_for_long_is_asked_to_come_again(log_in, monkeypatch):
    """Guessing keeps no thread from everything else."""
    monkeypatch.setattr("maild.services.passwords._turns", threading.Semaphore(0))
    monkeypatch.setattr("maild.services.passwords.WAIT_SECONDS", 0.01)
    response = log_in()
    assert response.status_code == 503
    assert "Retry-After" in response.headers
    assert Session.select().count() == 0
