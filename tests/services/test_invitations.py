"""Invitations: a link that makes its recipient a member, once, for a while, and nobody else."""

import hashlib
import threading
from datetime import timedelta

import peewee
import pytest

from maild import clock
from maild.db import database as db
from maild.domain.role import Role
from maild.errors import (
    Conflict,
    Forbidden,
    InvalidFields,
    NotFound,
)
from maild.models import Invitation, Person
from maild.services import invitations, members, workspaces
from maild.services.invitations import GONE, LIFETIME, OPEN_MAX
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.conftest import wait_until
from tests.services.helpers import ago
from tests.services.peopling import (
    BY,
    MakePerson,
    actions,
    entries,
    everything_stored,
    mailed_token,
    mails,
    race,
    reload,
    roles_in,
    short,
    token_of,
)

pytestmark = pytest.mark.usefixtures("database")

EMAIL = "eve@example.org"


@pytest.fixture
def eve(make_person: MakePerson) -> Person:
    """Somebody with an account, who belongs to no workspace yet."""
    return make_person(EMAIL, None, is_verified=False)


def invite(email=EMAIL, role="operator", *, workspace_id=WORKSPACE_A):
    return invitations.invite(workspace_id, email=email, role=role, by=BY, inviter="Ann")


def invite_token(*args, **kwargs):
    return token_of(invite(*args, **kwargs).url)


def send_again(row, *, workspace_id=WORKSPACE_A):
    return invitations.send_again(workspace_id, invitation_id=row.id, by=BY, inviter="Ann")


def revoke(row, *, workspace_id=WORKSPACE_A):
    return invitations.revoke(workspace_id, invitation_id=row.id, by=BY)


def restore(row, *, workspace_id=WORKSPACE_A):
    return invitations.restore(workspace_id, invitation_id=row.id, by=BY)


def accept(token, person):
    return invitations.accept(token, person_id=person.id, by=BY)


def let_run_out(email=EMAIL, **spans):
    """As if the invitation had run out so long ago: a second unless told otherwise."""
    Invitation.update(expires_at=ago(**(spans or {"seconds": 1}))).where(
        Invitation.email == email
    ).execute()


def fill(count, *, workspace_id=WORKSPACE_A):
    """Open so many invitations, without mail."""
    db.execute_sql(
        """
        INSERT INTO invitations (workspace_id, email, role, token_hash, created_by, expires_at)
        SELECT %(workspace)s, 'user' || n || '@example.net', 'viewer',
            sha256(convert_to(%(workspace)s || ' ' || n, 'UTF8')), 'a test',
            now() + interval '1 day'
        FROM generate_series(1, %(count)s) AS n
        """,
        {"workspace": workspace_id, "count": count},
    )


def is_open(token):
    try:
        invitations.open_link(token)
    except NotFound:
        return False
    return True


def is_somebody_waiting():
    """Whether another connection waits for a lock."""
    return db.execute_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]


def stored():
    return list(Invitation.select().order_by(Invitation.id).dicts())


def test_the_link_opens_the_invitation(caplog):
    caplog.set_level("INFO")
    made = invite(" Eve@EXAMPLE.org ")
    token = token_of(made.url)
    assert made.will_arrive
    found = invitations.open_link(token)
    assert (found.id, found.email, found.role) == (made.invitation.id, EMAIL, Role.OPERATOR)
    assert (found.workspace_id, found.created_by) == (WORKSPACE_A, BY.name)
    assert abs(found.expires_at - found.created_at - LIFETIME) < timedelta(minutes=1)
    assert bytes(found.token_hash) == hashlib.sha256(token.encode()).digest()
    assert actions(WORKSPACE_A) == [("invitation.created", EMAIL)]
    assert entries(WORKSPACE_A)[0].after == {"role": "operator"}
    assert token not in everything_stored() + caplog.text


def test_opening_it_changes_nothing():
    token, before = invite_token(), stored()
    assert is_open(token)
    assert is_open(token)
    assert stored() == before


@pytest.mark.parametrize(
    "token", ["", "x", "a" * 43, "a" * 42, "\0", "\ud800" * 43, "ü" * 43, "a" * 100_000], ids=short
)
def test_what_is_no_token_opens_nothing(eve, token):
    known = invite_token()
    assert not is_open(token)
    assert not is_open(f"{known}{token}x")
    with pytest.raises(NotFound):
        accept(token, eve)


@pytest.mark.parametrize("role", ["admin", "operator", "viewer"])
def test_a_known_person_becomes_a_member_in_the_role(eve, role):
    token = invite_token(role=role)
    accepted = accept(token, eve)
    assert accepted.workspace_id == WORKSPACE_A
    assert roles_in(WORKSPACE_A) == {EMAIL: role}
    assert actions(WORKSPACE_A)[1:] == [("member.joined", EMAIL)]
    assert entries(WORKSPACE_A)[1].after == {"role": role, "invited_by": BY.name}
    assert Invitation.get().accepted_at is not None
    assert invitations.list_open(WORKSPACE_A) == []


def test_accepting_shows_that_the_address_is_theirs(eve):
    accept(invite_token(), eve)
    assert reload(eve).email_verified_at is not None


def test_an_address_that_was_confirmed_before_stays_so(make_person: MakePerson):
    eve = make_person(EMAIL, None, email_verified_at=ago(days=3))
    accept(invite_token(), eve)
    assert reload(eve).email_verified_at == eve.email_verified_at


@pytest.mark.parametrize("role", ["", "sender", "owner", "Admin", "admin\0"])
def test_a_role_that_people_cannot_have_is_refused(role):
    with pytest.raises(InvalidFields) as caught:
        invite(role=role)
    assert [error.field for error in caught.value.errors] == ["role"]
    assert stored() == mails() == []


@pytest.mark.parametrize(
    "email",
    ["", " ", "eve", "@example.org", "eve@", "a@example.org,b@example.org", "Eve <a@example.org>",
     "eve@example.org\nBcc: x@example.org", "eve\0@example.org", "\ud800@example.org",
     "a" * 10_240 + "@example.org"],
    ids=short,
)  # fmt: skip
def test_what_is_no_address_is_not_invited(email):
    with pytest.raises(InvalidFields) as caught:
        invite(email)
    assert [error.field for error in caught.value.errors] == ["email"]
    assert stored() == mails() == []
    assert actions(WORKSPACE_A) == []


@pytest.mark.parametrize("workspace_id", [0, 99])
def test_nobody_is_invited_into_a_workspace_that_takes_nobody(workspace_id):
    with pytest.raises((NotFound, peewee.IntegrityError)):
        invite(workspace_id=workspace_id)
    assert stored() == mails() == []


def test_a_link_is_used_once(eve):
    token = invite_token()
    accept(token, eve)
    assert not is_open(token)
    with pytest.raises(NotFound) as caught:
        accept(token, eve)
    assert caught.value.detail == GONE
    assert actions(WORKSPACE_A).count(("member.joined", EMAIL)) == 1


def test_of_two_who_accept_at_once_one_does(eve):
    token = invite_token()
    ends = race(*[lambda: accept(token, eve)] * 3, losing=NotFound)
    assert ends == ["lost", "lost", "won"]
    assert roles_in(WORKSPACE_A) == {EMAIL: "operator"}
    assert actions(WORKSPACE_A).count(("member.joined", EMAIL)) == 1


def test_accepting_and_revoking_at_once_have_one_end(eve):
    made = invite()
    ends = race(
        lambda: accept(token_of(made.url), eve), lambda: revoke(made.invitation), losing=NotFound
    )
    assert ends == ["lost", "won"]
    row = Invitation.get()
    assert (row.accepted_at is None) != (row.revoked_at is None)
    assert (roles_in(WORKSPACE_A) == {}) is (row.accepted_at is None)


def test_accepting_and_inviting_anew_at_once_do_not_wait_in_a_circle(eve):
    token = invite_token()
    ends: list[list[str]] = []
    accepting = threading.Thread(
        target=lambda: ends.append(race(lambda: accept(token, eve), losing=NotFound))
    )
    with db.atomic():
        workspaces.take_turns(WORKSPACE_A)
        accepting.start()
        wait_until(is_somebody_waiting)
        fresh = invitations.make(WORKSPACE_A, email=EMAIL, role="viewer", by=BY)
    accepting.join()
    assert ends == [["lost"]]
    assert is_open(token_of(fresh.url))


@pytest.mark.parametrize("email", ["mallory@example.org", "eve@example.com", "eve+x@example.org"])
def test_nobody_accepts_what_was_mailed_to_another(make_person: MakePerson, email):
    token = invite_token()
    with pytest.raises(Forbidden):
        accept(token, make_person(email, None))
    assert roles_in(WORKSPACE_A) == {}
    assert is_open(token)


def test_it_is_for_the_address_in_every_case(make_person: MakePerson):
    accept(invite_token("EVE@Example.ORG"), make_person(EMAIL, None))
    assert roles_in(WORKSPACE_A) == {EMAIL: "operator"}


def test_nobody_unknown_accepts_it():
    with pytest.raises(NotFound):
        invitations.accept(invite_token(), person_id=0, by=BY)


def test_it_runs_out(eve):
    token = invite_token()
    let_run_out()
    assert not is_open(token)
    with pytest.raises(NotFound):
        accept(token, eve)
    assert roles_in(WORKSPACE_A) == {}
    assert len(invitations.list_open(WORKSPACE_A)) == 1  # to be sent again


def test_a_member_is_not_invited(make_person: MakePerson):
    make_person(EMAIL, Role.VIEWER)
    with pytest.raises(Conflict):
        invite("EVE@example.org")
    assert stored() == mails() == []
    assert invite(workspace_id=WORKSPACE_B).will_arrive


def test_who_is_a_member_by_now_keeps_their_role(make_person: MakePerson):
    """Such as a viewer who has taken over an address that was invited as admin."""
    token = invite_token(role="admin")
    accept(token, make_person(EMAIL, Role.VIEWER))
    assert roles_in(WORKSPACE_A) == {EMAIL: "viewer"}
    assert actions(WORKSPACE_A) == [("invitation.created", EMAIL)]
    assert not is_open(token)


def test_an_address_is_invited_once_at_a_time():
    token = invite_token()
    with pytest.raises(Conflict):
        invite("EVE@EXAMPLE.ORG", "viewer")
    assert len(stored()) == len(mails()) == 1
    assert is_open(token)
    assert is_open(invite_token(workspace_id=WORKSPACE_B))


def test_of_two_who_invite_an_address_at_once_one_does():
    assert race(*[invite] * 3, losing=Conflict) == ["lost", "lost", "won"]
    assert len(stored()) == len(mails()) == 1


def test_one_that_has_run_out_makes_room_for_the_same_address(eve):
    old = invite_token(role="admin")
    let_run_out()
    fresh = invite_token(role="viewer")
    assert not is_open(old)
    assert len(invitations.list_open(WORKSPACE_A)) == 1
    accept(fresh, eve)
    assert roles_in(WORKSPACE_A) == {EMAIL: "viewer"}


def test_so_many_are_open_at_a_time():
    fill(OPEN_MAX - 1)
    fill(5, workspace_id=WORKSPACE_B)
    invite()
    with pytest.raises(Conflict):
        invite("other@example.org")
    assert len(invitations.list_open(WORKSPACE_A)) == OPEN_MAX
    revoke(Invitation.get(Invitation.email == "user1@example.net"))
    assert invite("other@example.org")


def test_two_who_invite_at_once_are_not_one_too_many():
    fill(OPEN_MAX - 1)
    ends = race(lambda: invite("a@example.org"), lambda: invite("b@example.org"), losing=Conflict)
    assert ends == ["lost", "won"]


def test_the_one_that_ran_out_first_makes_room_for_others():
    fill(OPEN_MAX)
    let_run_out("user7@example.net")
    let_run_out("user9@example.net", days=1)
    invite()
    left = {row.email for row in invitations.list_open(WORKSPACE_A)}
    assert len(left) == OPEN_MAX
    assert {EMAIL, "user7@example.net"} <= left
    assert "user9@example.net" not in left


def test_the_list_has_what_is_open_newest_first(eve):
    first, *_ = [invite(f"u{n}@example.org").invitation for n in range(3)]
    invite("b@example.org", workspace_id=WORKSPACE_B)
    accept(invite_token(), eve)
    revoke(first)
    let_run_out("u1@example.org")
    emails = [row.email for row in invitations.list_open(WORKSPACE_A)]
    assert emails == ["u2@example.org", "u1@example.org"]
    assert invitations.list_open(0) == invitations.list_open(99) == []


def test_sending_again_ends_the_link_before(eve):
    made = invite()
    let_run_out()
    again = send_again(made.invitation)
    old, new = token_of(made.url), token_of(again.url)
    assert again.will_arrive
    assert not is_open(old)
    assert is_open(new)
    assert again.invitation.id == made.invitation.id
    row = Invitation.get()
    assert row.sent_at > made.invitation.sent_at
    assert row.expires_at > clock.now() + LIFETIME - timedelta(minutes=1)
    assert actions(WORKSPACE_A)[1:] == [("invitation.sent_again", EMAIL)]
    assert mailed_token("/invitations/") == new
    assert mails()[0].expires_at == row.expires_at
    accept(new, eve)
    assert new not in everything_stored()


def test_revoking_ends_the_link_and_taking_it_back_lets_it_work_again(eve):
    made = invite()
    token = token_of(made.url)
    assert revoke(made.invitation).revoked_at is not None
    assert not is_open(token)
    with pytest.raises(NotFound):
        accept(token, eve)
    assert restore(made.invitation).revoked_at is None
    accept(token, eve)
    assert [action for action, _ in actions(WORKSPACE_A)] == [
        "invitation.created", "invitation.revoked", "invitation.restored", "member.joined",
    ]  # fmt: skip


def test_it_is_not_taken_back_where_the_address_was_invited_anew():
    made = invite()
    revoke(made.invitation)
    fresh = invite_token()
    with pytest.raises(Conflict):
        restore(made.invitation)
    assert not is_open(token_of(made.url))
    assert is_open(fresh)


def test_it_is_not_taken_back_where_the_address_is_a_member_by_now(make_person: MakePerson):
    made = invite()
    revoke(made.invitation)
    make_person(EMAIL, Role.VIEWER)
    with pytest.raises(Conflict):
        restore(made.invitation)


def test_it_is_not_taken_back_where_there_is_no_room():
    made = invite()
    revoke(made.invitation)
    fill(OPEN_MAX)
    with pytest.raises(Conflict):
        restore(made.invitation)
    assert len(invitations.list_open(WORKSPACE_A)) == OPEN_MAX


def test_taking_back_and_inviting_anew_at_once_leave_one_open():
    made = invite()
    revoke(made.invitation)
    assert race(lambda: restore(made.invitation), invite, losing=Conflict) == ["lost", "won"]
    assert len(invitations.list_open(WORKSPACE_A)) == 1


@pytest.mark.parametrize("change", [send_again, revoke])
def test_what_is_not_open_is_not_changed(eve, change):
    revoked = invite("a@example.org").invitation
    revoke(revoked)
    accepted = invite().invitation
    accept(mailed_token("/invitations/"), eve)
    before, mailed = stored(), len(mails())
    for row in (revoked, accepted, Invitation(id=0), Invitation(id=2**40)):
        with pytest.raises(NotFound):
            change(row)
    assert stored() == before
    assert len(mails()) == mailed


@pytest.mark.parametrize("change", [send_again, revoke, restore])
def test_another_workspaces_are_not_there(change):
    made = invite()
    if change is restore:
        revoke(made.invitation)
    before, mailed = stored(), len(mails())
    for workspace_id in (WORKSPACE_B, 99):
        with pytest.raises(NotFound):
            change(made.invitation, workspace_id=workspace_id)
    assert stored() == before
    assert len(mails()) == mailed
    assert actions(WORKSPACE_B) == []


def test_what_was_never_revoked_is_not_taken_back(eve):
    made = invite()
    with pytest.raises(NotFound):
        restore(made.invitation)
    accept(token_of(made.url), eve)
    with pytest.raises(NotFound):
        restore(made.invitation)
    assert [action for action, _ in actions(WORKSPACE_A)] == ["invitation.created", "member.joined"]


def test_where_the_workspace_is_full_the_invitation_waits(eve, monkeypatch):
    monkeypatch.setattr(members, "MEMBERS_MAX", 0)
    token = invite_token()
    with pytest.raises(Conflict):
        accept(token, eve)
    assert is_open(token)
    assert reload(eve).email_verified_at is None
