"""A search, or any other read, that takes too long is cut off, and the page says so."""

import threading

import pytest

from maild import db
from maild.db import database as database_
from maild.errors import Unavailable
from maild.services import message_log
from maild.web import access
from tests.conftest import OPERATOR_KEY
from tests.web.conftest import HTMX

SLEEP = "SELECT pg_sleep(20)"


@pytest.fixture
def slow_search(monkeypatch):
    """Every search of the log waits for longer than it may."""
    genuine = message_log.log_search.find

    def find(search, *, limit):
        database_.execute_sql(SLEEP)
        return genuine(search, limit=limit)

    monkeypatch.setattr(message_log, "SEARCH_TIMEOUT_MS", 50)
    monkeypatch.setattr(message_log.log_search, "find", find)


def test_the_log_says_so_and_keeps_the_filter(page, slow_search):
    soup = page("/ui/logs?q=needle&status=failed")
    assert "This search was cut off" in soup.select_one("#log").text
    assert "Narrow it" in soup.select_one("#log").text
    assert soup.select_one("#q")["value"] == "needle"
    assert soup.select_one("#status option[selected]")["value"] == "failed"


def test_the_list_alone_says_so_too(partial, slow_search):
    assert "Narrow it" in partial("/ui/logs?q=needle").select_one("#log").text


def test_the_poll_of_the_live_end_answers_in_words(client, monkeypatch):
    def list_tail(*args, **kwargs):
        with message_log.bounded():
            database_.execute_sql(SLEEP)

    monkeypatch.setattr(message_log, "SEARCH_TIMEOUT_MS", 50)
    monkeypatch.setattr(message_log, "list_tail", list_tail)
    response = client.get(f"/ui/logs/tail?after={message_log.tail_start()}", headers=HTMX)
    assert response.status_code == 503
    assert "Narrow it" in response.text


def test_the_api_says_so(client, slow_search):
    response = client.get("/v1/messages/logs?q=needle", headers={"X-API-Key": OPERATOR_KEY})
    assert response.status_code == 503
    assert "Narrow it" in response.json["detail"]
    assert response.headers["Retry-After"] == "5"


def in_a_thread(action):
    """Where no connection is open yet, as in a server."""
    outcome = []

    def run():
        try:
            outcome.append(action())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return outcome[0]


@db.connection()
def limit_in_force():
    return database_.execute_sql("SHOW statement_timeout").fetchone()[0]


@pytest.mark.parametrize("path", ["/dashboard", "/ui", "/v1/suppressions"])
def test_whatever_is_read_has_a_limit(app, client, path, monkeypatch):
    seen = []
    genuine = db._tell_limit

    def tell():
        genuine()
        seen.append(database_.execute_sql("SHOW statement_timeout").fetchone()[0])

    monkeypatch.setattr(db, "_tell_limit", tell)
    headers = {"X-API-Key": OPERATOR_KEY} if path.startswith("/v1") else {}
    response = in_a_thread(lambda: client.get(path, headers=headers))
    assert response.status_code == 200
    assert seen
    assert set(seen) == {"2s"}


def test_what_changes_something_takes_as_long_as_it_takes(client, post, monkeypatch):
    seen = []
    monkeypatch.setattr(db, "_tell_limit", lambda: seen.append(db._limit_ms.get()))
    response = in_a_thread(lambda: post(client, "/ui/settings/profile", name="Anna"))
    assert response.status_code == 303
    assert access.READ_MS in seen, "the page with the form"
    assert seen[-1] == 0


def test_the_limit_goes_with_the_request(app, client):
    def ask():
        client.get("/dashboard")
        return limit_in_force()

    assert in_a_thread(ask) == "0"


def test_a_read_that_is_cut_off_is_told_from_a_database_that_is_away(settings, database):
    def read():
        db.limit_statements(50)
        with db.connection():
            database_.execute_sql(SLEEP)

    error = in_a_thread(read)
    assert isinstance(error, Unavailable)
    assert "cut off" in error.detail
