"""/ui/audience/topics: what the workspace mails about."""

import pytest
from bs4 import BeautifulSoup

from maild.domain.actor import Actor
from maild.models import AuditEntry, Topic, Unsubscribe
from maild.services import topics, unsubscribes
from maild.services.topics import NewTopic
from tests.conftest import WORKSPACE_A, WORKSPACE_B

OLAF = Actor("olaf@a.example")
PATH = "/ui/audience/topics"


@pytest.fixture
def topic(database):
    return topics.save(WORKSPACE_A, NewTopic("news", "Our newsletter"), by=OLAF)[0]


def soup_of(response):
    return BeautifulSoup(response.text, "html.parser")


def undo(client):
    """Press the undo of the toast on the next page."""
    form = soup_of(client.get(PATH)).select_one("#toasts form")
    fields = {field["name"]: field.get("value", "") for field in form.select("input[name]")}
    return client.post(form["action"], data=fields)


def test_it_says_what_to_do_where_there_are_none(page):
    text = page(PATH).select_one("main").get_text(" ", strip=True)
    assert "No topics yet" in text
    assert "Declare a topic" in text


def test_it_lists_them_and_those_that_people_have_left(page, topic):
    topics.save(WORKSPACE_B, NewTopic("theirs", "Theirs"), by=OLAF)
    for name in ("news", "jobs"):
        unsubscribes.add(WORKSPACE_A, "ann@example.org", topic=name, source="api", by=OLAF)
    unsubscribes.add(WORKSPACE_B, "ann@example.org", topic="secret", source="api", by=OLAF)
    soup = page(PATH)
    assert [row.get_text(strip=True) for row in soup.select("tbody th")] == ["Our newsletter"]
    assert [a.get_text(strip=True) for a in soup.select(".topic-names a")] == ["jobs"]


def test_one_is_declared(client, post):
    answer = post(client, PATH, name=" News", label="Our newsletter", is_public="y")
    assert (answer.status_code, answer.location) == (303, PATH)
    row = Topic.get()
    assert (row.name, row.label, row.is_public) == ("news", "Our newsletter", True)
    assert "is declared" in client.get(PATH).text


def test_one_is_changed(client, post, topic):
    answer = post(
        client, PATH, topic_id=topic.id, name="news", label="News", description="Monthly."
    )
    assert answer.status_code == 303
    row = Topic.get()
    assert (row.label, row.description, row.is_public) == ("News", "Monthly.", False)


def test_errors_keep_what_was_typed(client, post, topic):
    answer = post(client, PATH, name="a\nb", label="x" * 101, description="kept", is_public="y")
    assert answer.status_code == 422
    soup = soup_of(answer)
    assert "line break" in soup.select_one("#name-error").text
    assert "longer than 100" in soup.select_one("#label-error").text
    assert soup.select_one("#description")["value"] == "kept"
    answer = post(client, PATH, topic_id=topic.id, name="news", label="x" * 101)
    soup = soup_of(answer)
    assert soup.select_one(f"#change-{topic.id}").has_attr("open")
    assert "longer than" in soup.select_one(f"#topic-{topic.id}-label-error").text
    assert soup.select_one("#label").get("value", "") == ""


def test_too_many_are_told(client, post, topic, monkeypatch):
    monkeypatch.setattr(topics, "TOPICS_MAX", 1)
    answer = post(client, PATH, name="offers")
    assert answer.status_code == 409
    assert "1 topics already" in soup_of(answer).select_one("[role=alert]").text


def test_one_is_deleted_with_a_way_back(client, post, topic):
    unsubscribes.add(WORKSPACE_A, "ann@example.org", topic="news", source="api", by=OLAF)
    answer = post(client, f"{PATH}/{topic.id}/delete")
    assert (answer.status_code, answer.location) == (303, PATH)
    assert not Topic.select().exists()
    assert Unsubscribe.get().removed_at is None
    assert undo(client).status_code == 303
    row = Topic.get()
    assert (row.name, row.label, row.is_public) == ("news", "Our newsletter", True)


def test_another_workspaces_is_not_there(client, post):
    row, _ = topics.save(WORKSPACE_B, NewTopic("news"), by=OLAF)
    for topic_id in (row.id, 999_999):
        assert post(client, f"{PATH}/{topic_id}/delete").status_code == 404
    assert Topic.select().count() == 1


def test_a_viewer_looks_and_changes_nothing(viewer_a, sign_in, post, topic):
    client = sign_in(viewer_a)
    soup = soup_of(client.get(PATH))
    assert "Our newsletter" in soup.text
    assert not soup.select("main form")
    for path in (PATH, f"{PATH}/{topic.id}/delete"):
        assert post(client, path, name="x").status_code == 403
    assert Topic.select().count() == 1


def test_an_operator_changes_them_and_a_stranger_nothing(operator_a, sign_in, post, anonymous):
    assert post(sign_in(operator_a), PATH, name="news").status_code == 303
    assert anonymous.get(PATH).status_code == 303
    assert post(anonymous, PATH, name="x").status_code == 401
    assert [row.name for row in Topic.select()] == ["news"]
    assert AuditEntry.get().actor == "olaf@a.example"
