"""Topics: what a workspace mails about, each once, and nothing of who has left it."""

import pytest

from maild.domain.actor import Actor
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import AuditEntry, Topic, Unsubscribe
from maild.services import topics, unsubscribes
from maild.services.topics import NewTopic
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import at_once

OLAF = Actor("olaf@a.example")


@pytest.fixture
def save(database):
    def make(name="news", *, workspace_id=WORKSPACE_A, **fields):
        return topics.save(workspace_id, NewTopic(name, **fields), by=OLAF)

    return make


def audited():
    return [entry.action for entry in AuditEntry.select().order_by(AuditEntry.seq)]


def test_it_is_declared_in_normal_form(save):
    row, is_new = save(" News ", label=" Our newsletter ", description=" Once a month. ")
    assert (row.name, row.label, row.description) == ("news", "Our newsletter", "Once a month.")
    assert (row.is_public, is_new, row.created_by) == (True, True, "olaf@a.example")
    assert row.created_at is not None
    assert audited() == ["topic.declared"]


def test_without_a_label_it_is_called_by_its_name(save):
    assert save(" News ")[0].label == "News"


def test_again_changes_it(save):
    first, _ = save(label="Our newsletter", description="Once a month.")
    again, is_new = save("NEWS", label="News", is_public=False)
    assert (again.id, is_new, again.label, again.description) == (first.id, False, "News", "")
    assert not again.is_public
    entry = AuditEntry.get(AuditEntry.action == "topic.changed")
    assert (entry.target, entry.before["label"], entry.after["label"]) == (
        "topic news", "Our newsletter", "News",
    )  # fmt: skip


def test_the_same_again_is_not_audited(save):
    save(label="News")
    save(label="News")
    assert audited() == ["topic.declared"]


@pytest.mark.parametrize(
    ("name", "fields", "wrong"),
    [
        ("", {}, {"name"}),
        (" ", {"label": "x"}, {"name"}),
        ("x" * 101, {}, {"name"}),
        ("a\nb", {}, {"name"}),
        ("a\0b", {"label": "x"}, {"name"}),
        ("\ud800", {}, {"name"}),
        ("news", {"label": " "}, {"label"}),
        ("news", {"label": "x" * 101}, {"label"}),
        ("news", {"label": "a\r\nb"}, {"label"}),
        ("news", {"label": "\ud800"}, {"label"}),
        ("news", {"description": "x" * 301}, {"description"}),
        ("news", {"description": "a\nb", "label": "a\0"}, ["description", "label"]),
    ],
    ids=str,
)
def test_it_refuses_by_name_and_keeps_nothing(save, name, fields, wrong):
    with pytest.raises(InvalidFields) as caught:
        save(name, **fields)
    assert {error.field for error in caught.value.errors} == set(wrong)
    assert Topic.select().count() == 0
    assert audited() == []


def test_emoji_are_letters_too(save):
    assert save("🦓", label="🦓 zebras")[0].name == "🦓"


def test_there_are_so_many_and_no_more(save, monkeypatch):
    monkeypatch.setattr(topics, "TOPICS_MAX", 2)
    save("one")
    save("two")
    with pytest.raises(Conflict, match="2 topics"):
        save("three")
    save("one", label="One")
    save("three", workspace_id=WORKSPACE_B)


def test_many_at_once_are_one(save):
    at_once(*[save] * 5)
    assert Topic.select().count() == 1
    assert audited() == ["topic.declared"]


def test_deleting_it_lets_nobody_back(save):
    save()
    unsubscribes.add(WORKSPACE_A, "ann@example.org", topic="news", source="api", by=OLAF)
    row = topics.delete(WORKSPACE_A, "NEWS", by=OLAF)
    assert row.name == "news"
    assert topics.list_all(WORKSPACE_A) == []
    assert Unsubscribe.get().removed_at is None
    assert audited()[-1] == "topic.deleted"


@pytest.mark.parametrize("name", ["offers", "", "\0", "\ud800", "x" * 5000])
def test_what_is_not_there_is_not_deleted(save, name):
    save()
    with pytest.raises(NotFound):
        topics.delete(WORKSPACE_A, name, by=OLAF)


def test_another_workspaces_are_not_seen(save):
    row, _ = save()
    assert topics.list_all(WORKSPACE_B) == []
    assert topics.find(WORKSPACE_B, "news") is None
    for call in (
        lambda: topics.get(WORKSPACE_B, row.id),
        lambda: topics.delete(WORKSPACE_B, "news", by=OLAF),
        lambda: topics.list_all(999),
        lambda: save(workspace_id=999),
    ):
        with pytest.raises(NotFound):
            call()


def test_they_are_in_the_order_of_what_people_read(save):
    for name, label in (("b", "Zebras"), ("a", "offers"), ("c", "News")):
        save(name, label=label)
    assert [row.label for row in topics.list_all(WORKSPACE_A)] == ["News", "offers", "Zebras"]
