"""GET /ui/logs/tail, and the page that starts it: nothing skipped, nothing twice."""

import re

import pytest

from maild.domain.states import Status
from maild.services import message_log
from maild.web import logs

HTMX = {"HX-Request": "true"}
AN_ID = "0190b0c8-5f6e-7000-8000-000000000000"


@pytest.fixture
def poll(client, partial):
    """Ask what is new, by the poller's own address; None when there is nothing."""

    def ask(soup, *watch):
        url = soup.select_one("#live")["hx-get"] + "".join(f"&watch={mark}" for mark in watch)
        if client.get(url, headers=HTMX).status_code == 204:
            return None
        return partial(url)

    return ask


def ids(soup, selector="tr.message:not([hx-swap-oob])"):
    return [row["id"].removeprefix("message-") for row in soup.select(selector)]


def test_it_starts_on_the_first_page_only(page):
    assert page("/ui/logs").select_one("#live")["hx-trigger"] == "every 2s"
    assert not page("/ui/logs?until=2030-01-01T00:00").select("#live")


def test_it_says_nothing_when_nothing_is_new(page, poll, accept, age):
    age(accept())
    assert poll(page("/ui/logs")) is None


def test_it_says_nothing_on_an_empty_log(page, poll):
    assert poll(page("/ui/logs")) is None


def test_it_does_not_go_through_what_is_not_meant_again_and_again(page, poll, accept, age):
    match = accept(tags=("weekly",))
    age(match, seconds=90)
    soup = page("/ui/logs?tag=weekly")
    assert ids(soup) == [str(match.id)]
    assert poll(soup) is None, "it begins now, and not where the newest match stands"
    url = str(soup.select_one("#live")["hx-get"])
    mark = str(message_log.cursor_of(match))
    answer = page(re.sub("after=[^&]+", f"after={mark}", url))
    assert ids(answer) == []
    assert mark not in answer.select_one("#live")["hx-get"]
    assert poll(answer) is None


def test_it_brings_new_rows_once(page, poll, accept, age):
    age(accept(), seconds=10)
    soup = page("/ui/logs")
    first, second = accept(), accept()
    age(first, seconds=2)
    age(second, seconds=1.5)
    answer = poll(soup)
    assert ids(answer) == [str(second.id), str(first.id)]
    assert answer.find_all(recursive=False)[0]["id"] == "live"
    assert poll(answer) is None


def test_it_never_skips_or_doubles_a_message_that_is_too_young_for_the_page(
    page, poll, accept, age
):
    settled, young = accept(), accept()
    age(settled)
    soup = page("/ui/logs")
    assert ids(soup) == [str(settled.id)]
    assert poll(soup) is None
    age(young, seconds=1.2)
    assert ids(poll(soup)) == [str(young.id)]


def test_it_brings_what_an_empty_page_was_too_early_for(page, poll, accept, settle):
    young = accept()
    soup = page("/ui/logs")
    assert ids(soup) == []
    settle(young)
    assert ids(poll(soup)) == [str(young.id)]


def test_it_brings_only_what_matches(page, poll, accept, age):
    soup = page("/ui/logs?tag=weekly&range=1h")
    other, match = accept(), accept(tags=("weekly",))
    age(other, match, seconds=1)
    assert ids(poll(soup)) == [str(match.id)]


def test_it_hurries_while_it_is_behind(page, poll, accept, age, monkeypatch):
    monkeypatch.setattr(logs, "TAIL_ROWS", 10)
    soup = page("/ui/logs")
    messages = [accept() for _ in range(13)]
    age(*messages, seconds=1)
    first = poll(soup)
    assert first.select_one("#live")["hx-trigger"] == "every 250ms"
    second = poll(first)
    assert second.select_one("#live")["hx-trigger"] == "every 2s"
    assert sorted(ids(first) + ids(second)) == sorted(str(message.id) for message in messages)


def test_it_counts_what_comes_while_it_is_paused(page, partial, accept, age, monkeypatch):
    monkeypatch.setattr(logs, "WAITING_MAX", 3)
    soup = page("/ui/logs")
    assert not soup.select_one("#live").has_attr("data-waiting")
    url = soup.select_one("#live")["hx-get"]
    none = partial(f"{url}&paused=1").select_one("#live")
    assert (none["data-waiting"], none["hx-get"]) == ("0", url)
    messages = [accept(), accept()]
    age(*messages, seconds=1)
    answer = partial(f"{url}&paused=1")
    assert not answer.select("tr.message")
    assert answer.select_one("#live")["data-waiting"] == "2"
    messages += [accept(), accept()]
    age(*messages[2:], seconds=1)
    assert partial(f"{url}&paused=1").select_one("#live")["data-waiting"] == "3+"
    assert sorted(ids(partial(url))) == sorted(str(message.id) for message in messages)


def test_it_changes_rows_out_of_band(page, poll, accept, age, move):
    message, still = accept(), accept()
    age(message, still)
    soup = page("/ui/logs")
    watch = [field["value"] for field in soup.select("#log-rows [name=watch]")]
    assert set(watch) == {f"{message.id}:queued", f"{still.id}:queued"}
    assert poll(soup, *watch) is None
    move(message, Status.SENT)
    answer = poll(soup, *watch)
    assert ids(answer) == []
    assert ids(answer, "tr[hx-swap-oob=true]") == [str(message.id)]
    assert answer.select_one("tr[hx-swap-oob] .badge").text.strip() == "sent"
    assert not answer.select("[name=watch]"), "a finished row is not watched any more"


def test_it_does_not_tell_of_another_workspace(page, poll, accept, age):
    soup = page("/ui/logs")
    foreign = accept(workspace_id=2)
    age(foreign)
    assert poll(soup, f"{foreign.id}:sending") is None


def test_it_follows_a_status_by_the_whole_list(page, client, partial, accept, age, move):
    earlier, later = accept(), accept()
    age(earlier, seconds=30)
    age(later, seconds=20)
    move(later, Status.FAILED)
    soup = page("/ui/logs?status=failed")
    live = soup.select_one("#live")
    assert live["hx-target"] == "#log"
    assert client.get(live["hx-get"], headers=HTMX).status_code == 204
    move(earlier, Status.FAILED)  # accepted before what the page shows, failed after it
    assert ids(partial(live["hx-get"])) == [str(later.id), str(earlier.id)]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "after=nonsense",
        "after=CURSOR&status=bogus",
        "after=CURSOR&watch=1:queued",
        f"after=CURSOR&watch={AN_ID}:sent",
        "after=CURSOR" + f"&watch={AN_ID}:queued" * 101,
    ],
)
def test_it_refuses_what_the_page_did_not_ask(page, client, query):
    cursor = page("/ui/logs").select_one("#live")["hx-get"].partition("after=")[2]
    response = client.get(f"/ui/logs/tail?{query.replace('CURSOR', cursor)}", headers=HTMX)
    assert response.status_code == 400
    assert response.mimetype == "text/plain"
