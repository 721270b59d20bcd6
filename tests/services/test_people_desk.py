"""What the command line does for people: seen, let in, confirmed, and signed out."""

import pytest

from maild.domain.actor import COMMAND_LINE
from maild.domain.role import Role
from maild.errors import Forbidden, NotFound
from maild.models import AuditEntry, Invitation, Person, Session
from maild.services import people_desk, sign_ups
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.peopling import enter, reload

ANN, BOB = "ann@example.org", "bob@example.org"

pytestmark = pytest.mark.usefixtures("database")


def actions():
    return [entry.action for entry in AuditEntry.select().order_by(AuditEntry.seq)]


def test_people_are_listed_of_one_workspace_or_of_all(make_person, monkeypatch):
    make_person(BOB, Role.VIEWER, workspace_id=WORKSPACE_B)
    make_person(ANN)
    listed, has_more = people_desk.list_all()
    assert ([one.email for one in listed], has_more) == ([ANN, BOB], False)
    assert [one.email for one in people_desk.list_all(workspace_id=WORKSPACE_B)[0]] == [BOB]
    monkeypatch.setattr(people_desk, "LIST_MAX", 1)
    listed, has_more = people_desk.list_all()
    assert ([one.email for one in listed], has_more) == ([ANN], True)
    with pytest.raises(NotFound):
        people_desk.list_all(workspace_id=999)


def test_an_address_is_confirmed_once(make_person):
    ann = make_person(ANN, is_verified=False)
    assert people_desk.confirm(ANN, by=COMMAND_LINE)
    at = reload(ann).email_verified_at
    assert at is not None
    assert not people_desk.confirm(ANN, by=COMMAND_LINE)
    assert reload(ann).email_verified_at == at
    assert len(actions()) == 1


def test_all_sessions_end_and_that_is_audited_where_there_were_any(make_person):
    ann = make_person(ANN)
    assert people_desk.sign_out(ANN, by=COMMAND_LINE) == 0
    assert actions() == []
    for _ in range(2):
        enter(ann)
    assert people_desk.sign_out(ANN, by=COMMAND_LINE) == 2
    assert Session.select().count() == 0
    assert len(actions()) == 1


def test_where_there_is_no_second_factor_none_is_removed(make_person):
    make_person(ANN)
    assert people_desk.remove_second_factor(ANN, by=COMMAND_LINE) is None
    assert actions() == []


def test_nobody_is_made_up():
    for act in (people_desk.confirm, people_desk.sign_out, people_desk.remove_second_factor,
                people_desk.make_reset_url):  # fmt: skip
        with pytest.raises(NotFound, match="Nobody here has the address"):
            act(ANN, by=COMMAND_LINE)
    assert Person.select().count() == 0


def test_where_no_new_people_are_taken_only_known_ones_are_let_in(make_person, use_settings):
    use_settings(signup_mode=sign_ups.CLOSED)
    make_person(BOB, workspace_id=WORKSPACE_B)
    for invite in (
        lambda email: people_desk.invite(WORKSPACE_A, email=email, role="viewer", by=COMMAND_LINE),
        lambda email: people_desk.invite_into_new("X", email=email, role="admin", by=COMMAND_LINE),
    ):
        with pytest.raises(Forbidden, match="SIGNUP_MODE"):
            invite(ANN)
        assert invite(BOB).url
    assert [row.email for row in Invitation.select()] == [BOB, BOB]
