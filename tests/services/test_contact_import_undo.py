"""Taking an import back: what it made is gone, what it changed is as it was, and what somebody has
changed since stays.
"""

import pytest

from maild.domain.job import JobStatus
from maild.errors import Conflict, InvalidFields
from maild.models import (
    Audience,
    AudienceMember,
    Contact,
    ContactAttribute,
    ContactChange,
    ContactImportPart,
    Job,
)
from maild.services import (
    audience_members,
    audiences,
    contact_import_jobs,
    contact_imports,
    contacts,
    job_steps,
    jobs,
    suppressions,
)
from maild.services.contact_fields import ContactFields
from maild.services.contact_imports import Stand
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.test_contact_imports import (
    ADA,
    barred,
    contact,
    emails,
    import_all,
    look,
    many,
    members,
    receive,
)

pytestmark = pytest.mark.usefixtures("database")

COLUMNS = ("name", "attributes", "topics", "consent_source", "consent_at", "consent_proof")


def undo(stand: Stand) -> Job:
    contact_imports.undo(WORKSPACE_A, stand.file.id, reason="wrong file", by=ADA)
    job_steps.drain()
    done = contact_imports.get(WORKSPACE_A, stand.file.id).undo
    assert done is not None
    assert done.status is JobStatus.DONE, done.error
    return done


def columns(email: str) -> list[object]:
    row = contact(email)
    return [getattr(row, name) for name in COLUMNS]


def known(email: str, name: str) -> list[object]:
    contacts.upsert(WORKSPACE_A, email, ContactFields(name=name, topics=["news"]), by=ADA)
    return columns(email)


def test_it_takes_everything_back_that_nobody_has_touched() -> None:
    before = known("user000001@example.org", "Ann")
    stand = import_all(many(5), audience_name="Fair", topics=("offers",))
    assert columns("user000001@example.org") != before
    job = undo(stand)
    assert emails() == {"user000001@example.org"}
    assert columns("user000001@example.org") == before
    assert contact("user000001@example.org").version == 3
    assert members("Fair") == set()
    assert (job.done_count, job.skipped_count) == (5, 0)
    # What people may have begun to use stays.
    assert Audience.select().count() == ContactAttribute.select().count() == 1


def test_what_somebody_has_changed_since_stays_and_is_counted() -> None:
    known("user000000@example.org", "Ann")
    stand = import_all(many(5), audience_name="Fair")
    for email in ("user000000@example.org", "user000001@example.org"):
        contacts.upsert(WORKSPACE_A, email, ContactFields(name="since"), by=ADA)
    contacts.delete(WORKSPACE_A, contact("user000002@example.org").id, by=ADA)
    other = audiences.create(WORKSPACE_A, name="Other", by=ADA)
    moved = contact("user000003@example.org").id
    audience_members.add(WORKSPACE_A, other.id, [moved], by=ADA)
    job = undo(stand)
    assert emails() == {
        "user000000@example.org", "user000001@example.org", "user000003@example.org",
    }  # fmt: skip
    assert contact("user000000@example.org").name == "since"
    assert members("Fair") == set()
    assert members("Other") == {"user000003@example.org"}
    assert job.breakdown == {
        contact_import_jobs.GONE: 1,
        contact_import_jobs.CHANGED_SINCE: 2, contact_import_jobs.ON_ANOTHER_LIST: 1,
    }  # fmt: skip
    assert job.done_count == 1


def test_who_was_named_again_since_stays_though_nothing_of_them_has_changed() -> None:
    stand = import_all(many(5), audience_name="Fair")
    import_all(many(3), audience_id=Audience.get().id)
    contacts.upsert(WORKSPACE_A, "user000003@example.org", ContactFields(), by=ADA)
    job = undo(stand)
    assert emails() == {f"user{n:06}@example.org" for n in range(4)}
    assert job.breakdown == {contact_import_jobs.CHANGED_SINCE: 4}


def test_who_was_on_the_list_before_stays_there() -> None:
    known("user000000@example.org", "User 0")
    audience = audiences.create(WORKSPACE_A, name="Fair", by=ADA)
    old = contact("user000000@example.org").id
    audience_members.add(WORKSPACE_A, audience.id, [old], by=ADA)
    undo(import_all(many(3), audience_id=audience.id))
    assert members("Fair") == {"user000000@example.org"}


def test_an_import_that_only_filled_a_list_can_be_taken_back() -> None:
    import_all(many(3))
    stand = import_all(many(3), audience_name="Fair")
    assert len(members("Fair")) == 3
    job = undo(stand)
    assert members("Fair") == set()
    assert (Contact.select().count(), job.done_count) == (3, 3)


def test_it_goes_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact_import_jobs, "UNDO_CHUNK", 7)
    monkeypatch.setattr("maild.domain.contact_csv.CHUNK_LINES", 10)
    monkeypatch.setattr("maild.domain.contact_csv.CHUNK_BYTES", 400)
    monkeypatch.setattr("maild.domain.contact_csv._MARGIN_BYTES", 1_000)
    for n in range(0, 40, 2):
        known(f"user{n:06}@example.org", "Ann")
    before = {email: columns(email) for email in emails()}
    job = undo(import_all(many(40), audience_name="Fair"))
    assert (job.done_count, job.skipped_count) == (40, 0)
    assert {email: columns(email) for email in emails()} == before
    assert AudienceMember.select().count() == 0


def test_it_is_done_once_with_a_reason_and_after_the_import() -> None:
    row = receive(many(3))
    with pytest.raises(Conflict, match="was not imported"):
        contact_imports.undo(WORKSPACE_A, row.id, reason="x", by=ADA)
    look(row)
    contact_imports.start(WORKSPACE_A, row.id, by=ADA)
    with pytest.raises(Conflict, match="not ended"):
        contact_imports.undo(WORKSPACE_A, row.id, reason="x", by=ADA)
    job_steps.drain()
    with pytest.raises(InvalidFields):
        contact_imports.undo(WORKSPACE_A, row.id, reason=" ", by=ADA)
    undo(contact_imports.get(WORKSPACE_A, row.id))
    with pytest.raises(Conflict, match="undone already"):
        contact_imports.undo(WORKSPACE_A, row.id, reason="x", by=ADA)


def test_it_ends_no_suppression_and_touches_nobody_elses_contacts() -> None:
    contacts.upsert(WORKSPACE_B, "user000000@example.org", ContactFields(name="B"), by=ADA)
    stand = import_all(many(3))
    suppressions.add(WORKSPACE_A, "user000000@example.org", reason="x", source="api", by=ADA)
    before = barred()
    undo(stand)
    assert barred() == before
    assert [row.workspace_id for row in Contact.select()] == [WORKSPACE_B]


def test_a_look_is_nothing_to_take_back() -> None:
    stand = look(receive(many(3)))
    assert stand.check is not None
    with pytest.raises(Conflict, match="only looked"):
        jobs.undo(WORKSPACE_A, stand.check.id, reason="x", by=ADA)


def test_what_was_noted_goes_with_the_job_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "PRUNED_ITEMS", 4)
    import_all(many(10))
    stand = import_all(many(10), audience_name="Fair")
    assert stand.imported is not None
    assert stand.imported.finished_at is not None
    counts = []
    while jobs.prune(WORKSPACE_A, stand.imported.finished_at.replace(year=2999)):
        counts.append(ContactChange.select().count())
    assert counts[:2] == [6, 2]
    assert ContactChange.select().count() == Job.select().count() == 0
    assert ContactImportPart.select().count() == 0
