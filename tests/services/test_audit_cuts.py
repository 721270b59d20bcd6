"""The audit log is cut off where it is old, and in no other way: what is left stays proved."""

import peewee
import pytest

from maild import clock
from maild.db import database as db
from maild.domain.actor import SYSTEM
from maild.models import AuditCut, AuditEntry, Workspace
from maild.services import audit, retention_pruner
from maild.services.audit import Head
from tests.conftest import WORKSPACE_A, WORKSPACE_B

pytestmark = pytest.mark.usefixtures("database")


def write(*days: int, workspace_id: int = WORKSPACE_A) -> list[Head]:
    """Entries that are so many days old, whole: their hashes fit. The heads after each."""
    heads = []
    for age in days:
        with db.atomic():
            audit.record(workspace_id, SYSTEM, action="thing.done", target=f"{age} days ago")
            head = audit.get_head(workspace_id)
            entry = AuditEntry.get(AuditEntry.workspace == workspace_id, AuditEntry.seq == head.seq)
            [entry.at] = db.execute_sql(
                "SELECT at - %s * interval '1 day' FROM audit_entries"
                " WHERE workspace_id = %s AND seq = %s",
                (age, workspace_id, head.seq),
            ).fetchone()
            entry.hash = audit.hash_of(entry)
            db.execute_sql("ALTER TABLE audit_entries DISABLE TRIGGER USER")
            db.execute_sql(
                "UPDATE audit_entries SET at = %s, hash = %s WHERE workspace_id = %s AND seq = %s",
                (entry.at, entry.hash, workspace_id, head.seq),
            )
            db.execute_sql("ALTER TABLE audit_entries ENABLE TRIGGER USER")
            db.execute_sql(
                "UPDATE audit_heads SET hash = %s WHERE workspace_id = %s",
                (entry.hash, workspace_id),
            )
        heads.append(audit.get_head(workspace_id))
    return heads


def prune() -> dict[str, int]:
    return dict(retention_pruner.prune(seconds=30, rest=lambda seconds: None))


def seqs(workspace_id: int = WORKSPACE_A) -> list[int]:
    query = AuditEntry.select().where(AuditEntry.workspace == workspace_id)
    return [entry.seq for entry in query.order_by(AuditEntry.seq)]


@pytest.mark.proves("run-audit-cut")
def test_old_entries_go_and_the_rest_is_still_proved() -> None:
    heads = write(500, 450, 402, 399, 1)
    write(500, workspace_id=WORKSPACE_B)
    write(405, workspace_id=0)
    assert prune() == {"audit": 5}
    assert seqs() == [4, 5, 6]
    told = AuditEntry.get(AuditEntry.workspace == WORKSPACE_A, AuditEntry.seq == 6)
    assert (told.actor, told.action, told.target) == ("maild", "audit.cut", "entries up to 3")
    assert told.after["last_hash"] == heads[2].hash.hex()
    assert told.after["count"] == 3
    verdict = audit.verify(WORKSPACE_A)
    assert verdict.problem is None
    assert verdict.cut is not None
    assert (verdict.cut.seq, verdict.cut.cut_count) == (3, 3)
    for workspace_id in (WORKSPACE_B, 0):
        assert audit.verify(workspace_id).problem is None
    # An earlier head that was kept elsewhere proves what is left, as far as there is something.
    assert audit.verify(WORKSPACE_A, kept=heads[3]).problem is None
    assert audit.verify(WORKSPACE_A, kept=heads[2]).problem is None
    assert audit.verify(WORKSPACE_A, kept=heads[0]).is_kept_cut
    assert audit.verify(WORKSPACE_A, kept=Head(3, bytes(32))).problem is not None


def test_it_is_cut_once_a_day_and_goes_on_where_it_was() -> None:
    write(402)
    assert prune() == {"audit": 1}
    write(401, 400)
    assert prune() == {}, "a few hours are no reason for another entry"
    write(1)
    db.execute_sql("ALTER TABLE audit_entries DISABLE TRIGGER USER")
    db.execute_sql("DELETE FROM audit_entries WHERE seq = 2")
    db.execute_sql("ALTER TABLE audit_entries ENABLE TRIGGER USER")
    assert audit.verify(WORKSPACE_A).problem == "entry 2 is missing: the next one is 3"


@pytest.mark.parametrize(
    "attack",
    [
        "DELETE FROM audit_entries WHERE seq = 1",
        "UPDATE audit_entries SET actor = 'nobody' WHERE seq = 1",
        "INSERT INTO audit_cuts (workspace_id, seq, hash, cut_count, transaction_id)"
        " SELECT workspace_id, seq, hash, 1, 0 FROM audit_entries WHERE seq = 2",
        "INSERT INTO audit_cuts (workspace_id, seq, hash, cut_count, transaction_id)"
        " SELECT workspace_id, seq, 'x', 1, 0 FROM audit_entries WHERE seq = 1",
    ],
)
@pytest.mark.proves("run-audit-cut")
def test_nothing_else_can_be_removed(attack: str) -> None:
    write(500, 10)
    with pytest.raises(peewee.PeeweeException, match="audit log is only"), db.atomic():
        db.execute_sql(attack)
    assert seqs() == [1, 2]


def test_a_cut_lets_nothing_go_that_it_does_not_cover_or_later() -> None:
    write(500, 450, 10)
    prune()
    assert seqs() == [3, 4]
    for statement in (
        "DELETE FROM audit_entries WHERE seq = 3",
        "UPDATE audit_cuts SET seq = 3",
        "DELETE FROM audit_cuts",
        "TRUNCATE audit_cuts",
    ):
        with pytest.raises(peewee.PeeweeException, match=r"audit log (is only|stays)"), db.atomic():
            db.execute_sql(statement)
    assert audit.verify(WORKSPACE_A).problem is None


def test_the_cut_goes_with_its_workspace() -> None:
    write(500)
    prune()
    Workspace.delete().where(Workspace.id == WORKSPACE_A).execute()
    assert AuditCut.select().count() == 0


def test_an_entry_that_was_cut_and_is_there_again_shows() -> None:
    write(500, 10)
    old = AuditEntry.get(AuditEntry.seq == 1)
    prune()
    old.save(force_insert=True)
    assert audit.verify(WORKSPACE_A).problem == "entry 2 is missing: the next one is 1"
    assert clock.now() > old.at
