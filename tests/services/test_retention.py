"""Choosing for how long what is kept: what would go is told, and nothing is chosen by accident."""

import itertools
from collections.abc import Callable

import pytest

from maild.db import database as db
from maild.domain.actor import Actor
from maild.domain.retention import Choice, Keep, Subject
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import AuditEntry, Message, RetentionLeftover
from maild.services import audit, retention
from maild.services.retention import Going
from tests.conftest import WORKSPACE_A, WORKSPACE_B

Accept = Callable[..., Message]
ANN = Actor("ann@example.com")

pytestmark = pytest.mark.usefixtures("database")


def age_all(days: int) -> None:
    db.execute_sql("UPDATE messages SET created_at = now() - %s * interval '1 day'", (days,))


def going(choice: Choice) -> dict[Subject, Going]:
    return {one.subject: one for one in retention.preview(WORKSPACE_A, choice)}


def test_a_workspace_begins_with_what_the_instance_keeps() -> None:
    found = retention.get(WORKSPACE_A)
    assert (found.choice, found.version) == (Choice(), 0)
    assert found.keep == found.default == Keep(30, 90, 30, 400)


def test_a_choice_is_kept_and_told_in_the_audit_log() -> None:
    found = retention.save(WORKSPACE_A, Choice(bodies=7, messages=60), version=0, by=ANN)
    assert found.keep == Keep(7, 60, 30, 400)
    assert (found.version, found.updated_by) == (1, ANN.name)
    retention.save(WORKSPACE_A, Choice(), version=1, by=ANN)
    assert retention.get_keep(WORKSPACE_A) == Keep(30, 90, 30, 400)
    assert retention.get_keep(WORKSPACE_B) == Keep(30, 90, 30, 400)
    last, first = audit.list_page(WORKSPACE_A).entries
    assert first.action == last.action == "retention.changed"
    assert first.after == {
        "bodies_days": 7, "messages_days": 60, "webhooks_days": None, "audit_days": None,
    }  # fmt: skip
    assert last.before == first.after


def test_the_same_choice_once_more_is_no_change() -> None:
    retention.save(WORKSPACE_A, Choice(bodies=7), version=0, by=ANN)
    assert retention.save(WORKSPACE_A, Choice(bodies=7), version=1, by=ANN).version == 1
    assert AuditEntry.select().count() == 1


def test_of_two_at_once_the_second_is_told() -> None:
    retention.save(WORKSPACE_A, Choice(bodies=7), version=0, by=ANN)
    for version in (0, 2, -1):
        with pytest.raises(Conflict, match="Somebody has changed this"):
            retention.save(WORKSPACE_A, Choice(bodies=1), version=version, by=ANN)
    assert retention.get(WORKSPACE_A).choice == Choice(bodies=7)


def test_what_is_out_of_bounds_changes_nothing() -> None:
    with pytest.raises(InvalidFields) as caught:
        retention.save(WORKSPACE_A, Choice(audit=3), version=0, by=ANN)
    assert [error.field for error in caught.value.errors] == ["audit_days"]
    assert retention.get(WORKSPACE_A).version == 0


def test_a_workspace_that_is_not_there_is_told() -> None:
    for ask in (
        lambda: retention.get(77),
        lambda: retention.preview(77, Choice()),
        lambda: retention.save(77, Choice(bodies=7), version=0, by=ANN),
    ):
        with pytest.raises(NotFound):
            ask()


def test_what_would_go_is_counted_before(accept: Accept, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        accept()
    accept(workspace_id=WORKSPACE_B)
    with db.atomic():
        audit.record(WORKSPACE_A, ANN, action="a", target="t")
    age_all(20)
    assert {one.count for one in going(Choice()).values()} == {0}
    found = going(Choice(bodies=10))
    assert (found[Subject.BODIES].count, found[Subject.MESSAGES].count) == (3, 0)
    found = going(Choice(bodies=10, messages=10, webhooks=10))
    assert (found[Subject.BODIES].count, found[Subject.MESSAGES].count) == (3, 3)
    monkeypatch.setattr(retention, "COUNTED_MAX", 2)
    found = going(Choice(bodies=10))
    assert (found[Subject.BODIES].count, found[Subject.BODIES].is_more) == (2, True)
    assert retention.get(WORKSPACE_A).version == 0


def test_what_waits_for_another_look_gets_it_once_less_is_kept() -> None:
    for workspace_id, rule in itertools.product((WORKSPACE_A, WORKSPACE_B), ("bodies",)):
        RetentionLeftover.insert(
            workspace=workspace_id, rule=rule, ref="x", look_at="infinity"
        ).execute()
    retention.save(WORKSPACE_A, Choice(bodies=7), version=0, by=ANN)
    [[is_due]] = db.execute_sql(
        "SELECT look_at <= now() FROM retention_leftovers WHERE workspace_id = %s", (WORKSPACE_A,)
    ).fetchall()
    assert is_due
    [[is_due]] = db.execute_sql(
        "SELECT look_at <= now() FROM retention_leftovers WHERE workspace_id = %s", (WORKSPACE_B,)
    ).fetchall()
    assert not is_due
