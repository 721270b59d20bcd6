"""Members: who belongs to a workspace, in which role; and that an admin is always left."""

import peewee
import pytest

from maild.db import database as db
from maild.domain.role import Role
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import Invitation, Member, Message, Person, Workspace
from maild.services import (
    interventions,
    mailed_links,
    members,
    message_log,
    messages,
    resending,
    sessions,
)
from maild.services.workspaces import MAILDS_OWN_ID
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import ago
from tests.services.peopling import (
    BY,
    MakePerson,
    actions,
    enter,
    entries,
    fill,
    race,
    roles_in,
)

ANN, BEN, EVE = "ann@example.org", "ben@example.org", "eve@example.org"


@pytest.fixture
def ann(make_person: MakePerson) -> Person:
    """The only admin of workspace A."""
    return make_person(ANN)


@pytest.fixture
def ben(make_person: MakePerson) -> Person:
    """An operator of it."""
    return make_person(BEN, Role.OPERATOR)


@pytest.fixture
def eve(make_person: MakePerson) -> Person:
    """An admin of workspace B."""
    return make_person(EVE, workspace_id=WORKSPACE_B)


def change_role(person, role, *, workspace_id=WORKSPACE_A):
    return members.change_role(workspace_id, person_id=person.id, role=role, by=BY)


def remove(person, *, workspace_id=WORKSPACE_A):
    return members.remove(workspace_id, person_id=person.id, by=BY)


def leave(person, *, workspace_id=WORKSPACE_A):
    return members.leave(workspace_id, person_id=person.id, by=BY)


def restore(person, role, *, workspace_id=WORKSPACE_A):
    members.restore(workspace_id, person_id=person.id, role=role, by=BY)


def add(person, role=Role.VIEWER, *, workspace_id=WORKSPACE_A):
    with db.atomic():
        return members.add(workspace_id, person_id=person.id, role=role)


def test_the_list_has_admins_first_then_by_name(make_person: MakePerson, eve):
    for name, role in [("zoe", "admin"), ("Bert", "viewer"), ("anna", "viewer"), ("Carl", "admin"),
                       ("Max", "operator")]:  # fmt: skip
        make_person(f"{name.lower()}@example.org", role, name=name, is_verified=False)
    listed = members.list_all(WORKSPACE_A)
    assert [(one.name, one.role.value) for one in listed] == [
        ("Carl", "admin"),
        ("zoe", "admin"),
        ("Max", "operator"),
        ("anna", "viewer"),
        ("Bert", "viewer"),
    ]
    assert not any(one.has_second_factor for one in listed)
    assert all(one.joined_at >= ago(minutes=1) for one in listed)
    assert [one.email for one in members.list_all(WORKSPACE_B)] == [EVE]
    assert members.list_all(MAILDS_OWN_ID) == []


def test_a_member_gets_another_role(ann, ben):
    assert change_role(ben, "viewer") is Role.OPERATOR
    assert roles_in(WORKSPACE_A) == {ANN: "admin", BEN: "viewer"}
    [entry] = entries(WORKSPACE_A)
    assert (entry.action, entry.target) == ("member.role_changed", BEN)
    assert (entry.before, entry.after) == ({"role": "operator"}, {"role": "viewer"})
    assert (entry.actor, entry.actor_ip, entry.request_id) == (BY.name, "192.0.2.1", "r1")


def test_the_same_role_again_is_no_change(ann, ben):
    assert change_role(ben, "operator") is Role.OPERATOR
    assert change_role(ann, "admin") is Role.ADMIN
    assert actions(WORKSPACE_A) == []


@pytest.mark.parametrize("role", ["", "sender", "owner", "ADMIN", "admin ", "0", "\0"])
def test_a_role_that_people_cannot_have_is_refused(ann, ben, role):
    with pytest.raises(InvalidFields) as caught:
        change_role(ben, role)
    assert [error.field for error in caught.value.errors] == ["role"]
    assert roles_in(WORKSPACE_A)[BEN] == "operator"


@pytest.mark.parametrize("role", [Role.SENDER, "owner"])
def test_the_database_refuses_such_a_role_too(ann, role):
    values = {"workspace": WORKSPACE_B, "person": ann.id, "role": role}
    with pytest.raises((peewee.IntegrityError, ValueError)), db.atomic():
        Member.insert(**values).execute()


def test_a_member_is_removed_and_out_with_the_next_request(ann, ben):
    token = enter(ben)
    assert remove(ben) is Role.OPERATOR
    assert roles_in(WORKSPACE_A) == {ANN: "admin"}
    assert sessions.find(token, ip=None).workspace is None
    [entry] = entries(WORKSPACE_A)
    assert (entry.action, entry.target) == ("member.removed", BEN)
    assert entry.before == {"role": "operator"}


def test_a_member_leaves(ann, ben):
    leave(ben)
    assert roles_in(WORKSPACE_A) == {ANN: "admin"}
    assert actions(WORKSPACE_A) == [("member.left", BEN)]
    with pytest.raises(NotFound):
        leave(ben)


@pytest.mark.parametrize(
    "end", [remove, leave, lambda p: change_role(p, "viewer"), lambda p: change_role(p, "operator")]
)
def test_the_last_admin_stays_one(ann, ben, eve, end):
    with pytest.raises(Conflict):
        end(ann)
    assert roles_in(WORKSPACE_A) == {ANN: "admin", BEN: "operator"}
    assert actions(WORKSPACE_A) == []


@pytest.mark.parametrize("end", [remove, leave, lambda person: change_role(person, "viewer")])
def test_an_admin_goes_where_another_is_left(ann, make_person: MakePerson, end):
    other = make_person(BEN, Role.ADMIN)
    end(ann)
    assert roles_in(WORKSPACE_A)[BEN] == "admin"
    assert roles_in(WORKSPACE_A).get(ANN) in {None, "viewer"}
    with pytest.raises(Conflict):
        end(other)


def test_an_admin_of_another_workspace_does_not_count(ann, eve):
    Member.insert(workspace=WORKSPACE_B, person=ann.id, role=Role.ADMIN).execute()
    leave(ann, workspace_id=WORKSPACE_B)
    with pytest.raises(Conflict):
        leave(ann)


def test_the_only_member_who_is_an_admin_cannot_leave(ann):
    with pytest.raises(Conflict):
        leave(ann)


@pytest.mark.parametrize(
    "end", [leave, remove, lambda p: change_role(p, "viewer"), lambda p: change_role(p, "operator")]
)
def test_of_two_last_admins_who_go_at_once_one_stays(ann, make_person: MakePerson, end):
    other = make_person(BEN, Role.ADMIN)
    assert race(lambda: end(ann), lambda: end(other), losing=Conflict) == ["lost", "won"]
    assert list(roles_in(WORKSPACE_A).values()).count("admin") == 1


def test_two_admins_who_end_each_other_at_once_in_different_ways_leave_one(
    ann, make_person: MakePerson
):
    other = make_person(BEN, Role.ADMIN)
    ends = race(lambda: remove(other), lambda: change_role(ann, "viewer"), losing=Conflict)
    assert ends == ["lost", "won"]
    assert list(roles_in(WORKSPACE_A).values()).count("admin") == 1


def test_one_who_is_removed_twice_at_once_is_removed_once(ann, ben):
    assert race(*[lambda: remove(ben)] * 2, losing=NotFound) == ["lost", "won"]
    assert actions(WORKSPACE_A) == [("member.removed", BEN)]


@pytest.mark.parametrize("end", [remove, leave, lambda person: change_role(person, "viewer")])
def test_nobody_changes_the_people_of_another_workspace(ann, eve, end):
    with pytest.raises(NotFound):
        end(eve)
    assert roles_in(WORKSPACE_B) == {EVE: "admin"}


@pytest.mark.parametrize("workspace_id", [0, 99])
def test_a_workspace_without_people_has_none_to_change(ann, workspace_id):
    for end in (remove, leave):
        with pytest.raises(NotFound):
            end(ann, workspace_id=workspace_id)
    with pytest.raises(NotFound):
        change_role(ann, "viewer", workspace_id=workspace_id)


@pytest.mark.parametrize("person_id", [0, -1, 2**40, 2**70])
def test_a_person_who_is_none_is_no_member(ann, person_id):
    with pytest.raises(NotFound):
        members.remove(WORKSPACE_A, person_id=person_id, by=BY)


def test_a_removal_is_taken_back(ann, ben):
    restore(ben, remove(ben))
    assert roles_in(WORKSPACE_A) == {ANN: "admin", BEN: "operator"}
    assert actions(WORKSPACE_A) == [("member.removed", BEN), ("member.restored", BEN)]
    assert entries(WORKSPACE_A)[1].after == {"role": "operator"}


def test_who_has_come_back_already_keeps_their_role(ann, ben):
    """Taking a removal back, late or twice, makes nobody an admin again."""
    remove(ben)
    add(ben, Role.VIEWER)
    restore(ben, Role.ADMIN)
    assert roles_in(WORKSPACE_A)[BEN] == "viewer"
    assert actions(WORKSPACE_A) == [("member.removed", BEN)]


def test_nobody_is_restored_who_is_not_there(ann):
    with pytest.raises(NotFound):
        members.restore(WORKSPACE_A, person_id=0, role=Role.VIEWER, by=BY)
    with pytest.raises(NotFound):
        restore(ann, Role.VIEWER, workspace_id=99)


def test_a_member_who_is_added_again_keeps_their_role(ann, ben):
    assert not add(ben, Role.ADMIN)
    assert add(ben, Role.ADMIN, workspace_id=WORKSPACE_B)
    assert roles_in(WORKSPACE_A)[BEN] == "operator"
    assert roles_in(WORKSPACE_B)[BEN] == "admin"


def test_one_who_is_added_twice_at_once_is_one_member(eve):
    added: list[bool] = []
    race(*[lambda: added.append(add(eve))] * 3, losing=Conflict)
    assert sorted(added) == [False, False, True]
    assert roles_in(WORKSPACE_A) == {EVE: "viewer"}


def test_a_workspace_is_full_at_some_point(ann, eve, make_person: MakePerson):
    fill(WORKSPACE_A, members.MEMBERS_MAX - 2)
    assert add(eve)
    assert len(members.list_all(WORKSPACE_A)) == members.MEMBERS_MAX
    other = make_person(BEN, None)
    with pytest.raises(Conflict):
        add(other)
    with pytest.raises(Conflict):
        restore(other, Role.VIEWER)
    assert not add(eve)  # who is there already needs no room


def test_two_who_come_at_once_do_not_overfill_it(ann, eve, make_person: MakePerson):
    fill(WORKSPACE_A, members.MEMBERS_MAX - 2)
    other = make_person(BEN, None)
    assert race(lambda: add(eve), lambda: add(other), losing=Conflict) == ["lost", "won"]


def test_a_person_belongs_to_so_many_workspaces(make_person: MakePerson):
    person = make_person(ANN, None)
    db.execute_sql(
        """
        WITH made AS (
            INSERT INTO workspaces (name)
            SELECT 'Shop ' || n FROM generate_series(1, %(count)s) AS n RETURNING id)
        INSERT INTO members (workspace_id, person_id, role)
        SELECT id, %(person)s, 'viewer' FROM made
        """,
        {"person": person.id, "count": members.WORKSPACES_MAX},
    )
    with pytest.raises(Conflict):
        add(person)
    assert roles_in(WORKSPACE_A) == {}
    Member.delete().where(
        Member.workspace == Workspace.get(Workspace.name == "Shop 7").id
    ).execute()
    assert add(person)


def test_the_database_refuses_mailds_own_workspace_people_and_invitations(ann):
    with pytest.raises(peewee.IntegrityError, match="members_not_of_maild"), db.atomic():
        Member.insert(workspace=MAILDS_OWN_ID, person=ann.id, role=Role.ADMIN).execute()
    with pytest.raises(peewee.IntegrityError, match="members_not_of_maild"):
        add(ann, workspace_id=MAILDS_OWN_ID)
    with pytest.raises(peewee.IntegrityError, match="members_not_of_maild"), db.atomic():
        Member.update(workspace=MAILDS_OWN_ID).execute()
    with pytest.raises(peewee.IntegrityError, match="invitations_not_of_maild"), db.atomic():
        Invitation.insert(
            workspace=MAILDS_OWN_ID, email=ANN, role=Role.ADMIN, token_hash=b"x" * 32,
            created_by="x", expires_at=ago(days=-1),
        ).execute()  # fmt: skip


@pytest.mark.parametrize("workspace_id", [WORKSPACE_A, WORKSPACE_B])
def test_no_workspace_gets_at_mailds_own_mail(ann, workspace_id):
    """Whoever reads it reads the links that are in it."""
    mailed_links.send_reset(ANN)
    [mail] = Message.select()
    assert mail.workspace_id == MAILDS_OWN_ID
    with pytest.raises(NotFound):
        messages.get(workspace_id, mail.id)
    assert message_log.list_page(workspace_id).messages == []
    page, _ = message_log.list_live(workspace_id, filter_=message_log.Filter(q="password"))
    assert page.messages == []
    assert message_log.list_changed(workspace_id, seen={mail.id: mail.status}) == []
    held = interventions.hold(workspace_id, [str(mail.id)], by=BY, reason="a test")
    assert [outcome.error for outcome in held.outcomes] == [resending.NOT_FOUND]
    [resent] = resending.resend(workspace_id, [str(mail.id)], by=BY)
    assert resent.error == resending.NOT_FOUND
    assert Message.select().count() == 1
    assert Message.get().status is mail.status


def test_no_session_shows_mailds_own_workspace(ann):
    token = enter(ann, workspace_id=MAILDS_OWN_ID)
    visitor = sessions.find(token, ip=None)
    assert visitor.membership(MAILDS_OWN_ID) is None
    assert visitor.workspace.id == WORKSPACE_A
