"""Unsubscribes: what is in force, how it ends, and what a person does by a link."""

import pytest

from maild.db import database as db
from maild.domain.actor import RECIPIENT, Actor
from maild.domain.states import Stream
from maild.errors import InvalidFields, NotFound
from maild.models import AuditEntry, Event, Message, Unsubscribe
from maild.services import unsubscribe_lists, unsubscribe_standings, unsubscribes
from maild.services.unsubscribe_links import Link
from maild.services.unsubscribe_lists import Filter, State
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import at_once, event_types

MARKETING = Stream.MARKETING
ADMIN = Actor("admin key", ip="192.0.2.7", request_id="r1")


@pytest.fixture
def add(database):
    def make(email="ann@example.org", *, workspace_id=WORKSPACE_A, **fields):
        return unsubscribes.add(workspace_id, email, **{"source": "api", "by": ADMIN, **fields})

    return make


@pytest.fixture
def link(accept):
    """The link of a message about "news"."""
    message = accept(stream=MARKETING)
    return Link(WORKSPACE_A, message.id, message.to_email, "news")


def in_force():
    """What is in force, as (email, stream, topic)."""
    rows = Unsubscribe.select().where(Unsubscribe.removed_at.is_null()).order_by(Unsubscribe.id)
    return [(row.email, row.stream, row.topic) for row in rows]


def audited():
    return [entry.action for entry in AuditEntry.select().order_by(AuditEntry.seq)]


# Adding


def test_it_keeps_who_opted_out_of_what_and_how(add):
    row = add(topic="News", stream=MARKETING, reason="asked on the phone", source="api")
    assert (row.email, row.topic, row.stream) == ("ann@example.org", "news", MARKETING)
    assert (row.reason, row.source, row.created_by) == ("asked on the phone", "api", "admin key")
    assert row.removed_at is None
    entry = AuditEntry.get()
    assert (entry.action, entry.target) == ("unsubscribe.added", "unsubscribe:ann@example.org")
    assert entry.after == {"stream": "marketing", "topic": "news", "source": "api"}
    assert (entry.reason, entry.actor_ip) == ("asked on the phone", "192.0.2.7")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann@Example.ORG", "ann@example.org"),
        ("JÖRG@bücher.example", "jörg@xn--bcher-kva.example"),
        ("ann+shop@example.org", "ANN+SHOP@example.org"),
    ],
)
def test_one_address_is_one_however_it_is_written(add, one, other):
    assert add(one).id == add(other).id
    assert len(in_force()) == 1


@pytest.mark.parametrize(
    ("one", "other"), [("News", " news"), ("ÄPFEL", "äpfel"), ("Cafe\u0301", "CAFÉ")]
)
def test_one_topic_is_one_however_it_is_written(add, one, other):
    assert add(topic=one).id == add(topic=other).id


def test_adding_again_changes_nothing(add):
    first = add(topic="news", reason="first")
    again = add(topic="news", reason="second", source="page", by=RECIPIENT)
    assert (again.id, again.reason, again.source) == (first.id, "first", "api")
    assert audited() == ["unsubscribe.added"]


def test_each_scope_is_one_of_its_own(add):
    scopes = [(None, None), (None, "news"), (MARKETING, None), (MARKETING, "news")]
    for stream, topic in scopes:
        add(stream=stream, topic=topic)
    assert [(stream, topic) for _, stream, topic in in_force()] == scopes
    add(workspace_id=WORKSPACE_B)
    assert len(in_force()) == 5


def test_many_at_once_are_one(add):
    at_once(*[lambda: add(topic="news")] * 6)
    assert len(in_force()) == 1
    assert audited() == ["unsubscribe.added"]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"email": "ann"}, {"email"}),
        ({"topic": " "}, {"topic"}),
        ({"topic": "x" * 101}, {"topic"}),
        ({"reason": " "}, {"reason"}),
        ({"reason": "a\nb"}, {"reason"}),
        ({"reason": "x" * 501}, {"reason"}),
        ({"email": "a b@c", "topic": "a\nb", "reason": "a\0b"}, {"email", "topic", "reason"}),
    ],
)
def test_it_refuses_by_name_and_keeps_nothing(add, fields, wrong):
    with pytest.raises(InvalidFields) as caught:
        add(**fields)
    assert {error.field for error in caught.value.errors} == wrong
    assert in_force() == []
    assert audited() == []


def test_an_unknown_workspace_is_not_found(add):
    with pytest.raises(NotFound):
        add(workspace_id=999)


def test_it_stands_on_the_timeline_of_the_message_that_led_to_it(add, accept):
    message = accept()
    add(message_id=message.id, topic="news", source="page", by=RECIPIENT)
    assert event_types(message) == ["message.accepted", "message.unsubscribed"]
    event = Event.select().order_by(Event.id.desc()).get()
    assert event.data == {"topic": "news", "source": "page", "by": "the recipient"}
    assert event.workspace_id == WORKSPACE_A


def test_no_other_workspaces_timeline_is_written_to(add, accept):
    message = accept(workspace_id=WORKSPACE_B)
    add(message_id=message.id)
    assert event_types(message) == ["message.accepted"]


# Taking back


def test_it_ends_and_stays_as_history(add):
    row = add(topic="news", stream=MARKETING)
    removal = unsubscribes.remove(
        WORKSPACE_A,
        "ANN@example.org",
        topic="News",
        stream=MARKETING,
        reason="she asked by mail",
        by=ADMIN,
    )
    assert removal.unsubscribe.id == row.id
    kept = Unsubscribe.get_by_id(row.id)
    assert kept.removed_at is not None
    assert (kept.removed_by, kept.removal_reason) == ("admin key", "she asked by mail")
    assert audited() == ["unsubscribe.added", "unsubscribe.removed"]
    entry = AuditEntry.get(AuditEntry.action == "unsubscribe.removed")
    assert entry.reason == "she asked by mail"
    assert entry.before == {"stream": "marketing", "topic": "news", "source": "api"}


def test_it_can_begin_anew(add):
    first = add()
    unsubscribes.remove(WORKSPACE_A, "ann@example.org", reason="asked", by=ADMIN)
    second = add()
    assert second.id != first.id
    assert in_force() == [("ann@example.org", None, None)]


@pytest.mark.parametrize(
    "other",
    [
        {"topic": "offers", "stream": MARKETING},
        {"stream": MARKETING},
        {"topic": "news"},
        {},
        {"topic": "news", "stream": Stream.TRANSACTIONAL},
    ],
)
def test_only_just_this_one_ends(add, other):
    add(topic="news", stream=MARKETING)
    with pytest.raises(NotFound, match="in just this way"):
        unsubscribes.remove(WORKSPACE_A, "ann@example.org", reason="asked", by=ADMIN, **other)
    assert len(in_force()) == 1


def test_the_other_workspaces_stay(add):
    add(workspace_id=WORKSPACE_B)
    with pytest.raises(NotFound):
        unsubscribes.remove(WORKSPACE_A, "ann@example.org", reason="asked", by=ADMIN)
    with pytest.raises(NotFound, match="no workspace"):
        unsubscribes.remove(999, "ann@example.org", reason="asked", by=ADMIN)
    assert len(in_force()) == 1


@pytest.mark.parametrize("reason", ["", " ", "a\nb", "x" * 501])
def test_it_needs_a_reason(add, reason):
    add()
    with pytest.raises(InvalidFields, match="reason"):
        unsubscribes.remove(WORKSPACE_A, "ann@example.org", reason=reason, by=ADMIN)
    assert len(in_force()) == 1


def test_it_tells_what_it_held_back_and_what_remains(add, accept):
    row = add()
    add(topic="news")
    add("bob@example.org")
    stopped = [accept(stream=MARKETING).id for _ in range(3)]
    accept(to_email="carl@example.org")
    db.execute_sql(
        "UPDATE messages SET status = 'suppressed', next_attempt_at = NULL, unsubscribe_id = %s"
        " WHERE id = ANY(%s)",
        (row.id, stopped),
    )
    removal = unsubscribes.remove(WORKSPACE_A, "ann@example.org", reason="asked", by=ADMIN)
    assert (removal.blocked_count, removal.has_more_blocked) == (3, False)
    assert sorted(removal.blocked_ids) == sorted(stopped)
    assert [other.topic for other in removal.remaining] == ["news"]
    statuses = {row.status.value for row in Message.select().where(Message.id << stopped)}
    assert statuses == {"suppressed"}


# Lists


def test_it_lists_the_newest_first_in_pages(add):
    rows = [add(f"user{n}@example.org") for n in range(5)]
    add(workspace_id=WORKSPACE_B)
    first = unsubscribe_lists.list_page(WORKSPACE_A, limit=3)
    second = unsubscribe_lists.list_page(WORKSPACE_A, limit=3, older_than=first.older)
    found = [row.id for page in (first, second) for row in page.unsubscribes]
    assert found == [row.id for row in reversed(rows)]
    assert second.older is None


def test_it_filters(add):
    add("ann@example.org", topic="news")
    add("bob@example.org", topic="offers", source="page")
    add("eve@example.org")
    unsubscribes.remove(WORKSPACE_A, "eve@example.org", reason="asked", by=ADMIN)

    def emails(**filters):
        page = unsubscribe_lists.list_page(WORKSPACE_A, filter_=Filter(**filters))
        return {row.email[:3] for row in page.unsubscribes}

    assert emails() == {"ann", "bob", "eve"}
    assert emails(email="ANN@example.org") == {"ann"}
    assert emails(topic=" NEWS ") == {"ann"}
    assert emails(source="page") == {"bob"}
    assert emails(state=State.IN_FORCE) == {"ann", "bob"}
    assert emails(state=State.REMOVED) == {"eve"}
    with pytest.raises(NotFound):
        unsubscribe_lists.list_page(999)


# By link


def leave(link, *, everything=False, source="page"):
    unsubscribes.leave(link, everything=everything, source=source, by=RECIPIENT)


def come_back(link):
    unsubscribes.come_back(link, by=RECIPIENT)


def test_leaving_stops_the_topic_in_marketing_only(link):
    leave(link)
    assert in_force() == [("ann@example.org", MARKETING, "news")]
    row = Unsubscribe.get()
    assert (row.source, row.message_id, row.created_by) == (
        "page",
        link.message_id,
        "the recipient",
    )
    assert (AuditEntry.get().actor, AuditEntry.get().actor_ip) == ("the recipient", None)


def test_leaving_everything_stops_all_of_marketing(link):
    leave(link, everything=True)
    assert in_force() == [("ann@example.org", MARKETING, None)]


def test_leaving_without_a_topic_stops_all_of_marketing(link):
    leave(Link(link.workspace_id, link.message_id, link.email, None))
    assert in_force() == [("ann@example.org", MARKETING, None)]


def test_coming_back_undoes_what_was_done_by_link(link):
    leave(link)
    leave(link, everything=True, source="one_click")
    come_back(link)
    assert in_force() == []
    assert audited() == ["unsubscribe.added"] * 2 + ["unsubscribe.removed"] * 2
    come_back(link)
    assert audited().count("unsubscribe.removed") == 2


def test_coming_back_undoes_nothing_else(link, add):
    add(topic="news", stream=MARKETING)
    add(stream=MARKETING, source="provider")
    add()
    add("bob@example.org", stream=MARKETING, source="page")
    other = Link(link.workspace_id, link.message_id, link.email, "offers")
    leave(other)
    before = in_force()
    come_back(link)
    assert in_force() == before


def record(add, **fields):
    return add(topic="news", stream=MARKETING, **fields)


@pytest.mark.parametrize("source", ["one_click", "page"])
def test_what_a_person_records_after_the_link_is_undone_by_no_link(link, add, source):
    leave(link, source=source)
    first = Unsubscribe.get()
    row = record(add, reason="she called")
    assert (row.id, row.source, row.created_by, row.reason) == (
        first.id, "api", "admin key", "she called",
    )  # fmt: skip
    assert (row.message_id, row.created_at) == (first.message_id, first.created_at)
    assert not unsubscribe_standings.get_standing(link).is_undoable
    come_back(link)
    assert in_force() == [("ann@example.org", MARKETING, "news")]
    assert audited() == ["unsubscribe.added"] * 2
    entry = AuditEntry.get(AuditEntry.seq == 2)
    what = {"stream": "marketing", "topic": "news"}
    assert entry.before == {**what, "source": source}
    assert entry.after == {**what, "source": "api"}
    assert (entry.actor, entry.reason) == ("admin key", "she called")


def test_a_link_takes_nothing_over(link, add):
    record(add, reason="she called")
    leave(link)
    leave(link, source="one_click")
    come_back(link)
    row = Unsubscribe.get()
    assert (row.source, row.reason, row.removed_at) == ("api", "she called", None)
    assert audited() == ["unsubscribe.added"]


def test_the_same_once_more_is_not_audited(link, add):
    leave(link)
    leave(link, source="one_click")
    assert Unsubscribe.get().source == "page"
    assert len(audited()) == 1
    record(add, reason="she called")
    assert record(add, reason="again").reason == "she called"
    assert len(audited()) == 2


def test_a_link_and_people_at_once_leave_what_no_link_undoes(link, add):
    at_once(*[lambda: leave(link), lambda: record(add)] * 3)
    come_back(link)
    assert [row.source for row in Unsubscribe.select()] == ["api"]
    assert len(in_force()) == 1


def test_coming_back_is_told_on_the_timeline(link):
    leave(link)
    come_back(link)
    message = Message.get_by_id(link.message_id)
    kinds = ["message.unsubscribed", "message.resubscribed"]
    assert event_types(message) == ["message.accepted", *kinds]


def test_leaving_needs_no_message(link):
    Message.delete().execute()
    leave(link)
    assert len(in_force()) == 1
    assert unsubscribe_standings.find_sender(link) is None


def test_the_sender_is_known_while_the_message_is_kept(link):
    assert unsubscribe_standings.find_sender(link) == "shop@example.com"
    elsewhere = Link(WORKSPACE_B, link.message_id, link.email, None)
    assert unsubscribe_standings.find_sender(elsewhere) is None


@pytest.mark.parametrize(
    ("added", "standing"),
    [
        ([], (False, False, True, True)),
        ([{"stream": MARKETING, "topic": "news", "source": "page"}], (True, False, True, True)),
        ([{"stream": MARKETING, "source": "one_click"}], (True, True, True, True)),
        ([{"stream": MARKETING, "topic": "news"}], (True, False, False, True)),
        ([{"topic": "news"}], (True, False, False, False)),
        ([{}], (True, True, False, False)),
        ([{"stream": MARKETING, "topic": "offers"}], (False, False, True, True)),
        ([{"stream": Stream.TRANSACTIONAL}], (False, False, True, True)),
        ([{"email": "bob@example.org"}], (False, False, True, True)),
        ([{"workspace_id": WORKSPACE_B}], (False, False, True, True)),
    ],
)
def test_it_knows_where_a_person_stands(link, add, added, standing):
    for fields in added:
        add(**fields)
    found = unsubscribe_standings.get_standing(link)
    assert standing == (
        found.is_out_of_topic,
        found.is_out_of_all,
        found.is_undoable,
        found.has_important,
    )


def test_they_are_found_by_topic_however_it_is_written(add):
    add("ann@example.org", topic="News")
    add("bob@example.org", topic="Offers")
    add("eve@example.org")
    page = unsubscribe_lists.list_page(WORKSPACE_A, filter_=Filter(topic=" NEWS "))
    assert [row.email for row in page.unsubscribes] == ["ann@example.org"]
