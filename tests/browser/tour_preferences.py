"""Tours of topics, of the mail that asks for a confirmation, and of the pages behind links by which
people choose.
"""

import re

import pytest

from maild.domain.actor import Actor
from maild.domain.contact import ContactStatus
from maild.domain.role import Role
from maild.domain.states import Stream
from maild.models import Contact, MessageBody
from maild.services import (
    confirmation_links,
    confirmation_mails,
    confirmations,
    suppressions,
    topics,
    unsubscribe_links,
    unsubscribes,
)
from maild.services.confirmation_mails import Words
from maild.services.topics import NewTopic
from maild.services.unsubscribe_links import Link
from tests.browser import hard_rows
from tests.browser.guide import Sight, path_of, posted, tour
from tests.conftest import WORKSPACE_A, WORKSPACE_B

OLAF = Actor(hard_rows.LONG_ADDRESS)
TOPICS = "/ui/audience/topics"
MAIL = "/ui/audience/confirmation"
LONG = "w" * 100


def declare():
    for name, label, description in (
        ("news", "Our newsletter", "What is new in the shop, once a month."),
        ("offers", "Offers", ""),
        (LONG, LONG, "x" * 300),
    ):
        topics.save(WORKSPACE_A, NewTopic(name, label, description), by=OLAF)
    topics.save(WORKSPACE_A, NewTopic("hidden", "Hidden", is_public=False), by=OLAF)


def leave(topic=None, *, email=hard_rows.LONG_ADDRESS, source="api"):
    unsubscribes.add(
        WORKSPACE_A, email, topic=topic, stream=Stream.MARKETING, source=source, by=OLAF
    )


def fill(tab):
    declare()
    for name in ("y" * 100, "jobs"):
        leave(name)
    tab.reload()


def write_mail(tab):
    words = Words(hard_rows.LONG_ADDRESS, "The shop", "x" * 200, "{{ link }} " + "w" * 300, 0)
    confirmation_mails.save(WORKSPACE_A, words, by=OLAF)
    tab.reload()


@pytest.fixture
def librarian(admin):
    """The admin, who declares topics and writes the mail that asks."""
    fields = {"workspace_id": WORKSPACE_A}
    good = {"from_email": "a@shop.example", "subject": "x", "body_text": "Yes: {{ link }}"}
    return tour(
        admin,
        TOPICS,
        Sight(TOPICS, fill),
        posted(TOPICS, 422, name="a\nb", label="x" * 101, description=LONG, **fields),
        MAIL,
        posted(MAIL, 422, from_email="shop", version="0", body_text="y" * 200, **fields),
        Sight(MAIL, write_mail),
        posted(MAIL, 409, version="0", **good, **fields),
    )


@pytest.fixture
def patron(admin, make_person):
    """A viewer, who sees the same and changes nothing."""
    declare()
    return tour(make_person("vito@a.example", Role.VIEWER), TOPICS, MAIL)


@pytest.fixture
def recipient(accept):
    """Whoever reads the mail: nobody is signed in."""
    declare()
    unsubscribe_links.load(WORKSPACE_A)
    message = accept(stream="marketing", topic="news")

    def centre_of(email, topic="news", workspace_id=WORKSPACE_A):
        unsubscribe_links.load(workspace_id)
        link = Link(workspace_id, message.id, email, topic)
        return path_of(unsubscribe_links.make_preferences_url(link))

    leave("news")
    leave("y" * 100)
    leave(email="out@example.org", source="page")
    leave(email="locked@example.org")
    suppressions.add(WORKSPACE_A, "stopped@example.org", reason="x", source="api")
    free, bare = centre_of("ann@example.org"), centre_of("ann@example.org", None, WORKSPACE_B)
    question = _ask("robin@example.org", "news", LONG)
    return tour(
        None,
        centre_of(hard_rows.LONG_ADDRESS),
        centre_of("out@example.org"),
        centre_of("locked@example.org"),
        centre_of("stopped@example.org"),
        bare,
        Sight(free, _press("Save my choice")),
        Sight(free, _press("Stop all newsletters and offers")),
        Sight("/preferences/nothing", status=404),
        _ask(f"b{hard_rows.LONG_ADDRESS[1:]}"),
        question,
        Sight(question, _press("Yes, I want this mail")),
        Sight("/opt-in/nothing", status=404),
    )


def _press(words):
    def press(tab):
        with tab.expect_navigation():
            tab.get_by_role("button", name=words).click()

    return press


def _ask(email, *asked):
    row = Contact.create(
        workspace_id=WORKSPACE_A,
        email=email.lower(),
        topics=list(asked),
        status=ContactStatus.PENDING,
        created_by="x",
    )
    contact = Contact.get_by_id(row.id)
    message = confirmations.ask(WORKSPACE_A, contact, by=OLAF).message
    text = MessageBody.get(MessageBody.message == message.id).body_text
    return re.search(confirmation_links.PATH + r"\S+", text)[0]
