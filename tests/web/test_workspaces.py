"""Going over to another workspace, making one, renaming and leaving it."""

import pytest

from maild.models import AuditEntry, Member, Session, Workspace
from tests.conftest import WORKSPACE_A, WORKSPACE_B


@pytest.fixture
def both(admin_a):
    """The admin of A is an operator of B as well."""
    Member.insert(workspace=WORKSPACE_B, person=admin_a.id, role="operator").execute()


def test_it_goes_over_and_comes_back(client, both, post, accept, age):
    age(accept(subject="Of A"), accept(subject="Of B", workspace_id=WORKSPACE_B))
    assert "Of A" in client.get("/ui/logs").text
    response = post(client, "/workspaces/switch", to=WORKSPACE_B)
    assert (response.status_code, response.location) == (303, "/ui")
    text = client.get("/ui/logs").text
    assert "Of B" in text
    assert "Of A" not in text
    response = post(client, "/workspaces/switch", to=WORKSPACE_A, next="/ui/logs")
    assert response.location == "/ui/logs"
    assert "Of A" in client.get("/ui/logs").text


@pytest.mark.parametrize("to", [WORKSPACE_B, 0, 99, "x", "", "1;2", "-1", "9" * 30, "１"])
def test_it_goes_to_no_workspace_of_others(client, post, to):
    before = Session.get().workspace_id
    response = post(client, "/workspaces/switch", to=to)
    if to == "１":  # a number in other digits is one's own workspace still
        assert response.status_code == 303
    else:
        assert response.status_code == 404
        assert Session.get().workspace_id == before


def test_it_leads_nobody_elsewhere(client, both, post):
    response = post(client, "/workspaces/switch", to=WORKSPACE_B, next="//evil.example")
    assert response.location == "/ui"


def test_another_session_stays_where_it_is(client, both, post, sign_in, admin_a):
    other = sign_in(admin_a, workspace_id=WORKSPACE_A)
    post(client, "/workspaces/switch", to=WORKSPACE_B)
    assert 'name="workspace_id" value="1"' in other.get("/ui/settings/workspace").text


def test_a_role_is_that_of_the_workspace(client, both, post):
    post(client, "/workspaces/switch", to=WORKSPACE_B)
    response = post(client, "/ui/settings/workspace", workspace_id=WORKSPACE_B, name="Mine")
    assert response.status_code == 403
    assert Workspace.get_by_id(WORKSPACE_B).name == "Other"


def test_it_makes_a_workspace(client, post):
    response = post(client, "/workspaces/new", name=" Second ")
    assert (response.status_code, response.location) == (303, "/ui/onboarding/workspace")
    row = Workspace.get(Workspace.name == "Second")
    assert Session.get().workspace_id == row.id
    assert Member.get(Member.workspace == row.id).role.value == "admin"
    assert "“Second” is made." in client.get("/dashboard").text


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\nb", "a\x00"])
def test_it_makes_none_without_a_good_name(client, post, name):
    count = Workspace.select().count()
    assert post(client, "/workspaces/new", name=name).status_code == 422
    assert Workspace.select().count() == count


def test_it_renames_and_takes_it_back(client, post, page):
    assert post(client, "/ui/settings/workspace", name="Acme").status_code == 303
    assert Workspace.get_by_id(WORKSPACE_A).name == "Acme"
    soup = page("/ui/settings/workspace")
    undo = soup.select_one("#toasts form, .toast form")
    fields = {field["name"]: field["value"] for field in undo.select("input")}
    assert client.post(undo["action"], data=fields).status_code == 303
    assert Workspace.get_by_id(WORKSPACE_A).name == "Default"
    actions = [e.action for e in AuditEntry.select().where(AuditEntry.workspace == WORKSPACE_A)]
    assert actions == ["workspace.renamed", "workspace.renamed"]


def test_a_name_is_text(client, post):
    post(client, "/ui/settings/workspace", name="<script>alert(1)</script>")
    text = client.get("/dashboard").text + client.get("/ui/settings/members").text
    assert "<script>alert" not in text


def test_only_an_admin_renames_it(sign_in, operator_a, viewer_a, post):
    for person in (operator_a, viewer_a):
        client = sign_in(person)
        assert "Only an admin" in client.get("/ui/settings/workspace").text
        assert post(client, "/ui/settings/workspace", name="Mine").status_code == 403
    assert Workspace.get_by_id(WORKSPACE_A).name == "Default"


def test_everybody_may_leave(sign_in, admin_a, viewer_a, post):
    client = sign_in(viewer_a)
    assert post(client, "/ui/settings/workspace/leave").location == "/dashboard"
    assert [m.person_id for m in Member.select()] == [admin_a.id]
    assert client.get("/ui").location == "/dashboard"


def test_the_last_admin_cannot_leave(client, viewer_a, post):
    response = post(client, "/ui/settings/workspace/leave")
    assert response.status_code == 409
    assert "last admin" in response.text
    assert Member.select().count() == 2


@pytest.mark.parametrize("mode", ["invite", "closed"])
def test_where_not_everybody_may_sign_up_only_admins_make_workspaces(
    sign_in, viewer_a, client, post, use_settings, mode
):
    """Whoever has one sends through the account of the instance."""
    use_settings(signup_mode=mode)
    theirs = sign_in(viewer_a)
    assert "Only admins make workspaces here" in theirs.get("/workspaces/new").text
    count = Workspace.select().count()
    assert post(theirs, "/workspaces/new", name="Mine").status_code == 403
    assert Workspace.select().count() == count
    assert post(client, "/workspaces/new", name="Second").status_code == 303


def test_who_has_not_confirmed_the_address_makes_none(sign_in, make_person, post):
    client = sign_in(make_person("new@a.example", is_verified=False))
    assert "Confirm your address first" in client.get("/workspaces/new").text
    assert post(client, "/workspaces/new", name="Mine").status_code == 403
