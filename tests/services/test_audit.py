"""The audit log: one chain for each workspace, append-only, and whatever is done to it shows."""

import re
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import peewee
import psycopg2
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from maild import clock, db
from maild.config import Settings
from maild.db import database
from maild.domain.actor import SYSTEM, Actor
from maild.errors import NotFound
from maild.models import AuditEntry, AuditHead, Workspace
from maild.services import audit
from maild.services.audit import Filter, Head
from tests.conftest import WORKSPACE_A, WORKSPACE_B

pytestmark = pytest.mark.usefixtures("database")


def write(count: int = 1, *, workspace_id: int = WORKSPACE_A, **fields: Any) -> None:
    for number in range(count):
        values: dict[str, Any] = {"action": "thing.done", "target": f"thing {number}", **fields}
        with database.atomic():
            audit.record(workspace_id, SYSTEM, **values)


def entry(seq: int) -> AuditEntry:
    found: AuditEntry = AuditEntry.get(AuditEntry.workspace == WORKSPACE_A, AuditEntry.seq == seq)
    return found


def tamper(sql: str) -> None:
    """What somebody does who may do anything to the database, with the trigger out of the way."""
    with database.atomic():
        database.execute_sql("ALTER TABLE audit_entries DISABLE TRIGGER USER")
        database.execute_sql(sql)
        database.execute_sql("ALTER TABLE audit_entries ENABLE TRIGGER USER")


def problem(**fields: Any) -> str | None:
    return audit.verify(WORKSPACE_A, **fields).problem


def test_an_entry_holds_who_did_what() -> None:
    actor = Actor("key mk_1a2b3c4d (billing)", ip="192.0.2.1", request_id="r1")
    with database.atomic():
        audit.record(
            WORKSPACE_A,
            actor,
            action="policy.changed",
            target="policy 2",
            before={"limit": 1},
            after={"limit": 2},
            reason="more mail",
        )
    [found] = audit.list_page(WORKSPACE_A).entries
    assert (found.seq, found.actor, found.actor_ip, found.request_id) == (
        1, "key mk_1a2b3c4d (billing)", "192.0.2.1", "r1",
    )  # fmt: skip
    assert (found.action, found.target, found.reason) == ("policy.changed", "policy 2", "more mail")
    assert (found.before, found.after) == ({"limit": 1}, {"limit": 2})
    assert abs(found.at - clock.now()) < timedelta(minutes=1)


def test_an_entry_goes_with_what_it_tells_of() -> None:
    def fail() -> None:
        with database.atomic():
            audit.record(WORKSPACE_A, SYSTEM, action="a", target="t")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert audit.list_page(WORKSPACE_A).entries == []
    write()
    assert (audit.verify(WORKSPACE_A).head.seq, problem()) == (1, None)


def test_each_workspace_has_a_chain_of_its_own() -> None:
    write(3)
    write(2, workspace_id=WORKSPACE_B)
    assert audit.verify(WORKSPACE_A).head.seq == 3
    assert audit.verify(WORKSPACE_B).head.seq == 2
    assert bytes(entry(1).previous_hash) == audit.FIRST_HASH
    assert bytes(entry(3).previous_hash) == bytes(entry(2).hash)
    assert audit.verify(WORKSPACE_A).head.hash == bytes(entry(3).hash)


def test_several_entries_of_one_transaction_are_in_order() -> None:
    with database.atomic():
        for number in range(3):
            audit.record(WORKSPACE_A, SYSTEM, action="a", target=str(number))
    assert [e.target for e in audit.list_page(WORKSPACE_A).entries] == ["2", "1", "0"]
    assert problem() is None


ODD = {
    "floats": [0.1, 1.0, 1e20, 1e23, -0.0, 1e-7, 5e-324, 1.7976931348623157e308, 123456.789e3],
    "whole": [0, -1, 2**53 + 1, 2**63, 10**30],
    "words": ["é", "e\u0301", "\U0001f600", "\u2028", "</b>", 'a "b" \\ c', "\x7f", "\x1f", ""],
    "nested": {"b": {"a": [1, [2, {"z": None, "a": True}]]}, "a": {}, "ä": [], "A": False},
    "1": "a key that is a number",
    "": "a key without letters",
}  # fmt: skip


def test_odd_values_come_back_and_fit_their_hash() -> None:
    write(before=ODD, after={"deep": [[[[[[ODD]]]]]]}, reason="\u2028 ü", target='"\\')
    assert entry(1).before["words"] == ODD["words"]
    assert list(map(float, entry(1).before["floats"])) == ODD["floats"]
    assert entry(1).before["whole"] == ODD["whole"]
    assert problem() is None


def test_what_is_no_json_is_made_json_first() -> None:
    write(before={1: (1, 2)}, after={})  # type: ignore[dict-item]
    assert (entry(1).before, entry(1).after) == ({"1": [1, 2]}, {})
    assert problem() is None


@pytest.mark.parametrize("bad", ["a\0b", "\ud800", "\udc00x", "\ud83d\ude00", "\0"])
def test_no_text_makes_an_entry_fail(bad: str) -> None:
    with database.atomic():
        audit.record(
            WORKSPACE_A,
            Actor(f"key {bad}", ip=bad, request_id=bad),
            action=bad,
            target=bad,
            before={bad: [bad]},
            after={"x": {"y": bad}},
            reason=bad,
        )
    assert "\0" not in repr(entry(1).__data__)
    assert entry(1).actor.startswith("key ")
    assert problem() is None


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_none_is_refused_whole(bad: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write(after={"x": bad})
    write()
    assert (audit.verify(WORKSPACE_A).head.seq, problem()) == (1, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@hypothesis(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(before=st.dictionaries(st.text(), JSON, max_size=4), reason=st.text(max_size=20))
def test_any_json_fits_its_hash_when_it_is_read_back(before: dict[str, Any], reason: str) -> None:
    write(before=before, reason=reason)
    newest = audit.list_page(WORKSPACE_A, limit=1).entries[0]
    assert audit.hash_of(newest) == bytes(newest.hash)


def test_numbers_that_jsonb_writes_otherwise_keep_the_chain() -> None:
    for value in (1.5e300, -1e17, 0.30000000000000004, 12345678901234567890.0):
        write(after={"x": value})
    assert problem() is None


def in_threads(count: int, job: Callable[[int], None]) -> None:
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            with db.connection():
                job(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_writers_at_once_make_one_chain_without_gaps() -> None:
    gate = threading.Barrier(15)

    def job(number: int) -> None:
        gate.wait(timeout=30)
        for _ in range(4):
            write(after={"writer": number})

    in_threads(15, job)
    verdict = audit.verify(WORKSPACE_A)
    assert (verdict.head.seq, verdict.problem) == (60, None)
    entries = audit.list_page(WORKSPACE_A, limit=60).entries
    assert [e.seq for e in entries] == list(range(60, 0, -1))
    assert sorted(e.after["writer"] for e in entries) == sorted(list(range(15)) * 4)


def test_two_workspaces_do_not_wait_for_each_other() -> None:
    def job(_: int) -> None:
        with database.atomic():
            database.execute_sql("SET LOCAL lock_timeout = '10ms'")
            audit.record(WORKSPACE_B, SYSTEM, action="a", target="t")

    for _ in range(2):  # the first entry of each, and a later one
        with database.atomic():
            audit.record(WORKSPACE_A, SYSTEM, action="a", target="t")
            in_threads(1, job)
    assert audit.verify(WORKSPACE_A).head.seq == audit.verify(WORKSPACE_B).head.seq == 2


def test_writers_of_one_workspace_wait_until_the_other_has_committed() -> None:
    def write_impatiently() -> None:
        with database.atomic():
            database.execute_sql("SET LOCAL lock_timeout = '10ms'")
            audit.record(WORKSPACE_A, SYSTEM, action="a", target="t")

    def job(_: int) -> None:
        with pytest.raises(peewee.OperationalError, match="lock timeout"):
            write_impatiently()

    with database.atomic():
        audit.record(WORKSPACE_A, SYSTEM, action="a", target="t")
        in_threads(1, job)
    assert (audit.verify(WORKSPACE_A).head.seq, problem()) == (1, None)


def test_an_empty_log_is_in_order() -> None:
    verdict = audit.verify(WORKSPACE_A)
    assert (verdict.head, verdict.problem) == (Head(0, audit.FIRST_HASH), None)


def test_an_unknown_workspace_has_no_log() -> None:
    for read in (audit.verify, audit.list_page):
        with pytest.raises(NotFound):
            read(99)


@pytest.mark.proves("explain-audit")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET reason = 'x'",
        "UPDATE audit_entries SET seq = seq + 10",
        "DELETE FROM audit_entries",
        "DELETE FROM audit_entries WHERE seq = 3",
        "TRUNCATE audit_entries",
        "TRUNCATE audit_entries, audit_heads",
        "TRUNCATE workspaces CASCADE",
    ],
)
def test_even_who_owns_the_tables_is_refused(settings: Settings, statement: str) -> None:
    """By the trigger, which fires for a superuser as well: no permission stands in the way here."""
    write(3)
    connection = psycopg2.connect(settings.postgres_dsn)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT tableowner = current_user FROM pg_tables WHERE tablename = 'audit_entries'"
            )
            assert cursor.fetchone() == (True,)
            with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="only ever added to"):
                cursor.execute(statement)
    finally:
        connection.close()
    assert (audit.verify(WORKSPACE_A).head.seq, problem()) == (3, None)


def test_a_log_goes_with_its_workspace() -> None:
    write()
    Workspace.delete().where(Workspace.id == WORKSPACE_A).execute()
    assert AuditEntry.select().count() == AuditHead.select().count() == 0


COPY = (
    "INSERT INTO audit_entries SELECT workspace_id, {seq}, at, actor, actor_ip, request_id, action,"
    " target, before, after, reason, previous_hash, hash FROM audit_entries WHERE seq = {of}"
)


@pytest.mark.proves("explain-audit")
@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("UPDATE audit_entries SET actor = 'x' WHERE seq = 3", "entry 3 .* was changed"),
        ("UPDATE audit_entries SET actor_ip = '192.0.2.9' WHERE seq = 3", "entry 3 .* changed"),
        ("UPDATE audit_entries SET request_id = 'x' WHERE seq = 3", "entry 3 .* was changed"),
        ("UPDATE audit_entries SET action = 'x' WHERE seq = 1", "entry 1 .* was changed"),
        ("UPDATE audit_entries SET target = 'x' WHERE seq = 5", "entry 5 .* was changed"),
        ("UPDATE audit_entries SET reason = 'x' WHERE seq = 3", "entry 3 .* was changed"),
        ("UPDATE audit_entries SET before = '{}' WHERE seq = 3", "entry 3 .* was changed"),
        ("UPDATE audit_entries SET after = '{\"n\": 2}' WHERE seq = 3", "entry 3 .* was changed"),
        ("UPDATE audit_entries SET at = at + interval '1 microsecond' WHERE seq = 3",
         "entry 3 .* was changed"),
        ("UPDATE audit_entries SET hash = sha256('x') WHERE seq = 3", "entry 3 .* was changed"),
        ("UPDATE audit_entries SET previous_hash = sha256('x') WHERE seq = 3",
         "entry 3 does not follow entry 2"),
        ("DELETE FROM audit_entries WHERE seq = 1", "entry 1 is missing"),
        ("DELETE FROM audit_entries WHERE seq = 3", "entry 3 is missing"),
        ("DELETE FROM audit_entries WHERE seq IN (3, 4)", "entry 3 is missing: the next one is 5"),
        ("DELETE FROM audit_entries WHERE seq = 5", "cut off after entry 4: there were 5 entries"),
        ("DELETE FROM audit_entries", "cut off after entry 0: there were 5 entries"),
        ("UPDATE audit_entries SET seq = CASE seq WHEN 2 THEN -3 ELSE -2 END WHERE seq IN (2, 3);"
         "UPDATE audit_entries SET seq = -seq WHERE seq < 0",
         "entry 2 does not follow entry 1: .* reordered"),
        (COPY.format(seq=6, of=5), "entry 6 lies behind the end"),
        (COPY.format(seq=0, of=1), "entry 1 is missing: the next one is 0"),
        ("UPDATE audit_heads SET seq = 6", "cut off after entry 5: there were 6 entries"),
        ("UPDATE audit_heads SET seq = 4",
         "entry 4, the newest, is not the one that the head names"),
        ("UPDATE audit_heads SET hash = sha256('x')", "entry 5, the newest, is not the one"),
        ("DELETE FROM audit_heads", "entry 1 lies behind the end"),
    ],
)  # fmt: skip
def test_tampering_is_found_at_its_first_place(statement: str, sentence: str) -> None:
    write(5, after={"n": 1})
    assert problem() is None
    tamper(statement)
    assert re.search(sentence, str(problem())), problem()


def test_a_changed_entry_with_a_hash_that_fits_is_found_by_the_next() -> None:
    write(3)
    forged = entry(2)
    forged.actor = "somebody else"
    forged_hash = audit.hash_of(forged).hex()
    tamper(
        f"UPDATE audit_entries SET actor = 'somebody else', hash = '\\x{forged_hash}' WHERE seq = 2"
    )
    assert "entry 3 does not follow entry 2" in str(problem())


def rewrite(count: int) -> None:
    """What a clever hand does: the whole log anew, in good order."""
    tamper("DELETE FROM audit_entries; DELETE FROM audit_heads")
    write(count, reason="rewritten")


def test_a_log_written_anew_shows_by_the_head_that_was_kept() -> None:
    write(3)
    kept = audit.verify(WORKSPACE_A).head
    write(2)
    assert problem(kept=kept) is None
    rewrite(5)
    assert problem() is None
    assert "entry 3 is not the one whose hash was kept" in str(problem(kept=kept))
    rewrite(2)
    assert "ends at entry 2, and there was an entry 3" in str(problem(kept=kept))


def test_a_head_is_read_back_as_it_is_written() -> None:
    write()
    head = audit.verify(WORKSPACE_A).head
    assert audit.parse_head(str(head)) == head
    for bad in ("", "1", "1:", ":", "1:ab", "x:" + "0" * 64, "-1:" + "0" * 64, "1:" + "Z" * 64):
        with pytest.raises(ValueError, match="hexadecimal"):
            audit.parse_head(bad)


def test_a_long_log_is_verified_in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "BATCH", 3)
    write(10)
    assert problem() is None
    tamper("DELETE FROM audit_entries WHERE seq = 8")
    assert "entry 8 is missing" in str(problem())


def test_what_is_written_while_it_is_verified_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    write(3)
    genuine = audit._stream

    def stream(workspace_id: int, *, upto: int) -> Any:
        write(2)
        yield from genuine(workspace_id, upto=upto)

    monkeypatch.setattr(audit, "_stream", stream)
    verdict = audit.verify(WORKSPACE_A)
    assert (verdict.head.seq, verdict.problem) == (3, None)


def test_pages_and_filters() -> None:
    write(3, action="a")
    write(2, action="b")
    page = audit.list_page(WORKSPACE_A, limit=2)
    assert ([e.seq for e in page.entries], page.older) == ([5, 4], 4)
    page = audit.list_page(WORKSPACE_A, limit=3, older_than=4)
    assert ([e.seq for e in page.entries], page.older) == ([3, 2, 1], None)

    def seqs(**fields: Any) -> list[int]:
        return [e.seq for e in audit.list_page(WORKSPACE_A, filter_=Filter(**fields)).entries]

    assert seqs(action="a") == [3, 2, 1]
    assert seqs(action="A") == []
    assert seqs(actor="maild", action="b") == [5, 4]
    assert seqs(actor="somebody") == []
    at = entry(3).at
    assert seqs(since=at) == [5, 4, 3]
    assert seqs(until=at) == [2, 1]
