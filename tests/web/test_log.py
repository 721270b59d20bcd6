"""GET /ui/logs: the list itself."""

import datetime as dt

from maild import clock
from maild.domain.states import Status


def rows(soup):
    return [row["id"].removeprefix("message-") for row in soup.select("tr.message")]


def test_it_lists_messages_newest_first(page, accept, age):
    first, second = accept(subject="One"), accept(subject="Two")
    age(first, seconds=20)
    age(second, seconds=10)
    soup = page("/ui/logs")
    assert rows(soup) == [str(second.id), str(first.id)]
    assert soup.select_one("tr.message a.row-link")["href"] == f"/ui/messages/{second.id}"


def test_it_shows_what_matters_in_a_row(page, accept, age, move):
    message = accept(to_email="bob@example.net", from_email="shop@example.com", subject="Parcel")
    age(message)
    move(message, Status.FAILED, attempt_count=3, last_error="550 5.1.1 User unknown")
    text = page("/ui/logs").select_one("tr.message").text
    for part in ("failed", "bob@example.net", "Parcel", "shop@example.com", "3", "550 5.1.1"):
        assert part in text
    assert "transactional" in text


def test_it_tells_deferred_and_scheduled_from_queued(page, accept, age, move):
    later = clock.now() + dt.timedelta(hours=2)
    deferred, scheduled, queued = accept(), accept(scheduled_at=later), accept()
    age(deferred, scheduled, queued)
    move(deferred, Status.QUEUED, last_error="451 later", next_attempt_at=later)
    badges = {
        row["id"]: row.select_one(".badge").text.strip()
        for row in page("/ui/logs").select("tr.message")
    }
    assert badges[f"message-{deferred.id}"] == "deferred"
    assert badges[f"message-{scheduled.id}"] == "scheduled"
    assert badges[f"message-{queued.id}"] == "queued"


def test_it_shows_nothing_of_another_workspace(page, accept, age):
    age(accept(workspace_id=2, subject="Secret of B"))
    soup = page("/ui/logs")
    assert rows(soup) == []
    assert "No messages yet" in soup.text


def test_it_escapes_what_senders_write(page, accept, age, move):
    message = accept(
        subject="<script>alert(1)</script>", from_name='"><img src=x onerror=alert(1)>'
    )
    age(message)
    move(message, Status.FAILED, last_error="550 <b onclick=alert(1)>no</b>\" onmouseover='x'")
    soup = page("/ui/logs")
    row = soup.select_one("tr.message")
    assert "<script>alert(1)</script>" in row.text
    assert not row.select("script, img, b, [onclick], [onmouseover]")


def test_it_gives_htmx_the_list(partial, accept, age):
    age(accept())
    soup = partial("/ui/logs")
    assert not soup.select("html, nav.rail, h1, #filters")
    assert len(soup.select("#log")) == 1


def test_it_gives_a_whole_page_when_a_browser_goes_back(page):
    headers = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert page("/ui/logs", headers=headers).select("html")


def test_it_keeps_caches_from_mixing_page_and_partial(client):
    assert "HX-Request" in client.get("/ui/logs").headers["Vary"]


def test_it_goes_straight_to_a_message_whose_id_is_searched(client, accept):
    message = accept()
    for text in (str(message.id), message.message_id_header):
        response = client.get("/ui/logs", query_string={"q": text})
        assert response.status_code == 303
        assert response.headers["Location"] == f"/ui/messages/{message.id}"
        response = client.get("/ui/logs", query_string={"q": text}, headers={"HX-Request": "true"})
        assert response.headers["HX-Redirect"] == f"/ui/messages/{message.id}"


def test_it_does_not_go_to_a_message_of_another_workspace(page, accept):
    message = accept(workspace_id=2)
    assert "No message matches" in page(f"/ui/logs?q={message.id}").text
