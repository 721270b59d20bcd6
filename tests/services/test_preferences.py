"""The preference centre: it says how somebody stands, and does what they choose, as far as a link
may.
"""

import pytest

from maild.domain.actor import RECIPIENT, Actor
from maild.domain.states import Stream
from maild.domain.suppression import SuppressionClass
from maild.errors import NotFound
from maild.models import AuditEntry, Contact, Event, Message, Topic, Unsubscribe
from maild.services import preferences, suppressions, topics, unsubscribes
from maild.services.topics import NewTopic
from maild.services.unsubscribe_links import Link
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import at_once, event_types

OLAF = Actor("olaf@a.example")
MARKETING = Stream.MARKETING
ADDRESS = "ann@example.org"


@pytest.fixture
def link(accept):
    message = accept(stream="marketing", to_email="Ann@example.org", topic="news")
    return Link(WORKSPACE_A, message.id, message.to_email, "news")


@pytest.fixture
def declare(database):
    def make(*names, workspace_id=WORKSPACE_A, **fields):
        for name in names:
            topics.save(workspace_id, NewTopic(name, **fields), by=OLAF)

    return make


@pytest.fixture
def contact(database):
    def make(*asked, workspace_id=WORKSPACE_A):
        row = Contact.create(
            workspace_id=workspace_id, email=ADDRESS, topics=list(asked), created_by="x"
        )
        return Contact.get_by_id(row.id)

    return make


def opt_out(topic=None, *, stream=MARKETING, source="page", **fields):
    values = {"workspace_id": WORKSPACE_A, "email": ADDRESS, "by": OLAF, **fields}
    return unsubscribes.add(topic=topic, stream=stream, source=source, **values)


def choose(link, *chosen):
    preferences.choose(link, chosen, by=RECIPIENT)


def in_force():
    rows = Unsubscribe.select().where(Unsubscribe.removed_at.is_null())
    return {(row.stream, row.topic): row.source for row in rows}


def shown(link):
    return {one.topic: (one.is_chosen, one.is_locked) for one in preferences.get(link).choices}


CHOSEN, FREE, LOCKED = (True, False), (False, False), (False, True)


# What it shows


def test_who_has_named_no_topic_hears_of_all_that_they_have_not_left(link, declare):
    declare("news", "offers")
    opt_out("offers")
    assert shown(link) == {"news": CHOSEN, "offers": FREE}


def test_who_has_asked_for_some_hears_of_those_and_of_what_the_mail_was_about(
    link, declare, contact
):
    declare("news", "offers", "jobs")
    contact("jobs")
    assert shown(link) == {"news": CHOSEN, "jobs": CHOSEN, "offers": FREE}


def test_what_is_not_public_is_shown_to_who_has_to_do_with_it(link, declare, contact):
    declare("asked", "left", "hidden", "news", is_public=False)
    contact("asked")
    opt_out("left")
    opt_out("unheard-of")
    assert set(shown(link)) == {"asked", "left", "news", "unheard-of"}


def test_it_says_what_people_read_declared_ones_first(link, declare):
    declare("offers", label="Our offers", description="Now and then.")
    opt_out("a")
    found = [(one.label, one.description) for one in preferences.get(link).choices]
    assert found == [("Our offers", "Now and then."), ("a", ""), ("news", "")]


@pytest.mark.parametrize(
    "left",
    [
        {"source": "api"},
        {"source": "provider_event"},
        {"stream": None},
        {"stream": None, "source": "page"},
    ],
)
def test_what_no_link_did_is_locked(link, declare, left):
    declare("news", "offers")
    opt_out("news", **left)
    assert shown(link) == {"news": LOCKED, "offers": CHOSEN}


def test_who_has_left_all_hears_of_nothing(link, declare):
    declare("news", "offers")
    opt_out()
    centre = preferences.get(link)
    assert (centre.is_out, centre.is_locked, centre.has_important) == (True, False, True)
    assert shown(link) == {"news": FREE, "offers": FREE}
    opt_out(source="api", stream=None)
    centre = preferences.get(link)
    assert (centre.is_out, centre.is_locked, centre.has_important) == (True, True, False)
    assert shown(link) == {"news": LOCKED, "offers": LOCKED}


def test_transactional_mail_is_none_of_its_business(link, declare):
    declare("news")
    opt_out("news", stream=Stream.TRANSACTIONAL)
    opt_out(stream=Stream.TRANSACTIONAL)
    assert shown(link) == {"news": CHOSEN}


@pytest.mark.parametrize("class_", SuppressionClass)
def test_it_says_what_stops_all_of_it(link, class_):
    assert preferences.get(link).stopped_by is None
    suppressions.add(WORKSPACE_A, ADDRESS, reason="x", source="api", class_=class_)
    centre = preferences.get(link)
    assert (centre.stopped_by, centre.has_important) == (class_, False)


def test_only_what_is_in_force_and_of_marketing_stops_it(link):
    suppressions.add(WORKSPACE_A, ADDRESS, reason="x", source="api", stream=Stream.TRANSACTIONAL)
    suppressions.add(WORKSPACE_B, ADDRESS, reason="x", source="api")
    assert preferences.get(link).stopped_by is None
    suppressions.add(WORKSPACE_A, ADDRESS, reason="x", source="api", stream=MARKETING)
    centre = preferences.get(link)
    assert (centre.stopped_by, centre.has_important) == (SuppressionClass.MANUAL, True)


def test_nothing_of_another_workspace_is_seen(link, declare, contact):
    declare("theirs", workspace_id=WORKSPACE_B)
    contact("hidden", workspace_id=WORKSPACE_B)
    opt_out("secret", workspace_id=WORKSPACE_B)
    opt_out(workspace_id=WORKSPACE_B, source="api", stream=None)
    centre = preferences.get(link)
    assert set(shown(link)) == {"news"}
    assert (centre.workspace, centre.is_out, centre.is_locked) == ("Default", False, False)


# What it does


def test_what_is_not_ticked_is_left(link, declare):
    declare("news", "offers", "jobs")
    choose(link, "offers")
    assert in_force() == {(MARKETING, "news"): "preferences", (MARKETING, "jobs"): "preferences"}
    assert shown(link) == {"news": FREE, "offers": CHOSEN, "jobs": FREE}
    row = Unsubscribe.select().first()
    assert (row.email, row.message_id, row.created_by) == (
        ADDRESS, link.message_id, "the recipient",
    )  # fmt: skip


def test_what_is_ticked_again_is_taken_back(link, declare):
    declare("news", "offers")
    opt_out("news", source="one_click")
    opt_out("offers", source="preferences")
    choose(link, "news", "offers")
    assert in_force() == {}
    assert {row.removed_by for row in Unsubscribe.select()} == {"the recipient"}


@pytest.mark.proves("I7")
def test_what_no_link_did_stays_whatever_is_ticked(link, declare):
    declare("news", "offers")
    opt_out("news", source="api")
    opt_out("offers", stream=None)
    suppressions.add(WORKSPACE_A, ADDRESS, reason="complaint", source="api")
    before = in_force()
    choose(link, "news", "offers")
    preferences.come_back(link, by=RECIPIENT)
    assert in_force() == before
    assert preferences.get(link).stopped_by is not None


def test_what_is_left_already_keeps_its_source(link, declare):
    declare("news")
    opt_out("news", source="api")
    choose(link)
    assert in_force() == {(MARKETING, "news"): "api"}


def test_nothing_is_everything(link, declare, contact):
    declare("news", "offers")
    contact("news")
    preferences.leave_everything(link, by=RECIPIENT)
    assert in_force() == {(MARKETING, None): "preferences"}
    assert Contact.get().topics == []


def test_who_is_out_and_ticks_nothing_stays_out(link, declare):
    declare("news")
    opt_out()
    choose(link)
    assert in_force() == {(MARKETING, None): "page"}


def test_who_is_out_and_ticks_some_hears_of_those(link, declare):
    declare("news", "offers")
    opt_out(source="one_click")
    choose(link, "offers")
    assert in_force() == {(MARKETING, "news"): "preferences"}
    assert shown(link) == {"news": FREE, "offers": CHOSEN}


@pytest.mark.parametrize("left", [{"source": "api"}, {"stream": None}])
def test_who_is_out_in_another_way_stays_out(link, declare, contact, left):
    declare("news")
    contact("offers")
    opt_out(**left)
    before = in_force()
    choose(link, "news")
    assert in_force() == before
    assert Contact.get().topics == ["offers"]


def test_who_has_no_topics_comes_back_to_all(accept):
    message = accept(stream="marketing")
    link = Link(WORKSPACE_A, message.id, ADDRESS, None)
    opt_out(source="preferences")
    preferences.come_back(link, by=RECIPIENT)
    assert in_force() == {}


def test_a_topic_that_is_not_on_the_page_is_not_chosen(link, declare, contact):
    declare("news")
    declare("hidden", is_public=False)
    contact()
    choose(link, "news", "hidden", "made up", "\0", "x" * 10_000)
    assert Contact.get().topics == ["news"]
    assert in_force() == {}


def test_a_contact_has_asked_for_what_was_ticked(link, declare, contact):
    declare("news", "offers", "locked")
    row = contact("news", "locked", "offers")
    opt_out("locked", source="api")
    choose(link, "news")
    changed = Contact.get()
    assert (changed.topics, changed.version) == (["locked", "news"], row.version + 1)
    assert changed.updated_at > row.updated_at


def test_no_contact_is_made_and_no_other_changed(link, declare, contact):
    declare("news")
    contact("offers", workspace_id=WORKSPACE_B)
    choose(link)
    assert [(row.workspace_id, row.topics) for row in Contact.select()] == [
        (WORKSPACE_B, ["offers"])
    ]
    assert {row.workspace_id for row in Unsubscribe.select()} == {WORKSPACE_A}


def test_it_is_on_record_once(link, declare, contact):
    declare("news", "offers")
    contact("news")
    before = AuditEntry.select().count()
    for _ in range(3):
        choose(link, "offers")
    entries = list(AuditEntry.select().order_by(AuditEntry.seq).offset(before))
    assert [entry.action for entry in entries] == ["unsubscribe.added", "contact.chose_topics"]
    assert {entry.actor for entry in entries} == {"the recipient"}
    assert entries[0].after == {"stream": "marketing", "topic": "news", "source": "preferences"}
    assert (entries[1].before, entries[1].after) == (None, None)


def test_several_are_one_entry_and_each_is_on_the_timeline(link, declare):
    declare("news", "offers")
    opt_out()
    choose(link, "offers")
    preferences.leave_everything(link, by=RECIPIENT)
    opt_out("offers")
    choose(link, "offers", "news")
    removed = AuditEntry.select().where(AuditEntry.action == "unsubscribe.removed")
    assert removed.order_by(AuditEntry.seq.desc()).first().before == {
        "stream": "marketing", "topics": ["news", "offers"], "everything": True,
    }  # fmt: skip
    kinds = event_types(Message.get_by_id(link.message_id))
    assert kinds.count("message.unsubscribed") == 2
    assert kinds.count("message.resubscribed") == 4
    event = Event.select().where(Event.type == "message.unsubscribed").first()
    assert event.data == {
        "stream": "marketing", "topic": "news", "source": "preferences", "by": "the recipient",
    }  # fmt: skip


def test_it_needs_no_message(link, declare):
    declare("news")
    choose(Link(WORKSPACE_A, link.message_id, ADDRESS, None))
    assert set(in_force()) == {(MARKETING, "news")}


def test_two_at_once_leave_what_one_of_them_chose(link, declare, contact):
    declare("a", "b", "news")
    contact("a", "b")
    at_once(
        *[lambda: choose(link, "a", "news"), lambda: choose(link, "b", "news")] * 3,
        lambda: preferences.leave_everything(link, by=RECIPIENT),
    )
    chosen = {topic for topic, state in shown(link).items() if state == CHOSEN}
    assert chosen in ({"a", "news"}, {"b", "news"}, set())
    assert set(Contact.get().topics) == chosen


def test_a_workspace_that_is_gone_is_not_found(link):
    for call in (preferences.get, lambda gone: choose(gone, "news")):
        with pytest.raises(NotFound):
            call(Link(999, link.message_id, ADDRESS, None))
    with pytest.raises(NotFound):
        preferences.leave_everything(Link(999, link.message_id, ADDRESS, None), by=RECIPIENT)


def test_deleted_topics_stay_left(link, declare):
    declare("offers")
    choose(link, "news")
    topics.delete(WORKSPACE_A, "offers", by=OLAF)
    assert not Topic.select().exists()
    assert shown(link) == {"news": CHOSEN, "offers": FREE}
