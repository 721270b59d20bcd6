"""GET /ui/logs: keyset pages, both ways."""

from itertools import chain

import pytest

from maild.models import Message


@pytest.fixture
def many(accept, age):
    """120 messages, newest first; each ten of them share their time."""
    messages = [accept(subject=f"Number {number}") for number in range(120)]
    for number, message in enumerate(messages):
        age(message, seconds=(120 - number) // 10 * 60 + 5)
        message.created_at = messages[number - number % 10].created_at
        Message.update(created_at=message.created_at).where(Message.id == message.id).execute()
    return sorted(messages, key=lambda m: (m.created_at, m.id), reverse=True)


def rows(soup):
    return [row["id"].removeprefix("message-") for row in soup.select("tr.message")]


def walk(page, soup, rel):
    pages = [rows(soup)]
    while link := soup.select_one(f".pager [rel={rel}]"):
        soup = page(f"/ui/logs{link['href']}")
        pages.append(rows(soup))
    return pages, soup


def test_it_shows_every_message_once_both_ways(page, many):
    expected = [str(message.id) for message in many]
    older, last = walk(page, page("/ui/logs"), "next")
    assert [len(ids) for ids in older] == [50, 50, 20]
    assert list(chain(*older)) == expected
    newer, first = walk(page, last, "prev")
    assert newer[::-1] == older
    assert first.select("#live"), "the way back ends at the live page"


def test_it_keeps_the_filter_on_every_page(page, many):
    older, _ = walk(page, page("/ui/logs?q=Number+1"), "next")
    assert list(chain(*older)) == [str(m.id) for m in many if m.subject.startswith("Number 1")]


def test_it_is_not_live_on_an_older_page(page, many):
    soup = page("/ui/logs")
    soup = page(f"/ui/logs{soup.select_one('[rel=next]')['href']}")
    assert not soup.select("#live, [data-live-toggle]")
    assert soup.find("a", string="Newest messages")


@pytest.mark.parametrize("query", ["older_than=nonsense", "newer_than=AAAA", "older_than=%00"])
def test_it_refuses_a_mark_that_it_did_not_give_out(page, query):
    assert "not a cursor" in page(f"/ui/logs?{query}", status=400).text


def test_it_refuses_both_directions_at_once(page, many):
    mark = page("/ui/logs").select_one("tr.message")["data-cursor"]
    page(f"/ui/logs?older_than={mark}&newer_than={mark}", status=400)


def test_it_gives_each_row_its_mark_so_that_a_trimmed_table_can_go_on(page, many):
    mark = page("/ui/logs").select("tr.message")[9]["data-cursor"]
    assert rows(page(f"/ui/logs?older_than={mark}"))[0] == str(many[10].id)
