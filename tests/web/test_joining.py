"""/invitations/TOKEN: accepting an invitation."""

import datetime as dt

import pytest

from maild import clock
from maild.domain.actor import SYSTEM
from maild.models import Invitation, Member, Person, Session
from maild.services import invitations
from tests.conftest import PASSWORD, WORKSPACE_A, WORKSPACE_B


@pytest.fixture
def invite(database):
    """Invite an address; returns the path of the link."""

    def make(email="carl@a.example", role="operator", workspace_id=WORKSPACE_A):
        made = invitations.invite(workspace_id, email=email, role=role, by=SYSTEM, inviter="Ann")
        return made.url[made.url.index("/invitations/") :]

    return make


@pytest.fixture
def join(post):
    def send(client, path, **fields):
        return post(client, path, workspace_id=None, **fields)

    return send


def role_in(workspace_id, email):
    row = (
        Member.select().join(Person).where(Member.workspace == workspace_id, Person.email == email)
    )
    return [member.role.value for member in row]


def test_a_new_person_joins_and_is_signed_in_where_they_were_invited_to(
    anonymous, invite, join, use_settings
):
    use_settings(signup_mode="invite")
    path = invite()
    page = anonymous.get(path)
    assert "carl@a.example" in page.text
    assert "operator" in page.text
    response = join(anonymous, path, name="Carl", password=PASSWORD)
    assert (response.status_code, response.location) == (303, "/dashboard")
    assert role_in(WORKSPACE_A, "carl@a.example") == ["operator"]
    assert Person.get().email_verified_at is not None
    assert Session.get().workspace_id == WORKSPACE_A
    assert Member.select().count() == 1  # and no workspace of their own
    assert join(anonymous, path).status_code == 404


def test_opening_it_changes_nothing(anonymous, invite):
    path = invite()
    for _ in range(2):
        assert anonymous.get(path).status_code == 200
    assert Invitation.get().accepted_at is None


def test_a_known_person_joins_with_a_button(sign_in, make_person, invite, join):
    client = sign_in(make_person("carl@a.example", "admin", workspace_id=WORKSPACE_B))
    path = invite()
    assert "Join as Carl" in client.get(path).text
    assert join(client, path).location == "/dashboard"
    assert role_in(WORKSPACE_A, "carl@a.example") == ["operator"]
    assert role_in(WORKSPACE_B, "carl@a.example") == ["admin"]
    assert Session.get().workspace_id == WORKSPACE_A


def test_a_known_person_who_is_not_signed_in_logs_in_first(anonymous, make_person, invite, join):
    make_person("carl@a.example", None)
    path = invite()
    page = anonymous.get(path).text
    assert "Log in to join" in page
    assert 'name="password"' not in page
    response = join(anonymous, path, name="Mallory", password=PASSWORD)
    assert response.status_code == 422  # whoever has the link does not take the account over
    assert Person.get().name == "Carl"
    assert Member.select().count() == 0
    response = join(anonymous, "/login", email="carl@a.example", password=PASSWORD)
    assert response.location == path
    assert join(anonymous, path).status_code == 303
    assert role_in(WORKSPACE_A, "carl@a.example") == ["operator"]


def test_somebody_else_cannot_accept_it(client, invite, join):
    path = invite()
    page = client.get(path).text
    assert "The invitation is for the other address" in page
    response = join(client, path)
    assert response.status_code == 403
    assert role_in(WORKSPACE_A, "carl@a.example") == []
    assert Invitation.get().accepted_at is None


@pytest.mark.parametrize("path", ["/invitations/x", "/invitations/" + "A" * 43, "/invitations/%00"])
def test_a_link_that_is_none_says_so(anonymous, path):
    assert anonymous.get(path).status_code == 404


def test_it_runs_out(anonymous, invite, monkeypatch):
    path = invite()
    late = clock.now() + dt.timedelta(days=8)
    monkeypatch.setattr("maild.clock.now", lambda: late)
    response = anonymous.get(path)
    assert response.status_code == 404
    assert "has run out" in response.text


def test_nobody_new_joins_where_nobody_new_is_taken(anonymous, invite, join, use_settings):
    use_settings(signup_mode="closed")
    path = invite()
    assert "takes no new people" in anonymous.get(path).text
    assert join(anonymous, path, name="Carl", password=PASSWORD).status_code == 403
    assert Person.select().count() == 0


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"name": "", "password": PASSWORD}, "name"), ({"name": "Carl", "password": "x"}, "password")],
)
def test_it_says_what_is_wrong_and_keeps_the_invitation(anonymous, invite, join, fields, field):
    path = invite()
    response = join(anonymous, path, **fields)
    assert response.status_code == 422
    assert f'id="{field}-error"' in response.text
    assert join(anonymous, path, name="Carl", password=PASSWORD).status_code == 303


def test_the_address_of_the_form_cannot_be_changed(anonymous, invite, join):
    join(anonymous, invite(), name="Carl", password=PASSWORD, email="mallory@evil.example")
    assert Person.get().email == "carl@a.example"


def test_a_link_is_kept_by_nobody_else(anonymous, invite):
    headers = anonymous.get(invite()).headers
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
