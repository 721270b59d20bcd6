"""Contacts: made and changed one by one and in batches, read, and erased."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maild import clock, db
from maild.domain.actor import Actor
from maild.domain.contact import ATTRIBUTES_MAX, AttributeKind, ContactStatus
from maild.domain.job import JobStatus
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import (
    AudienceMember,
    AuditEntry,
    Contact,
    ContactChange,
    Job,
    Suppression,
    Unsubscribe,
)
from maild.services import (
    audience_members,
    audiences,
    contact_attributes,
    contacts,
    suppressions,
    unsubscribes,
)
from maild.services.contact_fields import Consent, ContactFields
from maild.services.contacts import ContactOutcome, Saved
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements

pytestmark = pytest.mark.usefixtures("database")

PERSON = Actor("ann@example.org")
ANN = "ann@example.org"
DAY = timedelta(days=1)


def save(email: str = ANN, workspace_id: int = WORKSPACE_A, **fields: Any) -> Saved:
    return contacts.upsert(workspace_id, email, ContactFields(**fields), by=PERSON)


def actions(workspace_id: int = WORKSPACE_A) -> list[str]:
    query = AuditEntry.select().where(AuditEntry.workspace == workspace_id)
    return [entry.action for entry in query.order_by(AuditEntry.seq)]


def test_a_contact_is_made_with_all_that_is_said_of_it() -> None:
    at = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    saved = save(
        "Ann@EXAMPLE.org",
        name=" Ann  Archer ",
        attributes={"plan": "pro", "seats": 3, "is_vip": True, "ratio": 0.5},
        topics=["News", " offers "],
        consent=Consent("form", at, "https://example.org/join"),
    )
    row = contacts.get(WORKSPACE_A, saved.contact.id)
    assert saved.outcome is ContactOutcome.CREATED
    assert (row.email, row.name, row.status) == (ANN, "Ann Archer", ContactStatus.ACTIVE)
    assert row.attributes == {"plan": "pro", "seats": 3, "is_vip": True, "ratio": 0.5}
    assert row.topics == ["news", "offers"]
    assert (row.consent_source, row.consent_at, row.consent_proof) == (
        "form", at, "https://example.org/join",
    )  # fmt: skip
    assert (row.version, row.created_by) == (1, PERSON.name)
    assert contact_attributes.find_kinds(WORKSPACE_A) == {
        "plan": AttributeKind.TEXT,
        "seats": AttributeKind.NUMBER,
        "is_vip": AttributeKind.BOOLEAN,
        "ratio": AttributeKind.NUMBER,
    }
    assert saved.contact.__data__ == row.__data__


def test_what_is_left_out_stays_and_attributes_are_joined_one_by_one() -> None:
    save(name="Ann", attributes={"plan": "pro", "city": "Graz"}, topics=["news"])
    saved = save("ANN@example.org", attributes={"plan": None, "seats": 2})
    assert saved.outcome is ContactOutcome.UPDATED
    assert saved.contact.attributes == {"city": "Graz", "seats": 2}
    assert (saved.contact.name, saved.contact.topics) == ("Ann", ["news"])
    assert saved.contact.version == 2
    cleared = save(name="", topics=[])
    assert (cleared.contact.name, cleared.contact.topics) == (None, [])


def test_saying_the_same_again_changes_nothing() -> None:
    at = clock.now() - DAY
    said: dict[str, Any] = {
        "name": "Ann", "attributes": {"a": 1, "b": "x", "c": True, "d": 1.5},
        "topics": ["b", "a"], "consent": Consent("form", at),
    }  # fmt: skip
    first = save(**said).contact
    again = save(**said)
    assert again.outcome is ContactOutcome.UNCHANGED
    assert again.contact.__data__ == first.__data__
    assert actions() == ["contact.created"]


def test_a_number_that_becomes_a_whole_one_is_a_change_and_true_is_no_number() -> None:
    save(attributes={"n": 1})
    with pytest.raises(InvalidFields, match=r"attributes\.n: must be a number"):
        save(attributes={"n": True})
    assert save(attributes={"n": 2}).outcome is ContactOutcome.UPDATED


def test_only_a_newer_consent_takes_the_place_of_one() -> None:
    now = clock.now()
    save(consent=Consent("form", now - DAY, "page 1"))
    older = save(consent=Consent("import", now - 2 * DAY, "file"))
    assert (older.outcome, older.contact.consent_source) == (ContactOutcome.UNCHANGED, "form")
    assert save(consent=Consent("other", now - DAY)).outcome is ContactOutcome.UNCHANGED
    newer = save(consent=Consent("phone", now)).contact
    assert (newer.consent_source, newer.consent_at, newer.consent_proof) == ("phone", now, None)


def test_the_status_of_a_new_contact_is_given_and_that_of_a_known_one_stays() -> None:
    assert save(status=ContactStatus.PENDING).contact.status is ContactStatus.PENDING
    assert save(name="Ann").contact.status is ContactStatus.PENDING
    save("bob@example.org")
    pending = save("bob@example.org", status=ContactStatus.PENDING)
    assert pending.contact.status is ContactStatus.ACTIVE


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"name": "x" * 201}, "name"),
        ({"name": "a\r\nBcc: x"}, "name"),
        ({"name": "a\0"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"attributes": {"Plan": "x"}}, "attributes.Plan"),
        ({"attributes": {"": "x"}}, "attributes."),
        ({"attributes": {"email": "x"}}, "attributes.email"),
        ({"attributes": {"plan": ["x"]}}, "attributes.plan"),
        ({"attributes": {"plan": {}}}, "attributes.plan"),
        ({"attributes": {"plan": "x" * 1_001}}, "attributes.plan"),
        ({"attributes": {"plan": "a\0"}}, "attributes.plan"),
        ({"attributes": {"plan": "\udfff"}}, "attributes.plan"),
        ({"attributes": {"a\0": "x"}}, "attributes"),
        ({"attributes": {"n": 1e16}}, "attributes.n"),
        ({"attributes": {"n": float("nan")}}, "attributes.n"),
        ({"attributes": {"n": float("inf")}}, "attributes.n"),
        ({"attributes": {"n": 10**400}}, "attributes.n"),
        ({"attributes": {f"a{n}": 1 for n in range(101)}}, "attributes"),
        ({"topics": [""]}, "topics.0"),
        ({"topics": ["a\nb"]}, "topics.0"),
        ({"topics": ["x" * 101]}, "topics.0"),
        ({"topics": ["\ud800"]}, "topics.0"),
        ({"topics": ["t"] * 51}, "topics"),
        ({"consent": Consent(" ", datetime(2026, 1, 1, tzinfo=UTC))}, "consent.source"),
        ({"consent": Consent("a\nb", datetime(2026, 1, 1, tzinfo=UTC))}, "consent.source"),
        ({"consent": Consent("x" * 501, datetime(2026, 1, 1, tzinfo=UTC))}, "consent.source"),
        ({"consent": Consent("f", datetime(2026, 1, 1, tzinfo=UTC), "\0")}, "consent.proof"),
        ({"consent": Consent("f", datetime(9999, 1, 1, tzinfo=UTC))}, "consent.at"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_field(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidFields) as raised:
        save(**fields)
    assert path in [error.field for error in raised.value.errors]
    assert Contact.select().count() == 0
    assert contact_attributes.list_all(WORKSPACE_A) == []
    assert actions() == []


@pytest.mark.parametrize(
    "email", ["", "x", "a@b@c", "a b@example.org", "a\n@example.org", "\ud800@x.org", "a\0@x.org"]
)
def test_what_is_no_address_is_refused(email: str) -> None:
    with pytest.raises(InvalidFields) as raised:
        save(email)
    assert [error.field for error in raised.value.errors] == ["email"]
    assert contacts.find_by_email(WORKSPACE_A, email) is None


def test_addresses_beyond_ascii_are_one_in_whatever_case() -> None:
    first = save("Jörg.ÄÖ@BÜCHER.example", name="Jörg 🎈").contact
    again = save("jÖrg.äö@xn--bcher-kva.example", name="Jörg 🎈")
    assert again.outcome is ContactOutcome.UNCHANGED
    assert again.contact.id == first.id
    found = contacts.find_by_email(WORKSPACE_A, "JÖRG.äö@bücher.EXAMPLE")
    assert found is not None
    assert found.name == "Jörg 🎈"


def test_a_kind_is_for_good_and_the_error_says_which() -> None:
    save(attributes={"seats": 3})
    with pytest.raises(InvalidFields, match=r"must be a number.*its kind is number"):
        save("bob@example.org", attributes={"seats": "three"})
    contact_attributes.declare(WORKSPACE_A, "born", AttributeKind.DATE, by=PERSON)
    with pytest.raises(InvalidFields, match="must be a day such as"):
        save(attributes={"born": "yesterday"})
    assert save(attributes={"born": "1990-02-28"}).contact.attributes["born"] == "1990-02-28"


def test_there_are_only_so_many_attributes() -> None:
    save(attributes={f"a{n}": 1 for n in range(ATTRIBUTES_MAX)})
    with pytest.raises(InvalidFields, match="there are 100 attributes already"):
        save(attributes={"one_more": 1})
    assert save(attributes={"a7": 2, "unheard_of": None}).outcome is ContactOutcome.UPDATED
    with pytest.raises(InvalidFields, match="there are 100 attributes already"):
        contact_attributes.declare(WORKSPACE_A, "more", AttributeKind.TEXT, by=PERSON)


def test_in_a_batch_one_bad_entry_does_not_spoil_the_rest() -> None:
    save("known@example.org", name="Known")
    entries = [
        ("new@example.org", ContactFields(attributes={"plan": "pro"})),
        ("nobody", ContactFields()),
        ("known@example.org", ContactFields(name="Other")),
        ("bad@example.org", ContactFields(attributes={"plan": 7, "only_here": "x"})),
        ("NEW@example.org", ContactFields(attributes={"seats": 2})),
    ]
    results = contacts.upsert_many(WORKSPACE_A, entries, by=PERSON)
    outcomes = [one.outcome if isinstance(one, Saved) else one.errors[0].field for one in results]
    assert outcomes == [
        ContactOutcome.CREATED, "email", ContactOutcome.UPDATED, "attributes.plan",
        ContactOutcome.CREATED,
    ]  # fmt: skip
    both = contacts.find_by_email(WORKSPACE_A, "new@example.org")
    assert both is not None
    assert (both.attributes, both.version) == ({"plan": "pro", "seats": 2}, 1)
    assert set(contact_attributes.find_kinds(WORKSPACE_A)) == {"plan", "seats"}
    [*_, entry] = AuditEntry.select().order_by(AuditEntry.seq)
    assert (entry.action, entry.after) == (
        "contacts.saved", {"created": 1, "updated": 1, "unchanged": 0},
    )  # fmt: skip


def test_a_thousand_contacts_take_as_many_statements_as_three() -> None:
    def statements(count: int, host: str) -> int:
        entries = [
            (f"u{n}@{host}", ContactFields(name=f"U {n}", attributes={"n": n}))
            for n in range(count)
        ]
        return count_statements(lambda: contacts.upsert_many(WORKSPACE_A, entries, by=PERSON))

    save(attributes={"n": 1})
    assert statements(3, "a.example") == statements(1_000, "b.example") <= 14
    assert statements(1_000, "b.example") <= 8, "nothing changed"


def test_two_who_make_the_same_contacts_at_once_do_not_disturb_each_other() -> None:
    def work(which: int) -> list[ContactOutcome]:
        entries = [
            (f"u{n}@example.org", ContactFields(attributes={f"by_{which}": n}))
            for n in sorted(range(60), key=lambda n: n if which % 2 else -n)
        ]
        with db.connection():
            results = contacts.upsert_many(WORKSPACE_A, entries, by=PERSON)
        return [one.outcome for one in results if isinstance(one, Saved)]

    with ThreadPoolExecutor(4) as pool:
        outcomes = [outcome for found in pool.map(work, range(4)) for outcome in found]
    assert outcomes.count(ContactOutcome.CREATED) == 60
    assert outcomes.count(ContactOutcome.UPDATED) == 180
    rows = list(Contact.select())
    assert len(rows) == 60
    assert all(len(row.attributes) == 4 for row in rows)


def test_a_change_by_a_person_needs_the_version_that_they_saw() -> None:
    contact = save(name="Ann", attributes={"plan": "pro"}).contact
    done = contacts.change(
        WORKSPACE_A, contact.id, ContactFields(name="Anna"), version=1, by=PERSON
    )
    assert (done.contact.name, done.contact.version) == ("Anna", 2)
    with pytest.raises(Conflict, match="meanwhile"):
        contacts.change(WORKSPACE_A, contact.id, ContactFields(name="B"), version=1, by=PERSON)
    with pytest.raises(NotFound):
        contacts.change(WORKSPACE_B, contact.id, ContactFields(name="B"), version=2, by=PERSON)
    with pytest.raises(InvalidFields):
        contacts.change(WORKSPACE_A, contact.id, ContactFields(name="a\nb"), version=2, by=PERSON)
    assert contacts.get(WORKSPACE_A, contact.id).name == "Anna"
    assert actions() == ["contact.created", "contact.changed"]


def test_deleting_erases_the_contact_and_leaves_what_keeps_mail_from_it() -> None:
    contact = save(name="Ann", attributes={"plan": "secret plan"}).contact
    audience = audiences.create(WORKSPACE_A, name="Staff", by=PERSON)
    audience_members.add(WORKSPACE_A, audience.id, [contact.id], by=PERSON)
    suppressions.add(WORKSPACE_A, ANN, reason="r", source="api", by=PERSON)
    unsubscribes.add(WORKSPACE_A, ANN, topic="news", source="api", by=PERSON)
    job = Job.create(
        workspace=WORKSPACE_A,
        kind="contacts.import",
        params={},
        created_by="x",
        status=JobStatus.DONE,
        breakdown={},
        finished_at=clock.now(),
    )
    ContactChange.create(
        job=job, contact_id=contact.id, before={"name": "Ann"}, version=1, is_new_member=True
    )
    deleted = contacts.delete(WORKSPACE_A, contact.id, by=PERSON)
    assert (deleted.id, deleted.email) == (contact.id, ANN)
    assert Contact.select().count() == AudienceMember.select().count() == 0
    assert ContactChange.select().count() == 0
    assert Suppression.get().removed_at is None
    assert Unsubscribe.get().removed_at is None
    [*_, entry] = AuditEntry.select().order_by(AuditEntry.seq)
    assert (entry.action, entry.target) == ("contact.deleted", f"contact:{ANN}")
    told = [str(one.before) + str(one.after) for one in AuditEntry.select()]
    assert "secret plan" not in "".join(told)
    with pytest.raises(NotFound):
        contacts.delete(WORKSPACE_A, contact.id, by=PERSON)


def test_several_are_deleted_at_once_and_those_of_others_are_passed_by() -> None:
    ids = [save(f"u{n}@example.org").contact.id for n in range(3)]
    other = save("b@example.org", WORKSPACE_B).contact
    deleted = contacts.delete_many(WORKSPACE_A, [*ids[:2], other.id, 2**40], by=PERSON)
    assert {one.id for one in deleted} == set(ids[:2])
    assert contacts.get(WORKSPACE_B, other.id).email == "b@example.org"
    [*_, entry] = AuditEntry.select().where(AuditEntry.workspace == WORKSPACE_A)
    assert entry.action == "contacts.deleted"
    assert entry.before is not None
    assert entry.before["count"] == 2
    assert sorted(entry.before["emails"]) == ["u0@example.org", "u1@example.org"]
    assert contacts.delete_many(WORKSPACE_A, [other.id], by=PERSON) == []


def test_workspaces_do_not_see_each_other() -> None:
    contact = save(attributes={"plan": "pro"}).contact
    assert contacts.find_by_email(WORKSPACE_B, ANN) is None
    for read in (contacts.get, lambda w, c: contacts.delete(w, c, by=PERSON)):
        with pytest.raises(NotFound):
            read(WORKSPACE_B, contact.id)
    other = save(workspace_id=WORKSPACE_B, attributes={"plan": 7})
    assert other.outcome is ContactOutcome.CREATED
    assert contacts.get(WORKSPACE_A, contact.id).attributes == {"plan": "pro"}
    with pytest.raises(NotFound):
        save(workspace_id=999)
    with pytest.raises(NotFound):
        save(workspace_id=999, attributes={"x": 1})


def test_contacts_are_found_by_many_addresses_at_once() -> None:
    contact = save().contact
    ann, nobody, wrong = contacts.find_many(WORKSPACE_A, ["ANN@example.org", "b@x.org", "no"])
    assert isinstance(ann, Contact)
    assert ann.id == contact.id
    assert nobody is None
    assert isinstance(wrong, InvalidFields)
    assert contacts.find_many(WORKSPACE_A, []) == []
