"""What the log's filter finds, as a CSV file."""

import csv
import io

import pytest

from maild.db import database
from maild.domain.actor import Actor
from maild.domain.states import Stream
from maild.errors import NotFound, SearchTooLong
from maild.models import AuditEntry, Message
from maild.services import log_exports, log_search, message_log
from maild.services.message_log import Filter
from tests.counting import count_statements

ANN = Actor("ann@a.example")


def export(workspace_id=1, **fields):
    text = "".join(
        log_exports.write(workspace_id, filter_=Filter(**fields), by=ANN, asked="the filter")
    )
    return list(csv.DictReader(io.StringIO(text)))


def test_it_holds_what_the_filter_finds_newest_first(accept):
    first = accept(subject="First", tags=("a", "b"))
    accept(subject="Other", stream=Stream.MARKETING)
    second = accept(subject="Second")
    rows = export(stream=Stream.TRANSACTIONAL)
    assert [row["id"] for row in rows] == [str(second.id), str(first.id)]
    assert list(rows[0]) == list(log_exports.COLUMNS)
    assert rows[1]["tags"] == "a b"
    assert rows[1]["accepted_at"] == first.created_at.isoformat()
    assert rows[1]["message_id_header"] == first.message_id_header


def test_it_goes_on_through_all_portions(accept, monkeypatch):
    monkeypatch.setattr(log_exports, "PORTION", 2)
    messages = [accept() for _ in range(5)]
    assert [row["id"] for row in export()] == [str(one.id) for one in reversed(messages)]


def test_formulas_are_taken_the_edge_off(accept):
    accept(subject='=HYPERLINK("http://evil.example")')
    assert export()[0]["subject"] == '\'=HYPERLINK("http://evil.example")'


def test_it_says_in_its_last_line_that_there_are_more(accept, monkeypatch):
    monkeypatch.setattr(log_exports, "PORTION", 2)
    monkeypatch.setattr(log_exports, "ROWS_MAX", 3)
    messages = [accept() for _ in range(5)]
    rows = export()
    assert [row["id"] for row in rows[:-1]] == [str(one.id) for one in messages[:1:-1]]
    assert rows[-1]["id"].startswith("Only the newest")


def test_just_so_many_are_all(accept, monkeypatch):
    monkeypatch.setattr(log_exports, "PORTION", 2)
    monkeypatch.setattr(log_exports, "ROWS_MAX", 4)
    for _ in range(4):
        accept()
    assert len(export()) == 4


@pytest.fixture
def slow_from(monkeypatch):
    """Call with a number: from that search on, each waits for longer than it may."""
    genuine, counted = log_search.find, []

    def slow(first):
        def find(search, *, limit):
            counted.append(search)
            if len(counted) >= first:
                database.execute_sql("SELECT pg_sleep(20)")
            return genuine(search, limit=limit)

        monkeypatch.setattr(message_log, "SEARCH_TIMEOUT_MS", 50)
        monkeypatch.setattr(log_search, "find", find)

    return slow


def test_a_search_that_is_cut_off_later_on_says_so(accept, monkeypatch, slow_from):
    monkeypatch.setattr(log_exports, "PORTION", 1)
    accept()
    newest = accept()
    slow_from(2)
    first, last = export()
    assert first["id"] == str(newest.id)
    assert "cut off" in last["id"]


def test_one_that_is_cut_off_at_once_is_no_file_and_not_audited(accept, slow_from):
    accept()
    slow_from(1)
    with pytest.raises(SearchTooLong):
        export()
    assert not AuditEntry.select().count()


def test_what_comes_meanwhile_is_not_in_it(accept, monkeypatch):
    monkeypatch.setattr(log_exports, "PORTION", 1)
    old = [accept(), accept()]
    lines = log_exports.write(1, filter_=Filter(), by=ANN, asked="")
    accept()
    rows = list(csv.DictReader(io.StringIO("".join(lines))))
    assert [row["id"] for row in rows] == [str(one.id) for one in reversed(old)]


def test_the_audit_log_keeps_who_took_it(accept):
    accept()
    export()
    entry = AuditEntry.get()
    assert (entry.actor, entry.action, entry.target) == (
        "ann@a.example", "messages.exported", "messages",
    )  # fmt: skip
    assert entry.after == {"filter": "the filter"}


def test_another_workspace_has_none_of_it(accept):
    accept()
    assert export(2) == []
    with pytest.raises(NotFound):
        export(999)


def test_it_asks_once_for_each_portion(accept, monkeypatch):
    monkeypatch.setattr(log_exports, "PORTION", 5)
    for _ in range(9):
        accept()
    few = count_statements(lambda: export(to_email="nobody@example.org"))
    assert count_statements(export) - few <= 6
    assert Message.select().count() == 9
