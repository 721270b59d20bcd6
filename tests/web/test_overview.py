"""GET /ui"""

import re

from maild import config
from maild.domain.states import Status


def test_it_shows_each_dependency(page, lease):
    soup = page("/ui")
    assert [item.text.strip() for item in soup.select(".checks li")] == [
        "PostgreSQL",
        "Redis",
        "Schema",
        "Workers",
    ]
    assert "All parts are well" in soup.text


def test_it_says_what_is_wrong(page):
    soup = page("/ui")
    assert "Something needs you" in soup.text
    assert "No worker is alive" in soup.select_one(".trouble").text


def test_it_works_while_the_database_lacks_a_migration(page, monkeypatch):
    monkeypatch.setattr("maild.services.migrations.list_pending", lambda: ["0009_later"])
    soup = page("/ui")
    assert "0009_later" in soup.text
    assert "Messages cannot be read" in soup.text


def test_it_shows_the_queue_and_the_latest_messages(page, accept, move):
    due, sending = accept(subject="Due"), accept(subject="Held by a worker")
    move(sending, Status.SENDING)
    soup = page("/ui")
    figures = {div.dt.text: div.dd.text for div in soup.select(".figures > div")}
    assert (figures["Due now"], figures["Sending"], figures["Later"]) == ("1", "1", "0")
    assert {row["id"] for row in soup.select("tr.message")} == {
        f"message-{due.id}",
        f"message-{sending.id}",
    }


def test_it_shows_ten_messages_at_most(page, accept):
    for _ in range(12):
        accept()
    assert len(page("/ui").select("tr.message")) == 10


def test_it_shows_nothing_of_another_workspace(page, accept):
    accept(workspace_id=2, subject="Secret of B")
    soup = page("/ui")
    assert "Secret of B" not in soup.text
    assert "Send a first message" in soup.text


def test_it_offers_a_first_command_with_a_placeholder_for_a_key_of_ones_own(page, settings):
    code = page("/ui").select_one("pre").text
    assert re.search(r"curl http://(127\.0\.0\.1|localhost)\S*/v1/messages", code)
    assert "$OPERATOR_API_KEY" in code
    assert settings.operator_api_key not in code


def test_it_shows_the_key_that_every_development_copy_has(page, use_settings):
    use_settings(operator_api_key=config.DEVELOPMENT_OPERATOR_KEY)
    assert config.DEVELOPMENT_OPERATOR_KEY in page("/ui").select_one("pre").text


def test_it_gives_htmx_the_part_that_changes(partial, accept):
    accept()
    soup = partial("/ui")
    assert not soup.select("html, nav")
    [root] = soup.find_all(recursive=False)
    assert root["id"] == "overview"
    assert root["hx-trigger"] == "every 5s"


def test_it_answers_a_poll_only_when_something_changed(partial, client, accept, move, lease):
    message = accept(scheduled_at=None)
    move(message, Status.FAILED, last_error="550 no")
    poll = partial("/ui").select_one("#overview")["hx-get"]
    assert client.get(poll, headers={"HX-Request": "true"}).status_code == 204
    accept(subject="News")
    assert "News" in partial(poll).text
