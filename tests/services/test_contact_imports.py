"""Importing contacts: what a look foresees, what an import does, and that both agree."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from maild.db import database
from maild.domain import contact_layout
from maild.domain.actor import Actor
from maild.domain.contact import AttributeKind
from maild.domain.job import JobStatus
from maild.domain.states import Stream
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import (
    Audience,
    AudienceMember,
    AuditEntry,
    Contact,
    ContactAttribute,
    ContactChange,
    ContactFile,
    ContactFileAddress,
    ContactRejection,
    Job,
    Suppression,
    Unsubscribe,
)
from maild.services import (
    audiences,
    contact_files,
    contact_import_jobs,
    contact_import_sql,
    contact_imports,
    contacts,
    job_steps,
    jobs,
    suppressions,
    unsubscribes,
)
from maild.services.contact_fields import ContactFields
from maild.services.contact_import_rows import Options
from maild.services.contact_imports import Stand
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements

pytestmark = pytest.mark.usefixtures("database")

ADA = Actor("ada@a.example")


def blocks(data: bytes, size: int = 4_096) -> Iterable[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def receive(text: str | bytes, *, name: str = "list.csv") -> ContactFile:
    data = text if isinstance(text, bytes) else text.encode()
    return contact_files.receive(WORKSPACE_A, blocks(data), name=name, by=ADA)


def look(row: ContactFile, **options: Any) -> Stand:
    """Have somebody look at it, laid out as was guessed."""
    layout = contact_layout.parse(row.layout)
    contact_imports.configure(
        WORKSPACE_A, row.id, layout=layout, options=Options(**options), by=ADA
    )
    job_steps.drain()
    return contact_imports.get(WORKSPACE_A, row.id)


def begin(row: ContactFile) -> Stand:
    return contact_imports.start(WORKSPACE_A, row.id, by=ADA)


def import_all(text: str | bytes, **options: Any) -> Stand:
    """What became of a file, all of which was imported as a look has foreseen."""
    row = receive(text)
    looked = look(row, **options)
    begin(row)
    job_steps.drain()
    stand = contact_imports.get(WORKSPACE_A, row.id)
    assert stand.imported is not None
    assert stand.imported.status is JobStatus.DONE, stand.imported.error
    foreseen, counts = dict(looked.foreseen or {}), dict(stand.counts or {})
    foreseen.pop("joined"), counts.pop("joined")
    assert foreseen == counts
    check_sums(stand)
    return stand


def check_sums(stand: Stand) -> None:
    """I13: every row of the file has come to exactly one thing, and the job says the same."""
    counts, job = stand.counts, stand.imported
    assert counts is not None
    assert job is not None
    parts = ("new", "updated", "unchanged", "duplicate", "rejected")
    assert counts["rows"] == sum(counts[name] for name in parts) == job.handled_count
    assert job.failed_count == counts["rejected"] == count_rejected(stand.file)


def count_rejected(row: ContactFile) -> int:
    return ContactRejection.select().where(ContactRejection.file == row.id).count()


def some(stand: Stand, *names: str) -> list[int]:
    assert stand.counts is not None
    return [stand.counts.get(name, 0) for name in names]


def emails() -> set[str]:
    return {row.email for row in Contact.select()}


def contact(email: str) -> Contact:
    found = contacts.find_by_email(WORKSPACE_A, email)
    assert found is not None
    return found


def one_step() -> None:
    """A worker takes the job, does one step, and is gone."""
    job = job_steps.claim()
    assert job is not None
    job_steps.carry_on(job, lambda: True)


def members(name: str) -> set[str]:
    query = (
        Contact.select(Contact.email)
        .join(AudienceMember, on=AudienceMember.contact_id == Contact.id)
        .join(Audience, on=Audience.id == AudienceMember.audience_id)
        .where(Audience.name == name)
    )
    return {row.email for row in query}


def many(count: int, *, start: int = 0) -> str:
    rows = (f"user{n:06}@example.org,User {n},{n}" for n in range(start, start + count))
    return "email,name,shoe size\n" + "\n".join(rows) + "\n"


def barred() -> tuple[list[Any], list[Any]]:
    """All that keeps anybody from being mailed, as it is kept."""
    return (
        list(Suppression.select().order_by(Suppression.id).dicts()),
        list(Unsubscribe.select().order_by(Unsubscribe.id).dicts()),
    )


# The whole way


def test_a_file_becomes_contacts() -> None:
    stand = import_all(
        "E-Mail;Name;City;Age;Topics;Consent time;VIP;Since\n"
        "Ann@Example.org;Ann  Miller;Köln;34;News, Offers;2026-01-02T03:04+01:00;yes;2020-01-31\n"
        "bob@bücher.example;;;;;;;\n"
    )
    assert some(stand, "rows", "new", "rejected") == [2, 2, 0]
    ann, bob = contact("ann@example.org"), contact("bob@bücher.example")
    assert ann.name == "Ann Miller"
    assert ann.attributes == {"city": "Köln", "age": 34, "vip": True, "since": "2020-01-31"}
    assert ann.topics == ["news", "offers"]
    assert (ann.consent_source, str(ann.consent_at)) == ("import", "2026-01-02 02:04:00+00:00")
    assert (ann.created_by, ann.version, ann.status.value) == ("ada@a.example", 1, "active")
    assert (bob.name, bob.attributes, bob.topics, bob.consent_at) == (None, {}, [], None)
    kinds = {row.name: row.kind for row in ContactAttribute.select()}
    assert kinds == {
        "city": AttributeKind.TEXT, "age": AttributeKind.NUMBER,
        "vip": AttributeKind.BOOLEAN, "since": AttributeKind.DATE,
    }  # fmt: skip


def test_a_look_changes_no_contact_and_declares_nothing() -> None:
    stand = look(receive(many(3)), audience_name="New ones")
    assert stand.foreseen is not None
    assert stand.foreseen["new"] == 3
    assert stand.can_start
    for model in (Contact, ContactAttribute, Audience, ContactChange, ContactFileAddress):
        assert model.select().count() == 0


def known_of_all() -> list[dict[str, Any]]:
    """All that is known of contacts, but whether somebody has named them again."""
    rows = list(Contact.select().order_by(Contact.id).dicts())
    for row in rows:
        del row["is_named_again"]
    return rows


@pytest.mark.proves("I13")
def test_the_same_file_twice_changes_nothing_the_second_time() -> None:
    text = many(50) + "USER000001@example.org,again,1\n,nobody,2\n"
    first = import_all(text, audience_name="All", topics=("news",), consent_at=None)
    before = known_of_all()
    audience = Audience.get()
    second = import_all(text, audience_id=audience.id, topics=("news",))
    assert some(first, "new", "updated", "unchanged", "duplicate", "rejected") == [50, 0, 0, 1, 1]
    assert some(second, "new", "updated", "unchanged", "duplicate", "rejected") == [0, 0, 50, 1, 1]
    assert known_of_all() == before
    assert second.imported is not None
    assert second.imported.done_count == 0
    assert contact_files.find_same(second.file) == contact_files.get(WORKSPACE_A, first.file.id)
    assert "changed nothing" in str(contact_imports.why_no_undo(second))


def test_who_is_known_takes_over_what_the_file_says_and_keeps_the_rest() -> None:
    contacts.upsert(
        WORKSPACE_A,
        "ann@example.org",
        ContactFields(name="Ann", attributes={"city": "Rome", "age": 3}, topics=["news"]),
        by=ADA,
    )
    text = "email,name,city,age,topics\nann@example.org,,Paris,,offers\n"
    stand = import_all(text)
    assert some(stand, "new", "updated") == [0, 1]
    ann = contact("ann@example.org")
    assert (ann.name, ann.attributes, ann.topics, ann.version) == (
        "Ann", {"city": "Paris", "age": 3}, ["news", "offers"], 2,
    )  # fmt: skip


def test_who_is_known_can_be_left_as_they_are_and_joins_the_list_all_the_same() -> None:
    contacts.upsert(WORKSPACE_A, "ann@example.org", ContactFields(name="Ann"), by=ADA)
    text = "email,name\nann@example.org,Other\nbob@example.org,Bob\n"
    stand = import_all(text, updates=False, audience_name="Friends")
    assert some(stand, "new", "updated", "unchanged", "joined") == [1, 0, 1, 2]
    assert contact("ann@example.org").name == "Ann"
    assert members("Friends") == {"ann@example.org", "bob@example.org"}
    assert stand.imported is not None
    assert stand.imported.done_count == 2


def test_a_consent_counts_where_it_is_newer() -> None:
    header = "email,consent_at,consent_source\n"
    import_all(header + "a@x.example,2026-01-01,shop\nb@x.example,2026-03-01,fair\n")
    stand = import_all(header + "a@x.example,2026-02-01,web\nb@x.example,2026-02-01,web\n")
    assert some(stand, "updated", "unchanged") == [1, 1]
    assert contact("a@x.example").consent_source == "web"
    assert contact("b@x.example").consent_source == "fair"


def test_a_consent_for_all_is_of_rows_that_name_none() -> None:
    stand = look(receive("email,consent_at\na@x.example,2026-02-01\nb@x.example,\n"))
    options = Options(
        consent_source="shop", consent_at=datetime(2026, 1, 1, tzinfo=UTC), consent_proof="form 7"
    )
    contact_imports.configure(
        WORKSPACE_A, stand.file.id, layout=contact_layout.parse(stand.file.layout),
        options=options, by=ADA,
    )  # fmt: skip
    job_steps.drain()
    begin(stand.file)
    job_steps.drain()
    a, b = contact("a@x.example"), contact("b@x.example")
    assert (a.consent_source, a.consent_at.month, a.consent_proof) == ("shop", 2, "form 7")
    assert (b.consent_source, b.consent_at.month) == ("shop", 1)


# Who must not be mailed stays so


@pytest.mark.proves("I7")
@pytest.mark.proves("I13")
def test_a_file_with_all_who_must_not_be_mailed_brings_nobody_back() -> None:
    gone = [f"gone{n}@example.org" for n in range(30)]
    left = [f"left{n}@example.org" for n in range(30)]
    for n, email in enumerate(gone):
        stream = (None, Stream.MARKETING)[n % 2]
        suppressions.add(WORKSPACE_A, email, reason="x", source="api", stream=stream, by=ADA)
    for n, email in enumerate(left):
        stream = (None, Stream.MARKETING)[n % 2]
        unsubscribes.opt_out(WORKSPACE_A, email, stream=stream, source="api", by=ADA)
    contacts.upsert(WORKSPACE_A, gone[0], ContactFields(name="known"), by=ADA)
    contacts.upsert(WORKSPACE_A, left[0], ContactFields(name="known"), by=ADA)
    before = barred()
    fine = ["fine@example.org"]
    rows = [address.upper() for address in (*gone, *left, *fine)]
    stand = import_all("email,name\n" + "".join(f"{one},new name\n" for one in rows))
    assert some(stand, "rows", "new", "suppressed", "unsubscribed") == [61, 1, 30, 30]
    assert barred() == before
    assert emails() == {"fine@example.org", gone[0], left[0]}
    assert contact(gone[0]).name == contact(left[0]).name == "known"


def test_who_left_a_topic_stays_out_of_it_and_is_imported() -> None:
    for topic in ("news", "offers"):
        unsubscribes.opt_out(WORKSPACE_A, "ann@example.org", topic=topic, source="api", by=ADA)
    before = barred()
    stand = import_all("email,topics\nann@example.org,news;sport\n", topics=("offers",))
    assert some(stand, "new") == [1]
    assert contact("ann@example.org").topics == ["sport"]
    assert barred() == before


def test_who_left_important_mail_or_is_suppressed_there_only_is_imported() -> None:
    suppressions.add(
        WORKSPACE_A, "a@x.example", reason="x", source="api",
        stream=Stream.TRANSACTIONAL, by=ADA,
    )  # fmt: skip
    unsubscribes.opt_out(
        WORKSPACE_A, "b@x.example", stream=Stream.TRANSACTIONAL, source="api", by=ADA
    )
    assert some(import_all("email\na@x.example\nb@x.example\n"), "new") == [2]


def test_what_stops_addresses_of_another_workspace_stops_nobody_here() -> None:
    suppressions.add(WORKSPACE_B, "ann@example.org", reason="x", source="api", by=ADA)
    contacts.upsert(WORKSPACE_B, "ann@example.org", ContactFields(name="theirs"), by=ADA)
    assert some(import_all("email,name\nann@example.org,ours\n"), "new") == [1]
    assert {row.name for row in Contact.select()} == {"theirs", "ours"}


def test_who_is_suppressed_after_the_look_is_not_imported() -> None:
    row = receive("email\nann@example.org\nbob@example.org\n")
    look(row)
    suppressions.add(WORKSPACE_A, "bob@example.org", reason="x", source="api", by=ADA)
    begin(row)
    job_steps.drain()
    stand = contact_imports.get(WORKSPACE_A, row.id)
    assert some(stand, "new", "suppressed") == [1, 1]
    [rejected] = ContactRejection.select()
    assert (rejected.line, rejected.reason) == (3, "suppressed")
    assert rejected.content == "bob@example.org"


# Killed in the middle


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maild.domain.contact_csv.CHUNK_LINES", 10)
    monkeypatch.setattr("maild.domain.contact_csv.CHUNK_BYTES", 400)
    monkeypatch.setattr("maild.domain.contact_csv._MARGIN_BYTES", 1_000)


@pytest.mark.usefixtures("small_parts")
def test_duplicates_are_found_over_all_parts() -> None:
    text = many(35) + many(35)[len("email,name,shoe size\n") :] + "x@x.example,x,1\n"
    stand = import_all(text)
    assert stand.file.chunk_count > 5
    assert some(stand, "new", "duplicate", "rows") == [36, 35, 71]
    assert ContactFileAddress.select().count() == 0


@pytest.mark.usefixtures("small_parts")
def test_a_worker_that_dies_after_some_parts_leaves_them_done_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = receive(many(45))
    look(row, audience_name="All")
    begin(row)
    for _ in range(2):
        one_step()
    [job] = Job.select().where(Job.kind == contact_import_jobs.IMPORT)
    assert 0 < job.handled_count == Contact.select().count() < 45

    def die(*args: Any) -> None:
        raise OSError("the machine is gone")

    with monkeypatch.context() as patch:
        patch.setattr("maild.services.contact_rejections.replace", die)  # after the contacts
        one_step()
    assert jobs.get(WORKSPACE_A, job.id).handled_count == Contact.select().count()
    Job.update(due_at=job.created_at).execute()
    job_steps.drain()
    stand = contact_imports.get(WORKSPACE_A, row.id)
    check_sums(stand)
    assert some(stand, "new", "joined") == [45, 45]
    assert len(members("All")) == Contact.select().count() == 45


# One at a time


def test_two_starts_are_one_import() -> None:
    row = receive(many(3))
    look(row)
    begin(row)
    with pytest.raises(Conflict, match="started already"):
        begin(row)
    assert Job.select().where(Job.kind == contact_import_jobs.IMPORT).count() == 1


def test_nothing_starts_before_somebody_has_looked() -> None:
    row = receive(many(3))
    with pytest.raises(Conflict, match="configure it first"):
        begin(row)
    layout = contact_layout.parse(row.layout)
    contact_imports.configure(WORKSPACE_A, row.id, layout=layout, options=Options(), by=ADA)
    with pytest.raises(Conflict, match="configure it first"):
        begin(row)


def test_what_was_looked_at_is_what_starts() -> None:
    row = receive(many(3))
    seen = look(row).file.check_job_id
    look(row, topics=("news",))
    with pytest.raises(Conflict, match="has changed since"):
        contact_imports.start(WORKSPACE_A, row.id, check_job_id=seen, by=ADA)


def test_a_new_look_stops_the_one_before() -> None:
    row = receive(many(3))
    layout = contact_layout.parse(row.layout)
    for _ in range(2):
        contact_imports.configure(WORKSPACE_A, row.id, layout=layout, options=Options(), by=ADA)
    job_steps.drain()
    first, second = Job.select().order_by(Job.id)
    assert (first.status, second.status) == (JobStatus.CANCELLED, JobStatus.DONE)
    assert ContactFile.get().foreseen["job_id"] == second.id


def test_nothing_is_changed_once_it_has_started() -> None:
    row = receive(many(3))
    look(row)
    begin(row)
    with pytest.raises(Conflict, match="started already"):
        look(row)


def test_a_file_without_a_row_that_can_be_imported_does_not_start() -> None:
    row = receive("email\nnonsense\n")
    stand = look(row)
    assert not stand.can_start
    with pytest.raises(InvalidFields, match="No row"):
        begin(row)


def test_attributes_that_were_declared_otherwise_meanwhile_stop_the_start() -> None:
    row = receive(many(3))
    look(row)
    contacts.upsert(
        WORKSPACE_A, "x@x.example", ContactFields(attributes={"shoe_size": "large"}), by=ADA
    )
    with pytest.raises(Conflict, match="kind text"):
        begin(row)
    assert not Job.select().where(Job.kind == contact_import_jobs.IMPORT).exists()


def test_somebody_who_comes_at_the_same_moment_is_no_double(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the look at what is known and the insert another transaction is quicker."""
    row = receive(many(3))
    look(row, audience_name="All")
    begin(row)
    real, tries = contact_import_sql._put, []

    def late(values: dict[str, Any]) -> Any:
        tries.append(values)
        if len(tries) > 1:
            return real(values)
        known = ContactFields(name="quick")
        contacts.upsert(WORKSPACE_A, "user000001@example.org", known, by=ADA)
        database.execute_sql(
            "INSERT INTO contacts (workspace_id, email, created_by)"
            " VALUES (%s, 'user000001@example.org', 'x')",
            (WORKSPACE_A,),
        )
        raise AssertionError("there was one already")

    monkeypatch.setattr(contact_import_sql, "_put", late)
    job_steps.drain()
    stand = contact_imports.get(WORKSPACE_A, row.id)
    check_sums(stand)
    assert len(tries) == 2
    assert some(stand, "new", "joined") == [3, 3]


def test_a_list_that_is_gone_stops_the_import() -> None:
    row = receive(many(3))
    look(row, audience_name="All")
    begin(row)
    audiences.delete(WORKSPACE_A, Audience.get().id, by=ADA)
    job_steps.drain()
    stand = contact_imports.get(WORKSPACE_A, row.id)
    assert stand.imported is not None
    assert (stand.imported.status, stand.imported.error) == (
        JobStatus.FAILED, "There is no such list.",
    )  # fmt: skip
    assert Contact.select().count() == 0


# What is told


def test_it_is_audited() -> None:
    import_all(many(3), audience_name="All")
    actions = [entry.action for entry in AuditEntry.select().order_by(AuditEntry.seq)]
    assert actions == ["job.started", "audience.created", "job.started", "contacts.imported"]
    told = AuditEntry.get(AuditEntry.action == "contacts.imported").after
    assert json.dumps(told).count('"new": 3') == 1


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"audience_name": "x" * 101}, "audience_name"),
        ({"audience_name": "a\0b"}, "audience_name"),
        ({"audience_id": 12345}, "audience_id"),
        ({"audience_id": 1, "audience_name": "x"}, "audience_name"),
        ({"topics": ("",)}, "topics"),
        ({"topics": ("x" * 101,)}, "topics"),
        ({"topics": ("a\x1fb",)}, "topics"),
        ({"consent_source": "a\x1eb"}, "consent_source"),
        ({"topics": tuple(map(str, range(51)))}, "topics"),
        ({"consent_source": "shop"}, "consent_at"),
        ({"consent_source": "a\nb"}, "consent_source"),
        ({"consent_proof": "x" * 501}, "consent_proof"),
        ({"consent_source": "\ud800"}, "consent_source"),
    ],
)
def test_options_that_make_no_sense_are_told(options: dict[str, Any], name: str) -> None:
    row = receive(many(1))
    with pytest.raises(InvalidFields) as caught:
        look(row, **options)
    assert name in {error.field for error in caught.value.errors}
    assert Job.select().count() == 0


def test_a_list_that_is_there_already_is_chosen_not_made() -> None:
    audiences.create(WORKSPACE_A, name="All", by=ADA)
    with pytest.raises(InvalidFields, match="already"):
        look(receive(many(1)), audience_name="ALL")


def test_a_list_of_another_workspace_is_none() -> None:
    theirs = audiences.create(WORKSPACE_B, name="Theirs", by=ADA)
    with pytest.raises(InvalidFields, match="no list of this workspace"):
        look(receive(many(1)), audience_id=theirs.id)


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        (["email", "email", None], "columns"),
        ([None, None, None], "columns"),
        (["email", None], "columns"),
        (["email", "shoe size", None], "columns.1.use"),
    ],
)
def test_columns_that_make_no_sense_are_told(columns: Sequence[str | None], name: str) -> None:
    row = receive(many(1))
    layout = replace(
        contact_layout.parse(row.layout), columns=tuple(map(contact_layout.Column, columns))
    )
    with pytest.raises(InvalidFields) as caught:
        contact_imports.configure(WORKSPACE_A, row.id, layout=layout, options=Options(), by=ADA)
    assert caught.value.errors[0].field == name


def test_another_workspace_sees_and_starts_nothing() -> None:
    row = receive(many(3))
    look(row)
    layout = contact_layout.parse(row.layout)
    for act in (
        lambda: contact_imports.get(WORKSPACE_B, row.id),
        lambda: contact_imports.start(WORKSPACE_B, row.id, by=ADA),
        lambda: contact_imports.undo(WORKSPACE_B, row.id, reason="x", by=ADA),
        lambda: contact_imports.configure(
            WORKSPACE_B, row.id, layout=layout, options=Options(), by=ADA
        ),
    ):
        with pytest.raises(NotFound):
            act()
    assert contact_files.list_newest(WORKSPACE_B) == []
    assert Job.select().count() == 1


def test_the_database_is_asked_as_often_for_many_rows_as_for_one() -> None:
    def cost(rows: int) -> int:
        row = receive(many(rows))
        look(row)
        begin(row)
        return count_statements(job_steps.drain)

    assert cost(1) == cost(200)


def test_more_rows_than_it_may_have_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact_import_jobs, "ROWS_MAX", 3)
    row = receive(many(4))
    stand = look(row)
    assert stand.check is not None
    assert stand.check.status is JobStatus.FAILED
    assert "more than 3 rows" in str(stand.check.error)
    assert not stand.can_start
    assert database.is_connection_usable()
