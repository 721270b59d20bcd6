"""The token against forgery: as good as the session that it was made in, and no longer."""

import datetime as dt

import time_machine
from bs4 import BeautifulSoup

from maild import clock
from tests.conftest import PASSWORD, WORKSPACE_A

PROFILE = "/ui/settings/profile"


def token_of(client, path):
    page = BeautifulSoup(client.get(path).text, "html.parser")
    return page.select_one("[name=csrf_token]")["value"]


def rename(client, token):
    form = {"csrf_token": token, "workspace_id": WORKSPACE_A, "name": "Ann"}
    return client.post(PROFILE, data=form).status_code


def log_in(client, token):
    form = {"csrf_token": token, "email": "ann@a.example", "password": PASSWORD}
    return client.post("/login", data=form).status_code


def test_a_form_that_lay_open_for_hours_is_taken(client):
    token = token_of(client, PROFILE)
    with time_machine.travel(clock.now() + dt.timedelta(hours=2), tick=False):
        assert rename(client, token) == 303


def test_logging_in_and_out_renews_the_token(anonymous, admin_a):
    before = token_of(anonymous, "/login")
    assert log_in(anonymous, before) == 303
    assert rename(anonymous, before) == 400
    within = token_of(anonymous, PROFILE)
    assert rename(anonymous, within) == 303
    assert anonymous.post("/logout", data={"csrf_token": within}).status_code == 303
    for old in (before, within):
        assert log_in(anonymous, old) == 400
    assert log_in(anonymous, token_of(anonymous, "/login")) == 303
    for old in (before, within):
        assert rename(anonymous, old) == 400


def test_the_token_of_another_session_is_refused(anonymous, client, admin_b, sign_in):
    assert rename(client, token_of(sign_in(admin_b), PROFILE)) == 400
    assert rename(client, token_of(anonymous, "/login")) == 400
