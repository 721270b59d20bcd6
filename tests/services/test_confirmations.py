"""Double opt-in: who is asked, how often, and what a yes does and does not."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
import time_machine

from maild import clock
from maild.db import database as db
from maild.domain.actor import RECIPIENT, Actor
from maild.domain.contact import ContactStatus
from maild.domain.states import Status, Stream
from maild.errors import Conflict, ForbiddenFromDomain, InvalidFields, NotFound, TooManyRequests
from maild.models import AuditEntry, Contact, Message, MessageBody, OptInAsk, Unsubscribe
from maild.services import (
    confirmation_links,
    confirmation_mails,
    confirmations,
    link_keys,
    policies,
    suppressions,
    topics,
    unsubscribe_links,
    unsubscribes,
)
from maild.services.confirmation_links import Ask
from maild.services.confirmation_mails import Words
from maild.services.topics import NewTopic
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import at_once, event_types

OLAF = Actor("olaf@a.example")
ADDRESS = "ann@example.org"
HOME = ip_address("192.0.2.77")
WORDS = Words("news@shop.example", "The shop", "Do you want our news?", "Yes: {{ link }}", 0)


@pytest.fixture
def contact(database):
    """Make a pending contact."""

    def make(email=ADDRESS, *, workspace_id=WORKSPACE_A, **fields):
        values = {"status": ContactStatus.PENDING, "topics": ["news"], "created_by": "x"}
        row = Contact.create(workspace_id=workspace_id, email=email, **{**values, **fields})
        return Contact.get_by_id(row.id)

    return make


def ask(contact):
    return confirmations.ask(contact.workspace_id, contact, by=OLAF)


def token_in(message):
    body = MessageBody.get(MessageBody.message == message.id).body_text
    [token] = re.findall(confirmation_links.PATH + r"(\S+)", body)
    return token


def confirm(token, address=HOME):
    return confirmations.confirm(token, address=address, by=RECIPIENT)


def age(hours, *contacts):
    db.execute_sql("UPDATE opt_in_asks SET asked_at = asked_at - %s * interval '1 hour'", (hours,))


def opt_out(topic=None, *, stream=Stream.MARKETING, source="page", **fields):
    values = {"workspace_id": WORKSPACE_A, "email": ADDRESS, "by": OLAF, **fields}
    return unsubscribes.add(topic=topic, stream=stream, source=source, **values)


def audited():
    return [entry.action for entry in AuditEntry.select().order_by(AuditEntry.seq)]


# Asking


def test_it_mails_the_link_as_every_other_message(contact):
    asked = ask(contact())
    message = Message.get_by_id(asked.message.id)
    assert (message.status, message.stream, message.to_email) == (
        Status.QUEUED, Stream.TRANSACTIONAL, ADDRESS,
    )  # fmt: skip
    assert (message.subject, message.tags) == ("Please confirm your address", ["maild-opt-in"])
    assert MessageBody.get().headers == [["Auto-Submitted", "auto-generated"]]
    assert "seven days" in MessageBody.get().body_text
    assert timedelta(days=6.9) < asked.expires_at - clock.now() <= timedelta(days=7)
    assert [(row.contact_id, row.message_id) for row in OptInAsk.select()] == [
        (Contact.get().id, message.id)
    ]
    assert audited() == ["contact.asked"]


def test_it_has_the_words_of_the_workspace(contact):
    confirmation_mails.save(WORKSPACE_A, WORDS, by=OLAF)
    message = ask(contact()).message
    assert (message.from_email, message.subject) == ("news@shop.example", "Do you want our news?")
    body = MessageBody.get()
    assert body.from_name == "The shop"
    assert body.body_text.startswith("Yes: http")


def test_it_asks_once_an_hour_and_three_times_a_day(contact):
    row = contact()
    ask(row)
    with pytest.raises(TooManyRequests) as caught:
        ask(row)
    assert 3_500 < caught.value.retry_after_seconds <= 3_600
    for _ in range(2):
        age(2)
        ask(row)
    age(2)
    with pytest.raises(TooManyRequests, match="3 times") as caught:
        ask(row)
    assert 17 * 3_600 < caught.value.retry_after_seconds <= 18 * 3_600
    ask(contact("bob@example.org"))
    age(19)
    ask(row)
    assert Message.select().where(Message.to_email == ADDRESS).count() == 4


def test_many_at_once_are_one_mail(contact):
    row, refused = contact(), []

    def try_it():
        try:
            ask(row)
        except TooManyRequests:
            refused.append(1)

    at_once(*[try_it] * 5)
    assert (Message.select().count(), len(refused)) == (1, 4)


def test_who_is_active_is_not_asked(contact):
    opt_out("offers")
    opt_out("news", source="api")
    with pytest.raises(Conflict, match="confirmed"):
        ask(contact(status=ContactStatus.ACTIVE))
    assert not Message.select().exists()


@pytest.mark.parametrize(
    "stop",
    [
        lambda: suppressions.add(WORKSPACE_A, ADDRESS, reason="x", source="api"),
        lambda: suppressions.add(
            WORKSPACE_A, ADDRESS, reason="x", source="api", stream=Stream.MARKETING
        ),
        lambda: opt_out(stream=None, source="api"),
        lambda: opt_out(stream=Stream.TRANSACTIONAL, source="api"),
    ],
    ids=["suppressed", "suppressed in marketing", "left all mail", "left transactional mail"],
)
def test_who_must_not_be_mailed_is_not_asked(contact, stop):
    row = contact()
    stop()
    with pytest.raises(Conflict, match="not asked"):
        ask(row)
    assert not Message.select().exists()
    assert not OptInAsk.select().exists()
    assert confirmations.look(row).why_not is not None


def test_who_has_left_marketing_may_be_asked(contact):
    opt_out()
    opt_out("news", source="api")
    ask(contact())
    assert Message.select().count() == 1


def test_another_workspaces_stops_count_for_nothing(contact):
    suppressions.add(WORKSPACE_B, ADDRESS, reason="x", source="api")
    ask(contact())


def test_a_contact_that_is_gone_or_anothers_is_not_asked(contact):
    row = contact()
    with pytest.raises(NotFound):
        confirmations.ask(WORKSPACE_B, row, by=OLAF)
    row.delete_instance()
    with pytest.raises(NotFound):
        ask(row)
    assert not Message.select().exists()


def test_where_the_policy_refuses_nothing_is_kept(contact, use_settings):
    confirmation_mails.save(WORKSPACE_A, WORDS, by=OLAF)
    row = contact()
    policies.save(WORKSPACE_A, changes={"allowed_from_domains": ["other.example"]}, by=OLAF)
    with pytest.raises(ForbiddenFromDomain):
        ask(row)
    assert not OptInAsk.select().exists()
    assert confirmations.look(row).why_not is None


def test_it_is_told_when_they_were_asked(contact):
    row = contact()
    assert confirmations.look(row) == confirmations.History(None, None, None)
    asked = ask(row)
    found = confirmations.look(row)
    assert found.message_id == asked.message.id
    assert found.asked_at is not None
    assert "within the hour" in found.why_not
    age(2)
    assert confirmations.look(row).why_not is None


# Saying yes


def test_looking_says_what_is_asked_and_changes_nothing(contact):
    topics.save(WORKSPACE_A, NewTopic("news", label="Our newsletter"), by=OLAF)
    token = token_in(ask(contact(topics=["news", "offers"])).message)
    before = audited()
    question = confirmations.open_link(token)
    assert (question.workspace, question.email) == ("Default", ADDRESS)
    assert question.topics == ("offers", "Our newsletter")
    assert (question.is_confirmed, question.is_stopped) == (False, False)
    assert Contact.get().status is ContactStatus.PENDING
    assert audited() == before


def test_a_yes_makes_the_contact_active_with_its_proof(contact):
    row = contact()
    message = ask(row).message
    question = confirm(token_in(message))
    assert question.is_confirmed
    changed = Contact.get()
    assert (changed.status, changed.consent_source) == (ContactStatus.ACTIVE, "double_opt_in")
    assert changed.consent_proof == f"link in message {message.id}, from 192.0.2.0/24"
    assert clock.now() - changed.consent_at < timedelta(minutes=5)
    assert changed.version == row.version + 1
    assert audited() == ["contact.asked", "contact.confirmed"]
    assert "192.0.2.77" not in repr(list(AuditEntry.select().dicts()))


@pytest.mark.parametrize(
    ("address", "told"),
    [(None, ""), (ip_address("2001:db8:1:2::3"), ", from 2001:db8:1::/48")],
)
def test_the_proof_tells_roughly_from_where(contact, address, told):
    message = ask(contact()).message
    confirm(token_in(message), address)
    assert Contact.get().consent_proof == f"link in message {message.id}{told}"


def test_twice_is_once_whatever_has_happened_since(contact):
    token = token_in(ask(contact()).message)
    confirm(token)
    first = Contact.get()
    opt_out("news")
    opt_out()
    assert confirm(token, None).is_confirmed
    again = Contact.get()
    assert (again.version, again.consent_at, again.consent_proof) == (
        first.version, first.consent_at, first.consent_proof,
    )  # fmt: skip
    assert Unsubscribe.select().where(Unsubscribe.removed_at.is_null()).count() == 2
    assert audited().count("contact.confirmed") == 1


def test_many_at_once_are_one_yes(contact):
    token = token_in(ask(contact()).message)
    at_once(*[lambda: confirm(token)] * 5)
    assert Contact.get().version == 2
    assert audited().count("contact.confirmed") == 1


@pytest.mark.proves("I7")
def test_a_yes_takes_back_what_a_link_did_and_nothing_else(contact):
    message = ask(contact()).message
    opt_out()
    opt_out("news", source="one_click")
    opt_out("offers", source="preferences")
    opt_out(email="bob@example.org")
    opt_out(workspace_id=WORKSPACE_B)
    opt_out("news", stream=None, source="api")
    opt_out(stream=None, source="api")
    suppressions.add(WORKSPACE_A, ADDRESS, reason="x", source="api")
    question = confirm(token_in(message))
    assert (question.is_confirmed, question.is_stopped) == (True, True)
    rows = Unsubscribe.select().where(Unsubscribe.removed_at.is_null())
    assert {(row.workspace_id, row.email, row.stream, row.topic) for row in rows} == {
        (WORKSPACE_A, ADDRESS, Stream.MARKETING, "offers"),
        (WORKSPACE_A, "bob@example.org", Stream.MARKETING, None),
        (WORKSPACE_B, ADDRESS, Stream.MARKETING, None),
        (WORKSPACE_A, ADDRESS, None, "news"),
        (WORKSPACE_A, ADDRESS, None, None),
    }
    assert event_types(message).count("message.resubscribed") == 2
    assert audited()[-2:] == ["unsubscribe.removed", "contact.confirmed"]


def test_every_link_of_the_last_days_works(contact):
    row = contact()
    first = token_in(ask(row).message)
    age(2)
    second = token_in(ask(row).message)
    assert first != second
    confirm(first)
    assert confirm(second).is_confirmed


# Who has left and signs up again


@pytest.mark.parametrize("topic", [None, "news"])
def test_who_has_left_by_a_link_is_asked_and_comes_back(contact, topic):
    row = contact(status=ContactStatus.ACTIVE, consent_source="form")
    opt_out(topic)
    opt_out("offers")
    token = token_in(ask(row).message)
    make_older()
    assert not confirmations.open_link(token).is_confirmed
    question = confirm(token)
    assert (question.is_confirmed, question.has_left) == (True, False)
    assert Contact.get().consent_source == "double_opt_in"
    rows = Unsubscribe.select().where(Unsubscribe.removed_at.is_null())
    assert [row.topic for row in rows] == ["offers"]


@pytest.mark.proves("I7")
def test_an_old_link_takes_back_nothing_that_was_left_since(contact):
    row = contact()
    token = token_in(ask(row).message)
    confirm(token)
    opt_out()
    assert confirmations.open_link(token).is_confirmed
    question = confirm(token)
    assert (question.is_confirmed, question.has_left) == (True, True)
    assert Unsubscribe.get().removed_at is None
    assert Contact.get().version == 2


def make_older():
    """The unsubscribes: an ask is known to the second."""
    Unsubscribe.update(created_at=clock.now() - timedelta(minutes=1)).execute()


# What is no link


def refused(token):
    for call in (confirmations.open_link, confirm):
        with pytest.raises(NotFound) as caught:
            call(token)
        assert caught.value.detail == "This link does not work."
    assert Contact.get().status is ContactStatus.PENDING


def test_a_link_runs_out_after_seven_days(contact):
    row = contact()
    token = token_in(ask(row).message)
    with time_machine.travel(clock.now() + timedelta(days=6, hours=23), tick=False):
        assert not confirmations.open_link(token).is_confirmed
    with time_machine.travel(clock.now() + timedelta(days=7), tick=False):
        refused(token)


def make_token(**changes):
    contact = Contact.get()
    values = {
        "workspace_id": WORKSPACE_A,
        "ask_id": 1,
        "contact_id": contact.id,
        "email": contact.email,
        "expires_at": datetime.now(UTC) + timedelta(days=1),
    }
    return confirmation_links.make_url(Ask(**{**values, **changes})).rpartition("/")[2]


def test_it_is_of_one_workspace_contact_and_address(contact):
    row = contact()
    assert not confirmations.open_link(make_token()).is_confirmed
    refused(make_token(workspace_id=WORKSPACE_B))
    refused(make_token(contact_id=row.id + 1))
    refused(make_token(email="eve@example.org"))
    refused(make_token(expires_at=datetime.now(UTC) - timedelta(seconds=1)))


def test_the_contact_of_the_same_address_elsewhere_stays_as_it_is(contact):
    row, other = contact(), contact(workspace_id=WORKSPACE_B)
    confirm(token_in(ask(row).message))
    assert Contact.get_by_id(other.id).status is ContactStatus.PENDING


def test_a_contact_that_was_made_anew_is_asked_anew(contact):
    row = contact()
    token = token_in(ask(row).message)
    row.delete_instance()
    contact()
    refused(token)


def test_what_is_changed_or_of_another_purpose_opens_nothing(contact):
    token = token_in(ask(contact()).message)
    link = unsubscribe_links.Link(WORKSPACE_A, uuid.uuid4(), ADDRESS, None)
    link_keys.load(WORKSPACE_A)
    of_another = unsubscribe_links.make_url(link).rpartition("/")[2]
    for wrong in ("", "x", "ü", "\ud800", token[:-1], token + "A", token.swapcase(), of_another):
        refused(wrong)
    with pytest.raises(NotFound):
        unsubscribe_links.open_token(token)


def test_an_ask_that_was_forgotten_still_works_without_its_message(contact):
    token = token_in(ask(contact()).message)
    age(29 * 24)
    confirmations.prune()
    assert OptInAsk.select().count() == 1
    age(2 * 24)
    confirmations.prune()
    assert OptInAsk.select().count() == 0
    confirm(token)
    assert Contact.get().consent_proof == "link in a mail, from 192.0.2.0/24"


# The words


def test_it_has_words_until_somebody_writes_some(database):
    words = confirmation_mails.get(WORKSPACE_A)
    assert (words.version, words.from_email) == (0, "maild@localhost.test")
    confirmation_mails.check(words)
    with pytest.raises(NotFound):
        confirmation_mails.get(999)


def test_writing_makes_a_version_and_a_stale_one_is_told(database):
    first = confirmation_mails.save(WORKSPACE_A, WORDS, by=OLAF)
    assert (first.version, first.body_text) == (1, "Yes: {{ link }}\n")
    with pytest.raises(Conflict, match="olaf"):
        confirmation_mails.save(WORKSPACE_A, WORDS, by=OLAF)
    second = confirmation_mails.save(WORKSPACE_A, first._replace(from_name=None), by=OLAF)
    assert (second.version, second.from_name) == (2, None)
    assert confirmation_mails.get(WORKSPACE_A) == second
    assert confirmation_mails.get(WORKSPACE_B).version == 0
    assert audited() == ["confirmation_mail.changed"] * 2


def test_two_at_once_are_one_and_a_conflict(database):
    conflicts = []

    def save():
        try:
            confirmation_mails.save(WORKSPACE_A, WORDS, by=OLAF)
        except Conflict:
            conflicts.append(1)

    at_once(save, save, save)
    assert (len(conflicts), confirmation_mails.get(WORKSPACE_A).version) == (2, 1)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"from_email": ""}, {"from_email"}),
        ({"from_email": "shop"}, {"from_email"}),
        ({"from_email": "a@b.example\r\nBcc: eve@b.example"}, {"from_email"}),
        ({"from_name": "a\r\nBcc: eve@b.example"}, {"from_name"}),
        ({"from_name": "x" * 257}, {"from_name"}),
        ({"subject": " "}, {"subject"}),
        ({"subject": "a\nb"}, {"subject"}),
        ({"subject": "x" * 201}, {"subject"}),
        ({"subject": "\ud800"}, {"subject"}),
        ({"body_text": ""}, {"body_text"}),
        ({"body_text": "no link"}, {"body_text"}),
        ({"body_text": "{{ link }} {{link}}"}, {"body_text"}),
        ({"body_text": "{{ link }} for {{ name }}"}, {"body_text"}),
        ({"body_text": "{{ link }} {% for x in y %}"}, {"body_text"}),
        ({"body_text": "{{ link }}\0"}, {"body_text"}),
        ({"body_text": "{{ link }}\ud800"}, {"body_text"}),
        ({"body_text": "{{ link }}" + "x" * 10_000}, {"body_text"}),
        ({"from_email": "x", "subject": ""}, ["from_email", "subject"]),
    ],
    ids=str,
)  # fmt: skip
def test_words_are_refused_by_name(database, changes, wrong):
    with pytest.raises(InvalidFields) as caught:
        confirmation_mails.save(WORKSPACE_A, WORDS._replace(**changes), by=OLAF)
    assert {error.field for error in caught.value.errors} == set(wrong)
    assert confirmation_mails.get(WORKSPACE_A).version == 0


def test_a_link_with_a_backslash_stays_as_it_is():
    assert confirmation_mails.render("a {{link}} b", url=r"x\1\g<0>") == r"a x\1\g<0> b"
