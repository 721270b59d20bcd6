"""Lists of suppressions: in pages, by what they are, and what they have stopped."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maild import db
from maild.domain.actor import Actor
from maild.domain.states import Status, Stream
from maild.domain.suppression import SuppressionClass, SuppressionState
from maild.errors import InvalidFields, NotFound
from maild.models import Message, Suppression
from maild.services import suppression_lists, suppressions
from maild.services.suppression_lists import Filter
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import ago

pytestmark = pytest.mark.usefixtures("database")

PERSON = Actor("admin key")
HOUR = timedelta(hours=1)
IN_FORCE, EXPIRED, REMOVED = SuppressionState


def add(email: str = "ann@example.org", **fields: Any) -> Suppression:
    values = {"reason": "r", "source": "api", **fields}
    return suppressions.add(WORKSPACE_A, email, **values)


def found(**asked: Any) -> list[str]:
    rows = suppression_lists.list_page(WORKSPACE_A, filter_=Filter(**asked)).suppressions
    return [row.email.partition("@")[0] for row in rows]


def test_pages_follow_each_other_newest_first() -> None:
    ids = [add(f"user{n}@example.org").id for n in range(5)]
    suppressions.add(WORKSPACE_B, "b@example.org", reason="r", source="api")
    seen, older = [], None
    for size in (2, 2, 1):
        page = suppression_lists.list_page(WORKSPACE_A, filter_=Filter(), limit=2, older_than=older)
        assert len(page.suppressions) == size
        seen += [row.id for row in page.suppressions]
        older = page.older
    assert older is None
    assert seen == ids[::-1]


@pytest.fixture
def life(database: None) -> None:
    """One suppression in each state, of one address, and what followed after it had expired."""
    for name in ("over", "followed", "removed", "lasting", "passing"):
        end = datetime.now(UTC) + HOUR if name in {"over", "followed", "passing"} else None
        row = add(f"{name}@example.org", expires_at=end)
        if name in {"over", "followed"}:
            Suppression.update(expires_at=ago(hours=1)).where(Suppression.id == row.id).execute()
    add("followed@example.org")
    suppressions.remove(WORKSPACE_A, "removed@example.org", reason="r", by=PERSON)


@pytest.mark.usefixtures("life")
def test_each_is_in_one_state() -> None:
    assert found() == found(state=IN_FORCE) == ["followed", "passing", "lasting"]
    assert found(state=EXPIRED) == ["followed", "over"]
    assert found(state=REMOVED) == ["removed"]
    assert len(found(state=None)) == 6
    for state in SuppressionState:
        rows = suppression_lists.list_page(WORKSPACE_A, filter_=Filter(state=state)).suppressions
        assert {suppression_lists.state_of(row) for row in rows} == {state}


@pytest.mark.usefixtures("life")
def test_what_was_removed_before_its_end_stays_removed_after_it() -> None:
    suppressions.remove(WORKSPACE_A, "passing@example.org", reason="r", by=PERSON)
    Suppression.update(removed_at=ago(hours=2), expires_at=ago(hours=1)).where(
        Suppression.email == "passing@example.org"
    ).execute()
    assert found(state=REMOVED) == ["passing", "removed"]
    assert "passing" not in found(state=EXPIRED)


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"email": "JÖRG@xn--mller-kva.example"}, ["jörg"]),
        ({"email": "jo\u0308rg@müller.example"}, ["jörg"]),
        ({"email": "jörg@example.org"}, []),
        ({"source": "import"}, ["bob"]),
        ({"source": "imp"}, []),
        ({"class_": SuppressionClass.COMPLAINT}, ["bob"]),
        ({"stream": Stream.MARKETING}, ["cid"]),
        ({"is_for_all_streams": True}, ["bob", "jörg"]),
        ({"source": "import", "class_": SuppressionClass.MANUAL}, []),
    ],
)
def test_they_are_found_by_what_they_are(asked: dict[str, Any], names: list[str]) -> None:
    add("jörg@müller.example")
    add("bob@example.org", source="import", class_=SuppressionClass.COMPLAINT)
    add("cid@example.org", stream=Stream.MARKETING)
    assert found(**asked) == names


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(InvalidFields):
        found(email="ann")


def test_an_unknown_workspace_is_no_empty_one() -> None:
    with pytest.raises(NotFound):
        suppression_lists.list_page(999, filter_=Filter())
    with pytest.raises(NotFound):
        suppression_lists.export(999, filter_=Filter())


def test_what_one_has_stopped_comes_in_pages(accept: Callable[..., Message]) -> None:
    row, other = add(), add(stream=Stream.MARKETING)
    messages = [accept() for _ in range(4)]
    for message in messages:
        by = other if message is messages[0] else row
        Message.update(status=Status.SUPPRESSED, next_attempt_at=None, suppression=by.id).where(
            Message.id == message.id
        ).execute()
    first = suppression_lists.list_blocked(WORKSPACE_A, row.id, limit=2)
    assert [m.id for m in first.messages] == [messages[3].id, messages[2].id]
    second = suppression_lists.list_blocked(WORKSPACE_A, row.id, limit=2, older_than=first.older)
    assert ([m.id for m in second.messages], second.older) == ([messages[1].id], None)
    assert second.suppression.id == row.id
    with pytest.raises(NotFound):
        suppression_lists.list_blocked(WORKSPACE_B, row.id)


def test_an_export_has_all_and_keeps_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppression_lists, "EXPORT_BATCH", 2)
    ids = [add(f"user{n}@example.org").id for n in range(5)]
    suppressions.add(WORKSPACE_B, "b@example.org", reason="r", source="api")
    db.database.close()
    rows = suppression_lists.export(WORKSPACE_A, filter_=Filter())
    seen = []
    for row in rows:
        assert db.database.is_closed()
        seen.append(row.id)
    assert seen == ids
    db.database.connect()


def test_what_keeps_mail_of_a_stream_from_an_address_is_found() -> None:
    def find(email: str = "ann@example.org") -> Suppression | None:
        return suppression_lists.find_in_force(WORKSPACE_A, email, stream=Stream.MARKETING)

    add(stream=Stream.TRANSACTIONAL)
    suppressions.add(WORKSPACE_B, "ann@example.org", reason="r", source="api")
    assert find() is None
    of_stream = add(stream=Stream.MARKETING)
    assert find("Ann@Example.org") == of_stream
    of_all = add()
    assert find() == of_all
    suppressions.remove(WORKSPACE_A, "ann@example.org", reason="r", by=PERSON)
    assert find() == of_stream
