"""Taking back that something was removed, of suppressions and of unsubscribes; and several people
who do the same at once.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maild import db
from maild.domain.actor import Actor
from maild.domain.states import Status
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import AuditEntry, Message, Suppression, Unsubscribe
from maild.services import (
    held_back,
    suppression_batches,
    suppressions,
    unsubscribes,
)
from tests.conftest import WORKSPACE_A, WORKSPACE_B

pytestmark = pytest.mark.usefixtures("database")

ADA = Actor("ada@a.example")
ANN = "ann@example.org"


def suppress(**fields: Any) -> Suppression:
    values = {"reason": "asked", "source": "console", "by": ADA, **fields}
    return suppressions.add(WORKSPACE_A, ANN, **values)


def remove(row: Suppression) -> None:
    suppressions.remove(WORKSPACE_A, row.email, reason="back", suppression_id=row.id, by=ADA)


def at_once(count: int, action: Callable[[], object]) -> list[str]:
    """What came of it when so many do it at the same time: `done`, or the kind of the error."""

    def act(_: int) -> str:
        try:
            with db.connection():
                action()
        except (Conflict, NotFound) as error:
            return type(error).__name__
        return "done"

    with ThreadPoolExecutor(count) as pool:
        return sorted(pool.map(act, range(count)))


def test_of_many_who_remove_one_at_once_one_does() -> None:
    row = suppress()
    assert at_once(4, lambda: remove(row)) == ["NotFound"] * 3 + ["done"]
    assert AuditEntry.select().where(AuditEntry.action == "suppression.removed").count() == 1


def test_of_many_who_restore_one_at_once_one_does() -> None:
    row = suppress()
    remove(row)
    restore = lambda: suppressions.restore(WORKSPACE_A, row.id, by=ADA)  # noqa: E731
    assert at_once(4, restore) == ["Conflict"] * 3 + ["done"]
    again = suppressions.get(WORKSPACE_A, row.id)
    assert (again.removed_at, again.removed_by, again.removal_reason) == (None, None, None)
    assert (again.reason, again.created_at) == (row.reason, row.created_at)
    assert AuditEntry.select().where(AuditEntry.action == "suppression.restored").count() == 1


def test_of_many_who_bring_an_unsubscribe_back_at_once_one_does() -> None:
    row = unsubscribes.add(WORKSPACE_A, ANN, source="api", by=ADA)
    unsubscribes.remove(WORKSPACE_A, ANN, reason="asked", by=ADA)
    restore = lambda: unsubscribes.restore(WORKSPACE_A, row.id, by=ADA)  # noqa: E731
    assert at_once(4, restore) == ["Conflict"] * 3 + ["done"]
    assert Unsubscribe.get().removed_at is None


def test_what_would_be_over_by_now_is_not_restored() -> None:
    row = suppress(expires_at=datetime.now(UTC) + timedelta(hours=1))
    remove(row)
    Suppression.update(
        removed_at=datetime.now(UTC) - timedelta(minutes=2),
        expires_at=datetime.now(UTC) - timedelta(minutes=1),
    ).execute()
    with pytest.raises(Conflict):
        suppressions.restore(WORKSPACE_A, row.id, by=ADA)


def test_nothing_of_another_workspace_is_restored_or_removed() -> None:
    row = suppress()
    remove(row)
    left = unsubscribes.add(WORKSPACE_A, ANN, source="api", by=ADA)
    unsubscribes.remove(WORKSPACE_A, ANN, reason="asked", by=ADA)
    for call in (
        lambda: suppressions.restore(WORKSPACE_B, row.id, by=ADA),
        lambda: unsubscribes.restore(WORKSPACE_B, left.id, by=ADA),
        lambda: unsubscribes.get(WORKSPACE_B, left.id),
    ):
        with pytest.raises(NotFound):
            call()


def test_of_several_addresses_each_is_told_of() -> None:
    suppress()
    outcomes = suppression_batches.add_each(
        WORKSPACE_A,
        [ANN, "nonsense", "bob@example.org", "BOB@example.org"],
        reason="asked",
        source="console",
        by=ADA,
    )
    assert [(one.is_new, one.problem is None) for one in outcomes] == [
        (False, True), (False, False), (True, True), (False, True),
    ]  # fmt: skip
    assert Suppression.select().count() == 2


def test_what_is_wrong_with_all_of_them_stops_all_of_them() -> None:
    for fields in ({"reason": ""}, {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}):
        with pytest.raises(InvalidFields):
            suppression_batches.add_each(
                WORKSPACE_A, [ANN], **{"reason": "x", "source": "console", "by": ADA, **fields}
            )
    assert Suppression.select().count() == 0


def test_what_was_held_back_is_found_counted_and_copied_once(
    accept: Callable[..., Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_back, "COUNT_MAX", 2)
    row, other = suppress(), accept(to_email="bob@example.org")
    messages = [accept(to_email=ANN) for _ in range(3)]
    Message.update(status=Status.SUPPRESSED, suppression=row.id, next_attempt_at=None).where(
        Message.id << [message.id for message in messages]
    ).execute()
    assert held_back.count(row) == held_back.Count(2, has_more=True)
    page = held_back.list_page(row, limit=2)
    rest = held_back.list_page(row, limit=2, older_than=page.older)
    assert [one.id for one in page.messages + rest.messages] == [
        message.id for message in reversed(messages)
    ]
    remove(row)
    ids = [messages[0].id, other.id]
    [outcome] = held_back.resend(row, ids, reason="x", by=ADA)
    assert outcome.new_message is not None
    [again] = held_back.resend(row, ids, reason="x", by=ADA)
    assert "resent already" in str(again.error)
    assert held_back.list_page(row).copies == {messages[0].id: str(outcome.new_message.id)}
