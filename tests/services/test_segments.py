"""Segments: keeping rules, and whom they mean at the moment."""

from datetime import timedelta

import psycopg2
import pytest

from maild import clock, config
from maild.domain.actor import SYSTEM, Actor
from maild.domain.contact import AttributeKind, ContactStatus
from maild.domain.states import Stream
from maild.errors import Conflict, InvalidFields, NotFound, SearchTooLong
from maild.models import AuditEntry, Segment, Suppression, Unsubscribe
from maild.services import (
    audience_members,
    audiences,
    contact_attributes,
    contacts,
    segment_members,
    segment_rules,
    segments,
    suppressions,
    unsubscribes,
)
from maild.services.contact_fields import ContactFields
from tests.counting import count_statements
from tests.services.helpers import at_once

ANN, OLAF = Actor("ann@a.example"), Actor("olaf@a.example")
EVERYBODY = {"field": "email", "op": "contains", "value": "@"}
PRO = {"field": "attributes.plan", "op": "equals", "value": "pro"}

pytestmark = pytest.mark.usefixtures("database")


def put(name, *, workspace_id=1, status=ContactStatus.ACTIVE, **attributes):
    fields = ContactFields(attributes=attributes, status=status)
    return contacts.upsert(workspace_id, f"{name}@example.org", fields, by=SYSTEM).contact


def make(name="Pros", rules=EVERYBODY, *, workspace_id=1, by=ANN):
    return segments.create(workspace_id, name=name, rules=rules, by=by)


def look(rules, workspace_id=1):
    return segment_members.look(workspace_id, segment_rules.read(workspace_id, rules))


def names(found):
    return [row.email.partition("@")[0] for row in found]


# -- keeping --------------------------------------------------------------------------------------


def test_it_keeps_the_rules_in_one_form_with_who_made_them():
    told = make(rules={"all": [{"field": "topics", "op": "has", "value": " News "}]})
    row = Segment.get_by_id(told.segment.id)
    assert row.rules == {"all": [{"field": "topics", "op": "has", "value": "news"}]}
    assert (row.created_by, row.updated_by, row.version) == ("ann@a.example", "ann@a.example", 1)


def test_a_change_is_audited_with_the_sentences_of_before_and_after():
    put("ann", plan="pro")
    told = make()
    segments.change(1, told.segment.id, rules=PRO, by=OLAF)
    entry = AuditEntry.select().order_by(AuditEntry.seq.desc()).first()
    assert (entry.action, entry.actor) == ("segment.changed", "olaf@a.example")
    assert entry.before["rules"] == "address contains @"
    assert entry.after["rules"] == "plan is pro"
    assert Segment.get().updated_by == "olaf@a.example"


def test_a_change_of_nothing_writes_nothing():
    told = make()
    before = AuditEntry.select().count()
    again = segments.change(1, told.segment.id, name=" Pros ", rules=EVERYBODY, by=OLAF)
    assert again.segment.version == 1
    assert AuditEntry.select().count() == before


def test_there_is_an_end_to_how_many_there_are(monkeypatch):
    monkeypatch.setattr(segments, "SEGMENTS_MAX", 2)
    make("a")
    make("b")
    with pytest.raises(Conflict, match="2 segments already"):
        make("c")
    make("c", workspace_id=2)


def test_what_was_deleted_earlier_is_gone_for_good_with_the_next():
    old, new = make("old").segment, make("new").segment
    segments.delete(1, old.id, by=ANN)
    long_ago = clock.now() - timedelta(minutes=segments.RESTORE_MINUTES)
    Segment.update(removed_at=long_ago).where(Segment.id == old.id).execute()
    with pytest.raises(Conflict, match="cannot be taken back"):
        segments.restore(1, old.id, by=ANN)
    segments.delete(1, new.id, by=ANN)
    assert [row.id for row in Segment.select()] == [new.id]
    with pytest.raises(NotFound):
        segments.restore(1, old.id, by=ANN)
    assert segments.restore(1, new.id, by=ANN).segment.id == new.id


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\0b", "a\ud800"])
def test_a_name_that_cannot_be_kept_is_refused(name):
    with pytest.raises(InvalidFields):
        make(name)


def test_another_workspace_has_none_of_it():
    row = make().segment
    for action in (
        lambda: segments.get(2, row.id),
        lambda: segments.change(2, row.id, name="x", by=ANN),
        lambda: segments.delete(2, row.id, by=ANN),
        lambda: segments.restore(2, row.id, by=ANN),
    ):
        with pytest.raises(NotFound):
            action()
    assert segments.list_page(2).segments == []
    with pytest.raises(NotFound):
        segments.list_page(99)


def test_of_two_who_make_one_of_the_same_name_one_does():
    outcomes = []
    at_once(*[lambda: outcomes.append(attempt(lambda: make("Pros")))] * 2)
    assert sorted(map(str, outcomes)) == ["None", "conflict"]
    assert Segment.select().count() == 1


def test_of_two_who_change_the_same_version_one_does():
    row, outcomes = make().segment, []

    def change(name):
        told = attempt(lambda: segments.change(1, row.id, name=name, version=1, by=ANN))
        outcomes.append(told)

    at_once(lambda: change("one"), lambda: change("two"))
    assert sorted(map(str, outcomes)) == ["None", "conflict"]
    assert Segment.get().version == 2


def attempt(action):
    """The word for what went wrong, if anything did."""
    try:
        action()
    except Conflict as error:
        return error.code
    return None


# -- whom they mean -------------------------------------------------------------------------------


def test_it_counts_those_whom_a_campaign_may_mail():
    for name in ("open", "suppressed", "transactional", "expired", "left", "left_all", "topic"):
        put(name)
    put("pending", status=ContactStatus.PENDING)
    put("other", workspace_id=2)

    def email(name):
        return f"{name}@example.org"

    suppressions.add(1, email("suppressed"), reason="r", source="api", by=SYSTEM)
    suppressions.add(
        1, email("transactional"), reason="r", source="api", stream=Stream.TRANSACTIONAL, by=SYSTEM
    )
    suppressions.add(1, email("expired"), reason="r", source="api", by=SYSTEM)
    yesterday = clock.now() - timedelta(days=1)
    Suppression.update(expires_at=yesterday).where(Suppression.email == email("expired")).execute()
    unsubscribes.add(1, email("left"), stream=Stream.MARKETING, source="api", by=SYSTEM)
    unsubscribes.add(1, email("left_all"), source="api", by=SYSTEM)
    unsubscribes.add(1, email("topic"), topic="news", source="api", by=SYSTEM)
    suppressions.add(2, email("open"), reason="r", source="api", by=SYSTEM)
    found = look(EVERYBODY)
    assert (found.count, found.mailable_count) == (8, 4)
    can_be = {row.email for row in found.sample if found.standings[row.id].can_be_mailed}
    assert can_be == {email(name) for name in ("open", "transactional", "expired", "topic")}
    assert Suppression.select().count() == 4
    assert Unsubscribe.select().count() == 3


def test_the_sample_is_the_newest_ten():
    for number in range(12):
        put(f"person{number}")
    found = look(EVERYBODY)
    assert (found.count, names(found.sample)) == (12, [f"person{n}" for n in range(11, 1, -1)])


def test_a_list_means_its_members_now():
    ann, bob = put("ann"), put("bob")
    staff = audiences.create(1, name="Staff", by=ANN)
    on, off = ({"field": "list", "op": op, "value": staff.id} for op in ("in", "not_in"))
    audience_members.add(1, staff.id, [ann.id], by=ANN)
    assert (names(look(on).sample), names(look(off).sample)) == (["ann"], ["bob"])
    audience_members.add(1, staff.id, [bob.id], by=ANN)
    audience_members.remove(1, staff.id, [ann.id], by=ANN)
    assert (names(look(on).sample), names(look(off).sample)) == (["bob"], ["ann"])


def test_another_workspaces_list_is_none():
    put("ann")
    theirs = audiences.create(2, name="Theirs", by=ANN)
    rules = {"field": "list", "op": "not_in", "value": theirs.id}
    read = segment_rules.read(1, rules)
    assert [path for path, _ in read.problems] == ["rules.value"]
    assert "Theirs" not in read.sentence
    with pytest.raises(Conflict):
        segment_members.look(1, read)


def test_rules_about_what_is_gone_ask_for_nobody_until_it_is_back():
    put("ann", plan="pro")
    row = make(rules={"not": PRO}).segment
    contact_attributes.take_away(1, "plan")
    told = segments.get(1, row.id)
    with pytest.raises(Conflict, match="there is no attribute “plan”"):
        segment_members.list_page(1, told.rules)
    assert segment_members.count_each(1, [told.rules]) == [None]
    contact_attributes.forget(1, "plan")
    contact_attributes.declare(1, "plan", AttributeKind.TEXT, by=ANN)
    assert segment_members.look(1, segments.get(1, row.id).rules).count == 0


def test_many_are_counted_in_one_statement():
    for name in ("ann", "bob"):
        put(name, plan="pro" if name == "ann" else "free")
    read = segment_rules.read_all(1, [EVERYBODY, PRO, {"not": PRO}, {"field": "list"}])
    assert segment_members.count_each(1, read) == [2, 1, 1, None]
    assert segment_members.count_each(2, read[:1]) == [0]
    one = count_statements(lambda: segment_members.count_each(1, read[:1]))
    assert count_statements(lambda: segment_members.count_each(1, read * 5)) == one
    assert segment_members.count_each(1, []) == []


def test_pages_go_on_where_the_one_before_ended():
    for number in range(5):
        put(f"person{number}")
    rules = segment_rules.read(1, EVERYBODY)
    first = segment_members.list_page(1, rules, limit=3)
    rest = segment_members.list_page(1, rules, limit=3, older_than=first.older)
    assert names(first.contacts) == ["person4", "person3", "person2"]
    assert names(rest.contacts) == ["person1", "person0"]
    assert rest.older is None


def test_what_takes_too_long_is_cut_off_and_says_what_to_do(monkeypatch):
    put("ann")
    monkeypatch.setattr(segment_members, "TIMEOUT_MS", 50)
    rules = segment_rules.read(1, EVERYBODY)
    other = psycopg2.connect(config.current().postgres_dsn)
    try:
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE contacts IN ACCESS EXCLUSIVE MODE")
        for ask in (
            lambda: segment_members.look(1, rules),
            lambda: segment_members.list_page(1, rules),
            lambda: segment_members.count_each(1, [rules]),
        ):
            with pytest.raises(SearchTooLong, match="Begin with a rule that leaves few"):
                ask()
    finally:
        other.close()
    assert segment_members.look(1, rules).count == 1
