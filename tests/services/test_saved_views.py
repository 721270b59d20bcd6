"""Saved views of the log."""

from datetime import timedelta

import pytest

from maild import clock
from maild.domain.actor import Actor
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import AuditEntry, SavedView
from maild.services import saved_views

ANN, OLAF = Actor("ann@a.example"), Actor("olaf@a.example")

pytestmark = pytest.mark.usefixtures("database")


def save(name="Failures", query="status=failed", *, workspace_id=1, by=ANN, **more):
    return saved_views.save(workspace_id, name=name, query=query, by=by, **more)[0]


def names(workspace_id=1):
    return [view.name for view in saved_views.list_all(workspace_id)]


def test_it_keeps_a_filter_under_a_name_with_who_made_it():
    view = save("  Carl's   trouble ")
    assert (view.name, view.query, view.created_by) == (
        "Carl's trouble", "status=failed", "ann@a.example",
    )  # fmt: skip
    entry = AuditEntry.get()
    assert (entry.action, entry.target) == ("saved_view.saved", "view Carl's trouble")
    assert entry.after == {"filter": "status=failed"}


def test_they_are_listed_by_name_and_of_one_workspace():
    for name in ("beta", "Alpha", "gamma"):
        save(name)
    save("other", workspace_id=2)
    assert names() == ["Alpha", "beta", "gamma"]
    assert names(2) == ["other"]


def test_a_name_is_taken_once_whatever_its_case():
    save("Failures")
    with pytest.raises(Conflict, match=r"saved by ann@a\.example"):
        save("FAILURES", by=OLAF)
    assert save("failures", workspace_id=2)


def test_it_is_replaced_when_that_is_said_and_tells_what_was_there():
    old = save("Failures")
    view, before = saved_views.save(
        1, name="failures", query="status=unknown", replace=True, by=OLAF
    )
    assert (view.id, view.query, before) == (old.id, "status=unknown", "status=failed")
    assert names() == ["failures"]
    entry = AuditEntry.get(AuditEntry.seq == 2)
    assert (entry.actor, entry.action) == ("olaf@a.example", "saved_view.changed")


def test_it_is_renamed_but_not_to_a_name_that_is_taken():
    view = save("One")
    save("Two")
    assert saved_views.rename(1, view.id, name="one!", by=ANN).name == "one!"
    with pytest.raises(Conflict):
        saved_views.rename(1, view.id, name="two", by=ANN)
    assert names() == ["one!", "Two"]


def test_it_is_removed_and_restored():
    view = save()
    saved_views.remove(1, view.id, by=ANN)
    assert names() == []
    with pytest.raises(NotFound):
        saved_views.remove(1, view.id, by=ANN)
    saved_views.restore(1, view.id, by=OLAF)
    assert names() == ["Failures"]
    assert saved_views.get(1, view.id).created_by == "ann@a.example"
    actions = [entry.action for entry in AuditEntry.select().order_by(AuditEntry.seq)]
    assert actions == ["saved_view.saved", "saved_view.removed", "saved_view.restored"]


def test_it_is_not_restored_under_a_name_that_another_has_by_now():
    view = save()
    saved_views.remove(1, view.id, by=ANN)
    save()
    with pytest.raises(Conflict, match="another view called"):
        saved_views.restore(1, view.id, by=ANN)


def test_it_is_not_restored_after_a_while_and_then_goes_for_good():
    view, other = save("Old"), save("Other")
    saved_views.remove(1, view.id, by=ANN)
    long_ago = clock.now() - timedelta(minutes=saved_views.RESTORE_MINUTES + 1)
    SavedView.update(removed_at=long_ago).where(SavedView.id == view.id).execute()
    with pytest.raises(Conflict, match="too long ago"):
        saved_views.restore(1, view.id, by=ANN)
    saved_views.remove(1, other.id, by=ANN)
    assert SavedView.get_or_none(SavedView.id == view.id) is None


@pytest.mark.parametrize(
    ("name", "query", "field"),
    [
        ("", "status=failed", "name"),
        ("  ", "status=failed", "name"),
        ("n" * 61, "status=failed", "name"),
        ("a\0b", "status=failed", "name"),
        ("n", "q=" + "x" * 4_000, "query"),
    ],
)
def test_it_refuses_what_cannot_be_kept(name, query, field):
    with pytest.raises(InvalidFields) as caught:
        save(name, query)
    assert {error.field for error in caught.value.errors} == {field}
    assert names() == []


def test_there_are_so_many_at_most(monkeypatch):
    monkeypatch.setattr(saved_views, "VIEWS_MAX", 2)
    save("One")
    save("Two")
    with pytest.raises(Conflict, match="2 views already"):
        save("Three")
    assert save("two", replace=True)


def test_another_workspaces_view_is_not_there():
    view = save()
    for act in (saved_views.get, saved_views.remove, saved_views.restore):
        with pytest.raises(NotFound):
            act(2, view.id, **({} if act is saved_views.get else {"by": ANN}))
    with pytest.raises(NotFound):
        saved_views.rename(2, view.id, name="Mine", by=ANN)
    assert names() == ["Failures"]


def test_what_is_there_or_is_the_same_is_left_alone_and_not_audited():
    view = save("Failures")
    assert saved_views.restore(1, view.id, by=ANN).removed_at is None
    same, _ = saved_views.save(1, name="Failures", query="status=failed", replace=True, by=OLAF)
    assert same.id == view.id
    assert AuditEntry.select().count() == 1
    with pytest.raises(NotFound):
        saved_views.restore(1, view.id + 1, by=ANN)
