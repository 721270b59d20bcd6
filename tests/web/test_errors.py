"""Errors as pages."""

from concurrent.futures import ThreadPoolExecutor

import peewee
import pytest
from bs4 import BeautifulSoup

from maild.errors import Unavailable


@pytest.fixture
def broken(monkeypatch):
    """Let the log raise what is given."""

    def break_with(error):
        def fail(*args, **kwargs):
            raise error

        monkeypatch.setattr("maild.services.message_log.list_live", fail)

    return break_with


def test_it_says_that_a_page_does_not_exist(anonymous):
    response = anonymous.get("/nothing")
    assert response.status_code == 404
    soup = BeautifulSoup(response.text, "html.parser")
    assert soup.h1.text == "Page not found"
    assert soup.find("a", string="Home")["href"] == "/"


def test_it_stays_in_the_console(page):
    soup = page("/ui/nothing", status=404)
    assert soup.select(".rail")
    assert soup.find("a", string="All messages")


def test_it_says_what_is_unavailable_and_when_to_try_again(client, broken):
    broken(Unavailable("This search took too long.", retry_after_seconds=5))
    response = client.get("/ui/logs")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert "This search took too long." in response.text


def test_it_tells_nothing_of_a_crash_but_where_to_look(client, broken):
    broken(RuntimeError("password=hunter2"))
    response = client.get("/ui/logs", headers={"X-Request-ID": "req-17"})
    assert response.status_code == 500
    assert "hunter2" not in response.text
    assert "req-17" in response.text
    assert "Content-Security-Policy" in response.headers


def test_it_answers_htmx_in_plain_words(client, broken):
    broken(Unavailable("This search took too long."))
    response = client.get("/ui/logs", headers={"HX-Request": "true"})
    assert (response.status_code, response.mimetype) == (503, "text/plain")
    assert response.text == "This search took too long."


def test_it_leaves_the_api_alone(client):
    response = client.get("/v1/nothing")
    assert response.mimetype == "application/problem+json"
    assert "Content-Security-Policy" not in response.headers


def test_it_still_serves_what_needs_no_database_while_it_is_away(client, monkeypatch):
    def fail(*args, **kwargs):
        raise peewee.OperationalError("connection refused")

    def get(path):
        with client.get(path) as response:
            return response.status_code, response.text

    monkeypatch.setattr("maild.db.database.connect", fail)
    with ThreadPoolExecutor(1) as other_thread:  # this one has its connection already
        assert other_thread.submit(get, "/ui/logs").result()[0] == 503
        assert other_thread.submit(get, "/static/css/base.css").result()[0] == 200
        status, text = other_thread.submit(get, "/").result()
    assert status == 200
    assert "Log in" in text


BACK = "Back to the page before"


def test_it_leads_back_to_the_page_before(page):
    soup = page(
        "/ui/messages/00000000-0000-7000-8000-000000000000",
        status=404,
        headers={"Referer": "http://localhost/ui/logs?q=a%26b&status=failed"},
    )
    assert soup.find("a", string=BACK)["href"] == "/ui/logs?q=a%26b&status=failed"


@pytest.mark.parametrize(
    "referrer",
    [
        "",
        "http://localhost/ui/nothing",
        "https://elsewhere.example/ui/logs",
        "http://localhost//elsewhere.example/",
        "http://localhost@elsewhere.example/",
        "javascript:alert(1)",
        "http://[",
    ],
    ids=["none", "itself", "elsewhere", "two-slashes", "user-info", "script", "no-url"],
)
def test_it_leads_nowhere_else(page, referrer):
    soup = page("/ui/nothing", status=404, headers={"Referer": referrer})
    assert not soup.find("a", string=BACK)
