"""Importing suppressions: every line is accounted for, and nothing is ever weakened."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maild.domain.actor import Actor
from maild.domain.states import Stream
from maild.domain.suppression import SuppressionClass
from maild.errors import InvalidFields, NotFound
from maild.models import AuditEntry, Suppression
from maild.services import suppression_imports, suppressions
from maild.services.suppression_imports import Imported
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import ago, at_once, is_suppressed

pytestmark = pytest.mark.usefixtures("database")

PERSON = Actor("admin key")


def run(text: str, **options: Any) -> Imported:
    return suppression_imports.import_csv(WORKSPACE_A, text, by=PERSON, **options)


def counts(result: Imported) -> tuple[int, ...]:
    """Rows, imported, existing, extended, duplicate, rejected."""
    assert result.row_count == (
        result.imported_count
        + result.existing_count
        + result.duplicate_count
        + result.rejected_count
    )
    return tuple(result.counts().values())


def kept() -> list[dict[str, Any]]:
    return list(Suppression.select().order_by(Suppression.id).dicts())


def later(**spans: float) -> datetime:
    return datetime.now(UTC) + timedelta(**spans)


def add(email: str, **fields: Any) -> Suppression:
    return suppressions.add(WORKSPACE_A, email, reason="before", source="test", **fields)


MIXED = """email,reason,class,stream,expires_at
new@example.org,they asked,complaint,,
NEW@example.org,once more,,,
new@example.org,only this,,marketing,
here@example.org,from the file,,,
nobody,,,,
a@example.org,,rubbish,,
b@example.org,,,fax,
c@example.org,,,,2020-01-01T00:00:00Z
,no address,,,
"""


@pytest.mark.proves("I13")
def test_every_line_is_accounted_for() -> None:
    add("here@example.org", by=PERSON)
    result = run(MIXED)
    assert counts(result) == (9, 2, 1, 0, 1, 5)
    assert [(bad.number, bad.error.partition(":")[0]) for bad in result.rejections] == [
        (6, "email"), (7, "class"), (8, "stream"), (9, "expires_at"), (10, "email"),
    ]  # fmt: skip
    here, *imported = kept()
    assert here["reason"] == "before"
    by_stream = {row["stream"]: row for row in imported}
    assert by_stream[None]["email"] == "new@example.org"
    assert by_stream[None]["class_"] is SuppressionClass.COMPLAINT
    assert by_stream[None]["reason"] == "they asked"
    assert by_stream[Stream.MARKETING]["class_"] is SuppressionClass.MANUAL
    assert {(row["source"], row["created_by"]) for row in imported} == {("import", "admin key")}


def test_a_dry_run_tells_the_same_and_changes_nothing() -> None:
    add("here@example.org", expires_at=later(days=1))
    over = add("new@example.org", expires_at=later(days=1))
    Suppression.update(expires_at=ago(days=1)).where(Suppression.id == over.id).execute()
    before = kept()
    foreseen = run(MIXED, dry_run=True)
    assert kept() == before
    assert AuditEntry.select().count() == 0
    assert foreseen == run(MIXED)
    assert counts(foreseen) == (9, 2, 1, 1, 1, 5)


@pytest.mark.proves("I13")
def test_the_same_file_again_imports_nothing() -> None:
    run(MIXED)
    before = kept()
    assert counts(run(MIXED)) == (9, 0, 3, 0, 1, 5)
    assert kept() == before


@pytest.mark.proves("I7", "I13")
def test_it_weakens_nothing() -> None:
    for_good, passing = add("ann@example.org"), add("bob@example.org", expires_at=later(days=9))
    end = later(days=1).isoformat()
    result = run(f"email,expires_at,class\nann@example.org,{end},\nbob@example.org,{end},complaint")
    assert counts(result) == (2, 0, 2, 0, 0, 0)
    rows = kept()
    assert rows[0]["expires_at"] is None
    assert rows[1]["expires_at"] == passing.expires_at
    assert [row["id"] for row in rows] == [for_good.id, passing.id]
    assert [row["class_"] for row in rows] == [SuppressionClass.MANUAL] * 2


def test_what_was_to_end_sooner_lasts_longer() -> None:
    row = add("ann@example.org", expires_at=later(days=1), by=PERSON)
    assert counts(run("ann@example.org")) == (1, 0, 1, 1, 0, 0)
    [now] = kept()
    assert (now["id"], now["expires_at"], now["reason"]) == (row.id, None, "before")


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_lines_the_later_end_holds(order: int) -> None:
    lines = ["ann@example.org,2090-01-01T00:00:00Z", "ANN@example.org,"][::order]
    assert counts(run("\n".join(["email,expires_at", *lines]))) == (2, 1, 0, 0, 1, 0)
    assert kept()[0]["expires_at"] is None


def test_what_has_expired_is_followed_by_a_new_one() -> None:
    old = add("ann@example.org", expires_at=later(days=1))
    Suppression.update(expires_at=ago(days=1)).where(Suppression.id == old.id).execute()
    assert counts(run("ann@example.org")) == (1, 1, 0, 0, 0, 0)
    assert [row["reason"] for row in kept()] == ["before", "imported"]
    assert is_suppressed(WORKSPACE_A, "ann@example.org", Stream.MARKETING)


def test_what_a_person_removed_may_be_imported_again() -> None:
    add("ann@example.org")
    suppressions.remove(WORKSPACE_A, "ann@example.org", reason="r", by=PERSON)
    assert counts(run("ann@example.org")) == (1, 1, 0, 0, 0, 0)


def test_an_address_is_one_in_all_its_forms() -> None:
    add("jörg@xn--mller-kva.example")
    text = "JO\u0308RG@müller.example\nДМИТРИЙ@example.org\nдмитрий@EXAMPLE.org\n"
    assert counts(run(text)) == (3, 1, 1, 0, 1, 0)


def test_other_workspaces_have_nothing_to_do_with_it() -> None:
    suppressions.add(WORKSPACE_B, "ann@example.org", reason="r", source="test")
    assert counts(run("ann@example.org")) == (1, 1, 0, 0, 0, 0)
    with pytest.raises(NotFound):
        suppression_imports.import_csv(999, "ann@example.org", by=PERSON)


def test_lines_without_them_have_the_given_reason_and_class() -> None:
    text = "email,reason,class\nann@example.org,mine,manual\nbob@example.org,,\n"
    run(text, default_reason="from the old system", class_=SuppressionClass.HARD_BOUNCE)
    assert [(row["reason"], row["class_"].value) for row in kept()] == [
        ("mine", "manual"),
        ("from the old system", "hard_bounce"),
    ]


@pytest.mark.parametrize("reason", ["550 5.1.1\r\n no such user", "x" * 2000, "a\0b", "\0"])
def test_no_reason_keeps_an_address_from_being_suppressed(reason: str) -> None:
    assert counts(run(f'email,reason\nann@example.org,"{reason}"\n')) == (1, 1, 0, 0, 0, 0)
    [row] = kept()
    assert 0 < len(row["reason"]) <= suppressions.REASON_MAX_CHARS
    assert "\n" not in row["reason"]


@pytest.mark.proves("bad-csv")
@pytest.mark.parametrize(
    ("text", "options", "field"),
    [
        ("", {}, "csv"),
        ("name\nann", {}, "csv"),
        ('ann@example.org\n"bob@example.org\ncid@example.org', {}, "csv"),
        ("ann@example.org", {"default_reason": " "}, "default_reason"),
        ("ann@example.org", {"default_reason": "a\nb"}, "default_reason"),
        ("ann@example.org", {"default_reason": "x" * 501}, "default_reason"),
    ],
)
def test_what_makes_no_sense_is_refused_whole(
    text: str, options: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidFields) as raised:
        run(text, **options)
    assert [error.field for error in raised.value.errors] == [field]
    assert kept() == []


def test_so_is_a_file_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppression_imports, "ROWS_MAX", 3)
    assert run("a@x.org\nb@x.org\nc@x.org\n").imported_count == 3
    with pytest.raises(InvalidFields, match="more than 3 lines"):
        run("d@x.org\ne@x.org\nf@x.org\ng@x.org\n")
    assert len(kept()) == 3


def test_the_bad_lines_told_are_bounded_and_all_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(suppression_imports, "REJECTIONS_SHOWN", 2)
    result = run("email\n" + "nobody\n" * 5)
    assert (result.rejected_count, [bad.number for bad in result.rejections]) == (5, [2, 3])


def test_a_file_with_nothing_in_it_is_no_mistake() -> None:
    assert counts(run("email,reason\n\n")) == (0, 0, 0, 0, 0, 0)


def test_it_is_audited_with_its_counts() -> None:
    run(MIXED, default_reason="from the old system")
    [entry] = AuditEntry.select()
    assert (entry.action, entry.actor) == ("suppressions.imported", "admin key")
    assert (entry.target, entry.reason) == ("suppressions", "from the old system")
    assert entry.after == {
        "rows": 9, "imported": 3, "existing": 0, "extended": 0, "duplicate": 1, "rejected": 5,
    }  # fmt: skip


def test_the_same_file_by_several_at_once_gives_the_same_set() -> None:
    lines = [f"user{n}@example.org" for n in range(300)]
    results: list[Imported] = []
    at_once(
        lambda: results.append(run("\n".join(lines))),
        lambda: results.append(run("\n".join(lines[::-1]))),
        lambda: results.append(run("\n".join(lines))),
    )
    assert len(kept()) == 300
    assert sum(result.imported_count for result in results) == 300
    assert all(counts(result)[0] == 300 for result in results)
