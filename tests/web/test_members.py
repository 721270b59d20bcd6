"""/ui/settings/members: who belongs to the workspace, their roles, and taking things back."""

import datetime as dt

import pytest
from bs4 import BeautifulSoup

from maild import clock
from maild.domain.role import Role
from maild.models import AuditEntry, Member, Person
from maild.services import members
from maild.web.members import LEAVE_INSTEAD, UNDO_GONE, UNDO_SECONDS
from tests.conftest import WORKSPACE_A, WORKSPACE_B, client_of

PATH = "/ui/settings/members"


def role_of(person, workspace_id=WORKSPACE_A):
    row = Member.get_or_none(Member.workspace == workspace_id, Member.person == person.id)
    return row and row.role.value


def audited():
    query = AuditEntry.select().where(AuditEntry.workspace == WORKSPACE_A)
    return [(e.action, e.target) for e in query.order_by(AuditEntry.seq)]


def soup_of(client):
    return BeautifulSoup(client.get(PATH).text, "html.parser")


def undo_form(client):
    """Where the undo of the newest toast is sent, and its fields."""
    form = soup_of(client).select_one("#toasts form")
    return form["action"], {field["name"]: field["value"] for field in form.select("input")}


def undo(client):
    action, fields = undo_form(client)
    return client.post(action, data=fields)


def toast_of(client):
    return soup_of(client).select_one("#toasts .toast").text


def row_of(soup, email):
    [row] = [row for row in soup.select("tbody tr") if email in row.text]
    return row


def test_it_lists_everybody_with_what_matters(page, operator_a, viewer_a, admin_b):
    Person.update(
        totp_enabled_at=clock.now(),
        totp_secret_encrypted=b"x",
        seen_at=clock.now() - dt.timedelta(hours=5, minutes=1),
    ).where(Person.id == viewer_a.id).execute()
    soup = page(PATH)
    rows = soup.select("tbody tr")
    assert [row.select_one("th .note").text for row in rows] == [
        "ann@a.example",
        "olaf@a.example",
        "vera@a.example",
    ]
    vera = row_of(soup, viewer_a.email)
    assert [badge.text for badge in vera.select(".badge")] == ["viewer", "on"]
    assert [badge.text for badge in row_of(soup, operator_a.email).select(".badge")][1] == "off"
    assert "5 h ago" in vera.text
    assert "joined just now" in " ".join(vera.text.split())
    assert admin_b.email not in soup.text


def test_it_asks_the_database_as_often_for_many_as_for_one(client, make_person):
    from tests.counting import count_statements

    def look():
        assert client.get(PATH).status_code == 200

    look()
    few = count_statements(look)
    for number in range(20):
        make_person(f"user{number}@a.example", Role.VIEWER)
    assert count_statements(look) == few


def test_a_name_is_text(client, make_person):
    make_person("x@a.example", Role.VIEWER, name='"><script>alert(1)</script>')
    assert "<script>alert" not in client.get(PATH).text


def test_it_changes_a_role_and_takes_it_back(client, post, operator_a):
    response = post(client, f"{PATH}/role", person=operator_a.id, role="viewer")
    assert (response.status_code, response.location) == (303, PATH)
    assert role_of(operator_a) == "viewer"
    assert undo(client).status_code == 303
    assert role_of(operator_a) == "operator"
    assert audited() == [("member.role_changed", operator_a.email)] * 2


def test_the_same_role_again_changes_nothing_and_says_nothing(client, post, operator_a):
    assert post(client, f"{PATH}/role", person=operator_a.id, role="operator").status_code == 303
    assert audited() == []
    assert soup_of(client).select("#toasts .toast") == []


@pytest.mark.parametrize("role", ["sender", "owner", "", "ADMIN", "admin\x00"])
def test_it_refuses_a_role_that_people_cannot_have(client, post, operator_a, role):
    response = post(client, f"{PATH}/role", person=operator_a.id, role=role)
    assert response.status_code == 422
    assert "must be one of admin, operator, viewer" in response.text
    assert operator_a.email in response.text  # the page itself, and not a bare error
    assert role_of(operator_a) == "operator"


def test_the_last_admin_cannot_be_demoted(client, post, admin_a, operator_a):
    response = post(client, f"{PATH}/role", person=admin_a.id, role="viewer")
    assert response.location == PATH
    toast = soup_of(client).select_one("#toasts .toast.bad")
    assert members.LAST_ADMIN in toast.text
    assert role_of(admin_a) == "admin"
    assert audited() == []


def test_the_last_admin_is_told_so_beforehand(page, operator_a):
    yourself = page(PATH).select_one("#yourself")
    assert members.LAST_ADMIN in yourself.text
    assert yourself.select("form, a[href*=leave]") == []


def test_an_admin_beside_another_may_give_the_role_up_for_good(
    client, post, page, admin_a, make_person
):
    make_person("carl@a.example")
    assert "cannot take this back" in page(PATH).select_one("#yourself").text
    response = post(client, f"{PATH}/role", person=admin_a.id, role="viewer")
    assert response.status_code == 303
    assert role_of(admin_a) == "viewer"
    soup = soup_of(client)
    assert "was admin, and is viewer now" in soup.select_one("#toasts .toast").text
    assert soup.select("#toasts .toast form") == []  # it would be refused
    assert post(client, f"{PATH}/role", person=admin_a.id, role="admin").status_code == 403


def test_it_removes_somebody_and_takes_it_back(client, post, sign_in, operator_a):
    theirs = sign_in(operator_a, workspace_id=WORKSPACE_A)
    response = post(client, f"{PATH}/remove", person=operator_a.id)
    assert (response.status_code, response.location) == (303, PATH)
    assert role_of(operator_a) is None
    assert theirs.get("/ui").location == "/dashboard"
    assert undo(client).status_code == 303
    assert role_of(operator_a) == "operator"
    assert theirs.get("/ui").status_code == 200
    assert audited() == [
        ("member.removed", operator_a.email),
        ("member.restored", operator_a.email),
    ]


def test_it_asks_before_it_removes(page, operator_a):
    dialog = row_of(page(PATH), operator_a.email).select("dialog")[-1]
    assert "Remove Olaf?" in dialog.text
    assert "API keys that they have made" in " ".join(dialog.text.split())


def test_nobody_removes_themselves(client, post, admin_a, make_person, page):
    make_person("carl@a.example")
    assert page(PATH).select_one("#yourself a")["href"] == "/ui/settings/workspace#leave"
    post(client, f"{PATH}/remove", person=admin_a.id)
    assert LEAVE_INSTEAD in toast_of(client)
    assert role_of(admin_a) == "admin"


def test_of_two_admins_who_remove_each_other_the_second_is_no_admin_any_more(
    client, post, sign_in, admin_a, make_person
):
    carl = make_person("carl@a.example")
    theirs = sign_in(carl)
    post(client, f"{PATH}/remove", person=carl.id)
    response = post(theirs, f"{PATH}/remove", person=admin_a.id)
    assert response.location == "/dashboard"
    assert role_of(admin_a) == "admin"


def removal_of(client, post, person):
    """Remove somebody; returns the signed value with which that is taken back."""
    post(client, f"{PATH}/remove", person=person.id)
    return undo_form(client)[1]["removal"]


def test_a_removal_is_taken_back_for_ten_minutes(client, post, operator_a, monkeypatch):
    removal = removal_of(client, post, operator_a)
    late = clock.now().timestamp() + UNDO_SECONDS + 2
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: late)
    response = post(client, f"{PATH}/restore", removal=removal)
    assert response.location == PATH
    assert UNDO_GONE in toast_of(client)
    assert role_of(operator_a) is None


def test_nobody_is_made_a_member_by_number(client, post, admin_b):
    for removal in ("", "x", str(admin_b.id), "eyJ3b3Jrc3BhY2UiOjF9.x.y"):
        post(client, f"{PATH}/restore", removal=removal, person=admin_b.id, role="admin")
        assert UNDO_GONE in toast_of(client)
    assert role_of(admin_b) is None


def test_what_is_signed_for_something_else_restores_nobody(app, client, post, admin_b):
    serializer = app.session_interface.get_signing_serializer(app)
    forged = {"workspace": WORKSPACE_A, "person": admin_b.id, "role": "admin"}
    post(client, f"{PATH}/restore", removal=serializer.dumps(forged))
    assert role_of(admin_b) is None


def test_a_removal_is_of_its_workspace(client, post, sign_in, operator_a, admin_b):
    removal = removal_of(client, post, operator_a)
    other = sign_in(admin_b)
    post(other, f"{PATH}/restore", workspace_id=WORKSPACE_B, removal=removal)
    assert UNDO_GONE in toast_of(other)
    assert Member.select().where(Member.person == operator_a.id).count() == 0


def test_a_removal_is_taken_back_by_nobody_who_is_no_admin(client, post, sign_in, operator_a,
                                                           viewer_a):  # fmt: skip
    removal = removal_of(client, post, operator_a)
    assert post(sign_in(viewer_a), f"{PATH}/restore", removal=removal).status_code == 403
    assert role_of(operator_a) is None


def test_who_has_come_back_already_keeps_their_role(client, post, operator_a):
    removal = removal_of(client, post, operator_a)
    Member.insert(workspace=WORKSPACE_A, person=operator_a.id, role=Role.VIEWER).execute()
    assert post(client, f"{PATH}/restore", removal=removal).status_code == 303
    assert role_of(operator_a) == "viewer"


def test_who_has_no_account_any_more_cannot_come_back(client, post, operator_a):
    removal = removal_of(client, post, operator_a)
    Person.delete().where(Person.id == operator_a.id).execute()
    assert post(client, f"{PATH}/restore", removal=removal).status_code == 303
    assert "no such person" in toast_of(client)


def test_a_removal_is_taken_back_after_the_key_was_changed(
    app, client, post, operator_a, monkeypatch
):
    removal = removal_of(client, post, operator_a)
    old = app.config["SECRET_KEY"]
    monkeypatch.setitem(app.config, "SECRET_KEY_FALLBACKS", [old])
    monkeypatch.setitem(app.config, "SECRET_KEY", b"n" * 32)
    assert post(client, f"{PATH}/restore", removal=removal).status_code == 303
    assert role_of(operator_a) == "operator"


@pytest.mark.parametrize("action", ["role", "remove"])
@pytest.mark.parametrize("person", ["", "x", "0", "-1", "9" * 30])
def test_there_is_no_such_member(client, post, operator_a, action, person):
    assert post(client, f"{PATH}/{action}", person=person, role="viewer").status_code == 404
    assert role_of(operator_a) == "operator"


@pytest.mark.parametrize("action", ["role", "remove"])
def test_members_of_another_workspace_are_out_of_reach(
    client, post, sign_in, admin_a, admin_b, action
):
    assert post(client, f"{PATH}/{action}", person=admin_b.id, role="viewer").status_code == 404
    other = sign_in(admin_b)
    response = post(
        other, f"{PATH}/{action}", workspace_id=WORKSPACE_B, person=admin_a.id, role="viewer"
    )
    assert response.status_code == 404
    response = post(other, f"{PATH}/{action}", person=admin_a.id, role="viewer")
    assert response.status_code == 409
    assert role_of(admin_a) == "admin"
    assert role_of(admin_b, WORKSPACE_B) == "admin"
    assert admin_a.email not in other.get(PATH).text


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.VIEWER])
def test_who_is_no_admin_sees_all_and_changes_nothing(
    sign_in, post, make_person, admin_a, viewer_a, role
):
    client = sign_in(make_person("otto@a.example", role))
    soup = soup_of(client)
    assert admin_a.email in soup.text
    assert "Only an admin" in soup.text
    assert soup.select("main form") == []
    buttons = row_of(soup, viewer_a.email).select("button")
    assert len(buttons) == 2
    for button in buttons:
        assert button["aria-disabled"] == "true"
        assert (
            soup.find(id=button["aria-describedby"]).text
            == "Only an admin of this workspace can do this."
        )
    for action in ("role", "remove", "restore"):
        fields = {"person": viewer_a.id, "role": "admin", "removal": "x"}
        assert post(client, f"{PATH}/{action}", **fields).status_code == 403
    assert role_of(viewer_a) == "viewer"


def test_who_is_not_signed_in_sees_nothing(anonymous, post, operator_a):
    response = anonymous.get(PATH)
    assert (response.status_code, response.location) == (303, f"/login?next={PATH}")
    for action in ("role", "remove", "restore"):
        response = post(anonymous, f"{PATH}/{action}", person=operator_a.id, role="viewer")
        assert response.status_code == 401
    assert role_of(operator_a) == "operator"


def test_a_form_without_its_token_changes_nothing(client, operator_a):
    for action in ("role", "remove", "restore"):
        form = {"workspace_id": WORKSPACE_A, "person": operator_a.id, "role": "viewer"}
        assert client.post(f"{PATH}/{action}", data=form).status_code == 400
    assert role_of(operator_a) == "operator"


def test_it_answers_no_other_method(client):
    assert client.get(f"{PATH}/role").status_code == 405
    assert client_of(client.application).put(PATH).status_code == 405
