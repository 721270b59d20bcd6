"""Making a workspace, and giving it another name."""

import pytest

from maild.db import database as db
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import AuditEntry, Member, Workspace
from maild.services import members, workspace_changes, workspaces
from maild.services.workspaces import MAILDS_OWN_ID
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import at_once
from tests.services.peopling import BY, MakePerson, actions, entries, roles_in, short

pytestmark = pytest.mark.usefixtures("database")

BAD_NAMES = [
    "",
    " ",
    "\t\n",
    "a\nb",
    "a\0b",
    "\ud800",
    "x" * 65,
    "a\u202eb",
    "a\u2028b",
    "\x1b[31m",
]


def rename(name, *, workspace_id=WORKSPACE_A):
    return workspace_changes.rename(workspace_id, name, by=BY)


def test_a_workspace_is_made_without_people():
    row = workspace_changes.create("  Bakery ", by=BY)
    assert row.id > WORKSPACE_B
    assert workspaces.get(row.id).name == "Bakery"
    assert roles_in(row.id) == {}
    [entry] = entries(row.id)
    assert (entry.action, entry.target, entry.actor) == ("workspace.created", "Bakery", BY.name)


def test_who_makes_one_is_its_admin(make_person: MakePerson):
    ann = make_person("ann@example.org", "viewer")
    row = workspace_changes.create_for(ann.id, "Bakery", by=BY)
    assert roles_in(row.id) == {"ann@example.org": "admin"}
    assert roles_in(WORKSPACE_A) == {"ann@example.org": "viewer"}


def test_two_may_have_the_same_name():
    assert len({workspace_changes.create("Bakery", by=BY).id for _ in range(2)}) == 2


def test_who_belongs_to_too_many_makes_no_other(make_person: MakePerson, monkeypatch):
    ann = make_person("ann@example.org")
    monkeypatch.setattr(members, "WORKSPACES_MAX", 1)
    before = Workspace.select().count()
    with pytest.raises(Conflict):
        workspace_changes.create_for(ann.id, "Bakery", by=BY)
    assert Workspace.select().count() == before
    assert AuditEntry.select().count() == 0
    assert Member.select().count() == 1


@pytest.mark.parametrize("name", BAD_NAMES, ids=short)
def test_a_bad_name_is_refused(name):
    before = Workspace.select().count()
    for change in (rename, lambda name: workspace_changes.create(name, by=BY)):
        with pytest.raises(InvalidFields) as caught:
            change(name)
        assert [error.field for error in caught.value.errors] == ["name"]
    assert Workspace.select().count() == before
    assert workspaces.get(WORKSPACE_A).name == "Default"
    assert AuditEntry.select().count() == 0


@pytest.mark.parametrize("name", ["x" * 64, "Müller & Söhne <b>", "パン屋", "'; --", "🥐"])
def test_another_name_is_given(name):
    assert rename(f" {name} ").name == name
    assert workspaces.get(WORKSPACE_A).name == name
    assert workspaces.get(WORKSPACE_B).name == "Other"
    [entry] = entries(WORKSPACE_A)
    assert (entry.action, entry.target) == ("workspace.renamed", name)
    assert (entry.before, entry.after) == ({"name": "Default"}, {"name": name})


def test_the_same_name_is_no_change():
    rename(" Default ")
    assert actions(WORKSPACE_A) == []


def test_of_two_new_names_at_once_each_is_told_with_the_one_before():
    at_once(lambda: rename("One"), lambda: rename("Two"))
    first, second = entries(WORKSPACE_A)
    assert first.before == {"name": "Default"}
    assert second.before == first.after
    assert second.after == {"name": workspaces.get(WORKSPACE_A).name}


def test_an_unknown_workspace_is_not_there():
    for ask in (workspaces.get, workspaces.require, lambda id_: rename("x", workspace_id=id_)):
        with pytest.raises(NotFound):
            ask(99)
    with pytest.raises(NotFound), db.atomic():
        workspaces.take_turns(99)


def test_mailds_own_workspace_is_there_from_the_start():
    assert workspaces.get(MAILDS_OWN_ID).name == "maild"
