"""Files of suppressions: what an import would do, and an import that does each line once."""

import csv
import json
from typing import Any

import pytest

from maild.db import database
from maild.domain.actor import Actor
from maild.domain.job import JobStatus
from maild.domain.states import Stream
from maild.domain.suppression import SuppressionClass
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import AuditEntry, Job, SoftBounce, Suppression, SuppressionFile
from maild.services import (
    job_steps,
    jobs,
    suppression_files,
    suppression_imports,
    suppression_jobs,
    suppressions,
)
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.reporting import report

pytestmark = pytest.mark.usefixtures("database")

ADA = Actor("ada@a.example")
PLAIN = {"has_header": True, "default_reason": "because", "class_": "manual"}


def receive(text: str, name: str = "list.csv") -> SuppressionFile:
    return suppression_files.receive(WORKSPACE_A, text.encode(), name=name, by=ADA)


def many(count: int) -> str:
    return "email\n" + "".join(f"user{n:05}@example.org\n" for n in range(count))


def start(row: SuppressionFile) -> Job:
    return suppression_jobs.start(WORKSPACE_A, row.id, by=ADA)


def one_step() -> None:
    """A worker takes the job, does one step, and is gone."""
    job = job_steps.claim()
    assert job is not None
    job_steps.carry_on(job, lambda: True)


def reload(job: Job) -> Job:
    return jobs.get(WORKSPACE_A, job.id)


def in_force() -> set[str]:
    return {row.email for row in Suppression.select().where(Suppression.removed_at.is_null())}


def actions() -> list[str]:
    return [entry.action for entry in AuditEntry.select().order_by(AuditEntry.seq)]


# What would happen


def test_it_foresees_and_changes_nothing() -> None:
    suppressions.add(WORKSPACE_A, "known@example.org", reason="x", source="api", by=ADA)
    row = receive(
        "Recipient;Weather\nnew@example.org;a\nNEW@example.org;b\nknown@example.org;c\nnonsense;d\n"
    )
    outlook = suppression_files.outlook_of(row)
    assert outlook.problem is None
    assert outlook.counts == {
        "rows": 4, "imported": 1, "existing": 1, "extended": 0, "duplicate": 1, "rejected": 1,
    }  # fmt: skip
    assert [bad.number for bad in outlook.rejections] == [5]
    assert outlook.ignored_columns == ["Weather"]
    assert row.default_reason == "imported from list.csv"
    assert in_force() == {"known@example.org"}
    assert actions() == ["suppression.added"]


def test_without_addresses_it_asks_for_their_column() -> None:
    row = receive("wer,warum\nann,x\n")
    assert suppression_files.outlook_of(row).problem == suppression_files.NO_ADDRESS
    with pytest.raises(InvalidFields, match="which column"):
        start(row)


def test_columns_are_what_somebody_says_they_are() -> None:
    row = receive("a,b\nthey asked,ann@example.org\n")
    changed = suppression_files.configure(
        WORKSPACE_A, row.id, columns=["reason", "email"], **{**PLAIN, "class_": "complaint"}
    )
    assert suppression_files.outlook_of(changed).counts["imported"] == 1
    start(changed)
    job_steps.drain()
    [made] = Suppression.select()
    assert (made.email, made.reason, made.class_) == (
        "ann@example.org", "they asked", SuppressionClass.COMPLAINT,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"columns": ["email", "email"]}, "columns"),
        ({"columns": ["email"]}, "columns"),
        ({"columns": ["email", "shoe size"]}, "columns"),
        ({"default_reason": " "}, "default_reason"),
        ({"default_reason": "x" * 501}, "default_reason"),
        ({"class_": "x"}, "class"),
    ],
)
def test_it_refuses_columns_that_make_no_sense(fields: dict[str, Any], name: str) -> None:
    row = receive("email,b\nann@example.org,x\n")
    with pytest.raises(InvalidFields) as caught:
        suppression_files.configure(
            WORKSPACE_A, row.id, **{"columns": ["email", ""], **PLAIN, **fields}
        )
    assert caught.value.errors[0].field == name
    assert suppression_files.get(WORKSPACE_A, row.id) == row


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "must not be empty"),
        (b"PK\x03\x04", "spreadsheet"),
        (b"email\nj\xf6rg@example.org", "not UTF-8"),
        (b"x" * (suppression_files.MAX_BYTES + 1), "larger than 32 MB"),
    ],
)
def test_what_is_no_file_of_addresses_is_not_kept(data: bytes, told: str) -> None:
    with pytest.raises(InvalidFields, match=told):
        suppression_files.receive(WORKSPACE_A, data, name="x", by=ADA)
    assert SuppressionFile.select().count() == 0


def test_a_file_in_which_a_quote_swallows_lines_cannot_be_imported() -> None:
    row = receive('email,reason\nann@example.org,"x\nbob@example.org,y"\neve@example.org,"\n')
    assert "quote" in str(suppression_files.outlook_of(row).problem)
    with pytest.raises(InvalidFields, match="quote"):
        start(row)


def test_a_file_that_is_too_long_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppression_imports, "ROWS_MAX", 3)
    assert "more than 3 lines" in str(suppression_files.outlook_of(receive(many(4))).problem)
    assert suppression_files.outlook_of(receive(many(3))).problem is None


def test_refused_lines_come_as_a_file_that_can_be_mended() -> None:
    row = receive(
        "id,email,note\n1,ann@example.org,fine\n2,nonsense,=1+1\n3,bob@example.org,x,y,z\n\n4,,x\n"
    )
    lines = "".join(suppression_files.write_rejected(WORKSPACE_A, row.id))
    found = list(csv.reader(lines.splitlines()))
    assert found[0] == ["line", "problem", "id", "email", "note"]
    assert [one[0] for one in found[1:]] == ["3", "4", "6"]
    assert found[1][2:] == ["2", "nonsense", "'=1+1"]
    assert "more than 3 cells" in found[2][1]


def test_files_are_kept_for_some_days_and_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppression_files, "FILES_MAX", 2)
    rows = [receive(many(n)) for n in (1, 2, 3)]
    kept = suppression_files.list_newest(WORKSPACE_A)
    assert [row.id for row in kept] == [rows[2].id, rows[1].id]
    with pytest.raises(NotFound, match="Send it again"):
        suppression_files.get(WORKSPACE_A, rows[0].id)
    database.execute_sql(
        "UPDATE suppression_files SET created_at = now() - interval '8 days' WHERE id = %s",
        (rows[1].id,),
    )
    suppression_files.prune()
    assert [row.id for row in suppression_files.list_newest(WORKSPACE_A)] == [rows[2].id]


def test_nobody_gets_at_a_file_of_another_workspace() -> None:
    row = receive(many(1))
    for call in (
        lambda: suppression_files.get(WORKSPACE_B, row.id),
        lambda: suppression_files.configure(WORKSPACE_B, row.id, columns=["email"], **PLAIN),
        lambda: suppression_files.write_rejected(WORKSPACE_B, row.id),
        lambda: suppression_jobs.start(WORKSPACE_B, row.id, by=ADA),
    ):
        with pytest.raises(NotFound):
            call()


# The import


def test_it_imports_chunk_by_chunk_and_each_line_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppression_jobs, "CHUNK_BYTES", 2_000)
    suppressions.add(WORKSPACE_A, "user00007@example.org", reason="x", source="api", by=ADA)
    job = start(receive(many(50) + "USER00003@example.org\n"))
    assert (job.total_count, in_force()) == (50, {"user00007@example.org"})
    one_step()
    halfway = reload(job)
    assert halfway.status is not JobStatus.DONE
    assert 0 < halfway.handled_count < 50
    assert len(in_force()) == halfway.done_count + 1
    job_steps.drain()  # another worker
    done = reload(job)
    assert done.status is JobStatus.DONE
    assert (done.done_count, done.skipped_count, done.failed_count) == (49, 1, 0)
    assert done.breakdown == {suppression_jobs.KNOWN: 1}
    assert len(in_force()) == 50
    entry = AuditEntry.get(AuditEntry.action == "suppressions.imported")
    assert entry.actor == ADA.name
    assert (entry.after["imported"], entry.after["existing"]) == (49, 1)
    assert actions().count("suppressions.imported") == 1


def test_a_step_that_breaks_in_the_middle_leaves_nothing_and_is_done_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(suppression_jobs, "CHUNK_BYTES", 2_000)
    job = start(receive(many(50)))
    one_step()
    before = in_force()
    genuine = jobs.note_targets

    def crash(*args: Any, **kwargs: Any) -> None:
        genuine(*args, **kwargs)
        raise RuntimeError("the power is gone")

    monkeypatch.setattr(jobs, "note_targets", crash)
    one_step()
    assert in_force() == before
    assert reload(job).handled_count == len(before)
    monkeypatch.setattr(jobs, "note_targets", genuine)
    database.execute_sql("UPDATE jobs SET due_at = now()")
    job_steps.drain()
    assert reload(job).done_count == 50
    assert len(in_force()) == 50
    assert Suppression.select().count() == 50


def test_of_an_address_that_comes_twice_the_first_line_counts_with_the_latest_end() -> None:
    text = (
        "email,reason,expires_at,stream\n"
        "ann@example.org,first,2090-01-01T00:00:00Z,\n"
        "ANN@example.org,second,2091-01-01T00:00:00Z,\n"
        "ann@example.org,other,2090-01-01T00:00:00Z,marketing\n"
        "bob@example.org,first,2090-01-01T00:00:00Z,\n"
        "bob@example.org,second,,\n"
    )
    job = start(receive(text))
    job_steps.drain()
    found = {(row.email, row.stream): row for row in Suppression.select()}
    assert reload(job).done_count == len(found) == 3
    ann = found["ann@example.org", None]
    assert (ann.reason, ann.expires_at.year) == ("first", 2091)
    assert found["ann@example.org", Stream.MARKETING].reason == "other"
    assert found["bob@example.org", None].expires_at is None


def test_what_lasts_longer_now_is_told() -> None:
    soon = "email,expires_at\nann@example.org,2090-01-01T00:00:00Z\n"
    start(receive(soon))
    job_steps.drain()
    job = start(receive("email\nann@example.org\n"))
    job_steps.drain()
    assert reload(job).breakdown == {suppression_jobs.EXTENDED: 1}
    assert Suppression.get().expires_at is None


def test_it_foresees_what_the_import_then_does() -> None:
    suppressions.add(WORKSPACE_A, "known@example.org", reason="x", source="api", by=ADA)
    text = "email\nJÖRG@example.org\njörg@example.org\nknown@example.org\nΣας@example.org\n"
    row = receive(text)
    counts = suppression_files.outlook_of(row).counts
    job = start(row)
    job_steps.drain()
    done = reload(job)
    assert (done.done_count, done.skipped_count) == (counts["imported"], counts["existing"])
    assert job.total_count == counts["imported"] + counts["existing"]


def test_it_starts_once() -> None:
    row = receive(many(3))
    job = start(row)
    with pytest.raises(Conflict, match=f"it is job {job.id}"):
        start(row)
    with pytest.raises(Conflict, match="started meanwhile"):
        suppression_files.configure(WORKSPACE_A, row.id, columns=[""], **PLAIN)
    assert Job.select().count() == 1
    assert suppression_files.get(WORKSPACE_A, row.id).job_id == job.id


def test_it_does_not_start_with_columns_that_somebody_changes_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = receive("email,other\nann@example.org,bob@example.org\n")
    genuine = suppression_jobs.distinct

    def change(rows: Any) -> Any:
        suppression_files.configure(WORKSPACE_A, row.id, columns=["", "email"], **PLAIN)
        return genuine(rows)

    monkeypatch.setattr(suppression_jobs, "distinct", change)
    with pytest.raises(Conflict, match="changed what its columns are"):
        start(row)
    assert Job.select().count() == 0


def test_nothing_to_import_starts_nothing() -> None:
    with pytest.raises(InvalidFields, match="No line"):
        start(receive("email\nnonsense\n"))


def test_the_file_may_go_while_it_is_imported() -> None:
    job = start(receive(many(5)))
    SuppressionFile.delete().execute()
    job_steps.drain()
    assert reload(job).done_count == 5


# Taking it back


def test_an_import_is_undone_as_far_as_it_is_still_in_force(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(suppression_jobs, "UNDO_CHUNK", 2)
    suppressions.add(WORKSPACE_A, "user00000@example.org", reason="x", source="api", by=ADA)
    job = start(receive(many(6)))
    job_steps.drain()
    suppressions.remove(WORKSPACE_A, "user00001@example.org", reason="mine", by=ADA)
    suppressions.add(WORKSPACE_A, "user00001@example.org", reason="again", source="api", by=ADA)
    SoftBounce.insert(
        workspace=WORKSPACE_A, email="user00002@example.org", cause="x", occurred_at="2026-01-01Z"
    ).execute()
    undoing = jobs.undo(WORKSPACE_A, job.id, reason="the wrong file", by=ADA)
    one_step()
    job_steps.drain()
    assert in_force() == {"user00000@example.org", "user00001@example.org"}
    done = reload(undoing)
    assert (done.done_count, done.skipped_count) == (4, 1)
    row = Suppression.get(Suppression.email == "user00002@example.org")
    assert row.removal_reason == "the import was undone: the wrong file"
    assert row.removed_by == ADA.name
    assert SoftBounce.select().count() == 0
    assert actions().count("suppressions.import_undone") == 1


def test_what_a_job_is_given_is_one_line_for_each_suppression() -> None:
    job = start(receive("email\nann@example.org\nANN@example.org\nbob@example.org\n"))
    lines = jobs.get_input(job).decode().splitlines()
    assert [json.loads(line)["email"] for line in lines] == ["ann@example.org", "bob@example.org"]


def test_an_undo_leaves_whom_a_report_was_about_meanwhile() -> None:
    job = start(receive(many(3)))
    job_steps.drain()
    report({"type": "complained", "email": "user00001@example.org", "event_id": "c"})
    report({"type": "delivered", "email": "user00002@example.org", "event_id": "d"})
    SoftBounce.insert(
        workspace=WORKSPACE_A, email="user00001@example.org", cause="x", occurred_at="2026-01-01Z"
    ).execute()
    undoing = jobs.undo(WORKSPACE_A, job.id, reason="the wrong file", by=ADA)
    job_steps.drain()
    done = reload(undoing)
    assert (done.done_count, done.breakdown) == (2, {suppression_jobs.HEARD: 1})
    assert in_force() == {"user00001@example.org"}
    assert SoftBounce.select().count() == 1
