"""GET /ui/logs: filters in the URL."""

import datetime as dt
from urllib.parse import quote

import pytest

from maild import clock
from maild.domain.states import Status, Stream


@pytest.fixture
def found(page):
    """The subjects that a query string finds."""

    def find(query):
        return {link.text for link in page(f"/ui/logs?{query}").select("a.row-link")}

    return find


@pytest.fixture
def three(accept, age, move):
    """Three messages that differ in everything one can filter by."""
    plain = accept(subject="Plain")
    tagged = accept(
        subject="Tagged",
        to_email="bob@example.net",
        from_email="news@example.com",
        stream=Stream.MARKETING,
        tags=("weekly",),
    )
    failed = accept(subject="Failed", to_email="carl@example.net")
    age(plain, seconds=10)
    age(tagged, seconds=2 * 3600)
    age(failed, seconds=2 * 86_400)
    move(failed, Status.FAILED, smtp_account_name="eu", error_class="timeout", last_error="slow")
    return plain, tagged, failed


@pytest.mark.parametrize(
    ("query", "subjects"),
    [
        ("", {"Plain", "Tagged", "Failed"}),
        ("status=failed", {"Failed"}),
        ("status=queued", {"Plain", "Tagged"}),
        ("stream=marketing", {"Tagged"}),
        ("to_email=bob@EXAMPLE.net", {"Tagged"}),
        ("from_email=news@example.com", {"Tagged"}),
        ("q=TAGG", {"Tagged"}),
        ("q=example.net", {"Tagged", "Failed"}),
        ("q=100%25", set()),
        ("tag=weekly", {"Tagged"}),
        ("error_class=timeout", {"Failed"}),
        ("smtp_account=eu", {"Failed"}),
        ("range=15m", {"Plain"}),
        ("range=24h", {"Plain", "Tagged"}),
        ("range=7d", {"Plain", "Tagged", "Failed"}),
        ("status=queued&range=24h&stream=marketing", {"Tagged"}),
        ("status=&stream=&q=++", {"Plain", "Tagged", "Failed"}),
    ],
)
def test_it_finds(found, three, query, subjects):
    assert found(query) == subjects


def test_it_takes_a_range_of_its_own(found, three):
    now = clock.now()
    since = (now - dt.timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M")
    until = (now - dt.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    assert found(f"since={since}&until={until}") == {"Tagged"}
    assert found(f"since={since}&until={until}&range=15m") == set()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "bogus"),
        ("stream", "bulk"),
        ("range", "1y"),
        ("to_email", "bob"),
        ("from_email", "a@b@c"),
        ("tag", "a\0b"),
        ("q", "x" * 400),
        ("error_class", "a\nb"),
        ("smtp_account", "\0"),
        ("since", "yesterday"),
        ("since", "0001-01-01T00:00+14:00"),
        ("until", "1969-01-01"),
    ],
)
def test_it_says_what_is_wrong_beside_the_field_and_keeps_what_was_typed(page, three, name, value):
    soup = page(f"/ui/logs?{name}={quote(value)}&subject=x", status=422)
    assert soup.select_one(f"#{name}-error").text
    field = soup.select_one(f"[name={name}]")
    typed = field.select_one("[selected]")["value"] if field.name == "select" else field["value"]
    assert typed == value.strip()
    assert not soup.select("tr.message")


def test_it_refuses_an_end_before_the_beginning(page):
    soup = page("/ui/logs?since=2025-02-01T00:00&until=2025-01-01T00:00", status=422)
    assert "later" in soup.select_one("#until-error").text


def test_it_refuses_a_filter_given_twice(page):
    soup = page("/ui/logs?status=sent&status=failed", status=422)
    assert "more than once" in soup.select_one("#status-error").text


def test_it_sends_every_error_slot_to_htmx_so_that_a_mended_one_goes_empty(partial, three):
    soup = partial("/ui/logs?status=bogus", status=422)
    slots = {slot["id"]: slot.text for slot in soup.select(".field-error[hx-swap-oob]")}
    assert slots["status-error"]
    assert slots["to_email-error"] == ""
    assert len(slots) == 13


def test_it_keeps_the_filter_in_the_bar(page, three):
    soup = page("/ui/logs?status=failed&to_email=carl@example.net&q=fai")
    assert soup.select_one("#status option[selected]")["value"] == "failed"
    assert soup.select_one("#to_email")["value"] == "carl@example.net"
    assert soup.select_one("#q")["value"] == "fai"
    assert soup.select_one("details.more").has_attr("open")
    assert soup.find("a", string="Clear filters")["href"] == "/ui/logs"


def test_it_suggests_the_accounts_of_the_workspace(page):
    options = [option["value"] for option in page("/ui/logs").select("#smtp_account-list option")]
    assert options == ["default"]
