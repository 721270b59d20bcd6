"""GET /ui"""

import datetime as dt
import json
import re

import pytest
from bs4 import BeautifulSoup

from maild import clock, config
from maild.domain.actor import SYSTEM
from maild.domain.states import Status
from maild.models import Message, WebhookEndpoint
from maild.services import payloads, webhook_endpoints
from tests.conftest import WORKSPACE_B


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
    shown = figures(soup)
    assert (shown["Due now"], shown["Sending"], shown["Later"]) == ("1", "1", "0")
    assert {row["id"] for row in soup.select("tr.message")} == {
        f"message-{due.id}",
        f"message-{sending.id}",
    }


def figures(soup):
    """What the tiles say, without what only a screen reader hears."""
    for hidden in soup.select(".figures .visually-hidden"):
        hidden.extract()
    return {div.dt.text: div.dd.text.strip() for div in soup.select(".figures > div")}


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
    assert "$API_KEY" in code
    assert settings.operator_api_key not in code


def test_its_first_command_goes_where_maild_is_reached_from_outside(page, use_settings):
    use_settings(public_url="https://mail.example.com")
    code = page("/ui").select_one("pre").text
    assert code.startswith("curl https://mail.example.com/v1/messages ")


def test_its_first_command_sends_into_the_workspace_that_is_shown(
    make_person, sign_in, use_settings
):
    """The operator's key is good for every workspace, and without a name means the first one."""
    use_settings(operator_api_key=config.DEVELOPMENT_OPERATOR_KEY)
    client = sign_in(make_person("bob@b.example", workspace_id=WORKSPACE_B))
    code = BeautifulSoup(client.get("/ui").text, "html.parser").select_one("pre").text
    body = json.loads(re.search(r"-d '(.*)'", code, re.DOTALL)[1])
    headers = {"X-API-Key": config.DEVELOPMENT_OPERATOR_KEY}
    assert client.post("/v1/messages", json=body, headers=headers).status_code == 201
    assert Message.get().workspace_id == WORKSPACE_B


def test_it_shows_the_key_that_every_development_copy_has(page, use_settings):
    use_settings(operator_api_key=config.DEVELOPMENT_OPERATOR_KEY)
    assert config.DEVELOPMENT_OPERATOR_KEY in page("/ui").select_one("pre").text


def test_it_gives_htmx_the_part_that_changes(partial, accept):
    accept()
    soup = partial("/ui")
    assert not soup.select("html, nav.rail")
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


@pytest.fixture
def endpoint(database):
    """Make a webhook endpoint that stands as the fields say."""

    def make(provider="postmark", *, workspace_id=1, **fields):
        row = webhook_endpoints.add(
            workspace_id, provider=provider, smtp_account="default", by=SYSTEM
        )
        if fields:
            WebhookEndpoint.update(**fields).where(WebhookEndpoint.id == row.id).execute()
        return row

    return make


def bury(count, *, workspace_id=1):
    """Have so many reports come in that nobody can read."""
    stored = payloads.take_entries(workspace_id, [b"no JSON %d" % n for n in range(count)])
    payloads.read(stored)


def hours_ago(hours):
    return clock.now() - dt.timedelta(hours=hours)


def test_it_says_nothing_of_reports_that_come_in(page, endpoint):
    endpoint()
    endpoint(workspace_id=2, silent_since=hours_ago(1))
    bury(1, workspace_id=2)
    assert not page("/ui").select(".attention")


@pytest.mark.parametrize(
    ("provider", "fields", "title", "advice"),
    [
        (
            "postmark",
            {"silent_since": hours_ago(2), "last_event_at": hours_ago(3)},
            "Postmark has stopped reporting on “default”",
            "Look at Postmark whether the webhook is still on",
        ),
        (
            "dsn",
            {"silent_since": hours_ago(2), "last_event_at": hours_ago(3)},
            "No more bounce mails come in for “default”",
            "mail to the bounce address",
        ),
        (
            "mandrill",
            {"refusing_since": hours_ago(2), "silent_since": hours_ago(1)},
            "Mandrill's reports on “default” are refused",
            "save the right one on the page of",
        ),
        (
            "dsn",
            {"refusing_since": hours_ago(2)},
            "Bounce mails on “default” are refused",
            "that whoever passes bounce mails on uses",
        ),
    ],
)
def test_it_says_whose_reports_need_somebody(page, endpoint, provider, fields, title, advice):
    row = endpoint(provider, **fields)
    [item] = page("/ui").select(".attention li")
    assert item.strong.text == title
    assert advice in item.text
    assert item.a.text == f"webhook endpoint {row.id}"
    assert item.a["href"] == f"/ui/providers/webhooks/{row.id}"
    assert ("last report 3 h ago" if "last_event_at" in fields else "no report yet") in item.text


def test_it_tells_why_requests_were_refused(page, endpoint):
    evil = "<script>alert(1)</script>"
    endpoint(refusing_since=hours_ago(1), last_refusal=evil)
    soup = page("/ui")
    assert soup.select_one(".attention .reply").text == evil
    assert evil not in str(soup)


@pytest.mark.parametrize(
    ("count", "words"), [(1, "1 dead letter"), (3, "3 dead letters"), (4, "4+ dead letters")]
)
def test_it_counts_dead_letters_up_to_a_number(page, monkeypatch, count, words):
    for module in ("services.glances", "web.handover"):
        monkeypatch.setattr(f"maild.{module}.COUNT_MAX", 4)
    bury(count)
    [item] = page("/ui").select(".attention li")
    assert item.strong.text == words
    assert item.a["href"] == "/ui/webhooks"


def test_it_answers_a_poll_when_reports_come_to_need_somebody(partial, client, endpoint, lease):
    row = endpoint()
    poll = partial("/ui").select_one("#overview")["hx-get"]
    assert client.get(poll, headers={"HX-Request": "true"}).status_code == 204
    WebhookEndpoint.update(silent_since=clock.now()).where(WebhookEndpoint.id == row.id).execute()
    assert "has stopped reporting" in partial(poll).text


def test_it_says_that_the_database_is_away(client, postgres_away):
    """Who is there cannot be known then; a page that is shown already stays, and tells of it."""
    answer = client.get("/ui")
    assert answer.status_code == 503
    assert "The database cannot be reached at the moment" in answer.text
    poll = client.get("/ui?span=1h&seen=x", headers={"HX-Request": "true"})
    assert (poll.status_code, poll.mimetype) == (503, "text/plain")
