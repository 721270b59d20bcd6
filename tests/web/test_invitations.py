"""/ui/settings/invitations: sending an invitation, sending it again, revoking it."""

import datetime as dt

import pytest
from bs4 import BeautifulSoup

from maild import clock
from maild.domain.actor import SYSTEM
from maild.domain.role import Role
from maild.models import AuditEntry, Invitation, Member, Message
from maild.services import invitations, policies, suppressions
from maild.services.workspaces import MAILDS_OWN_ID
from maild.web import throttle, verified
from tests.conftest import PASSWORD, WORKSPACE_A, WORKSPACE_B
from tests.services.peopling import mailed_token, mails, refuse_mail

PATH = "/ui/settings/invitations"
CARL = "carl@a.example"


@pytest.fixture
def invited(database):
    """Call to have an invitation that was mailed already."""

    def make(email=CARL, role="operator", workspace_id=WORKSPACE_A):
        made = invitations.invite(workspace_id, email=email, role=role, by=SYSTEM, inviter="Ann")
        return made.invitation

    return make


def soup_of(client):
    return BeautifulSoup(client.get(PATH).text, "html.parser")


def toast_of(client, kind="ok"):
    [toast] = soup_of(client).select(f"#toasts .toast.{kind}")
    return toast.text


def actions(workspace_id=WORKSPACE_A):
    query = AuditEntry.select().where(AuditEntry.workspace == workspace_id)
    return [e.action for e in query.order_by(AuditEntry.seq)]


def run_out(invitation):
    Invitation.update(expires_at=clock.now() - dt.timedelta(hours=1)).where(
        Invitation.id == invitation.id
    ).execute()


def test_it_mails_a_link_that_lets_the_address_join(client, post, anonymous):
    response = post(client, PATH, email=f" {CARL.upper()} ", role="operator")
    assert (response.status_code, response.location) == (303, PATH)
    [mail] = mails()
    assert (mail.workspace_id, mail.to_email) == (MAILDS_OWN_ID, CARL)
    assert mail.subject == "ann@a.example invites you to a workspace on maild"
    link = invitations.PATH + mailed_token(invitations.PATH)
    assert CARL in anonymous.get(link).text
    response = post(anonymous, link, workspace_id=None, name="Carl", password=PASSWORD)
    assert response.location == "/dashboard"
    assert Member.get(Member.role == Role.OPERATOR).workspace_id == WORKSPACE_A
    assert actions() == ["invitation.created", "member.joined"]
    assert f"on its way to {CARL}" in toast_of(client)


def test_the_link_is_shown_to_nobody_who_invites(client, post):
    post(client, PATH, email=CARL, role="viewer")
    token = mailed_token(invitations.PATH)
    assert token not in client.get(PATH).text
    assert token not in client.get("/ui/logs").text


def test_it_lists_what_is_open(client, page, invited, anonymous, post):
    invited()
    run_out(invited("late@a.example", "viewer"))
    invited("of-b@b.example", workspace_id=WORKSPACE_B)
    gone = invited("gone@a.example")
    invitations.revoke(WORKSPACE_A, invitation_id=gone.id, by=SYSTEM)
    late, carl = page(PATH).select("tbody tr")
    assert late.select_one("th").text == "late@a.example"
    assert [badge.text for badge in late.select(".badge")] == ["viewer", "has run out"]
    assert [badge.text for badge in carl.select(".badge")] == ["operator"]
    assert "in 6 d" in carl.text
    assert "invited by maild" in " ".join(carl.text.split())


def test_it_says_so_where_none_is_open(page):
    soup = page(PATH)
    assert "No open invitations" in soup.select_one(".empty").text
    assert soup.select("table") == []


def test_it_explains_each_role_and_suggests_the_least(page):
    soup = page(PATH)
    words = [label.text for label in soup.select("main .choice label")]
    assert [word.partition(":")[0] for word in words] == ["admin", "operator", "viewer"]
    assert soup.select_one("[name=role][checked]")["value"] == "viewer"


@pytest.mark.parametrize("email", ["", "carl", "a@b@c", "carl@a.example\nx", "x\x00@a.example"])
def test_it_says_what_is_wrong_with_an_address_and_keeps_the_rest(client, post, email):
    response = post(client, PATH, email=email, role="operator")
    assert response.status_code == 422
    soup = BeautifulSoup(response.text, "html.parser")
    assert soup.select_one("#email-error").text
    assert soup.select_one("[name=role][checked]")["value"] == "operator"
    assert Invitation.select().count() == Message.select().count() == 0


@pytest.mark.parametrize("role", ["", "sender", "owner", "Admin"])
def test_it_refuses_a_role_that_people_cannot_have_and_keeps_the_address(client, post, role):
    response = post(client, PATH, email=CARL, role=role)
    assert response.status_code == 422
    soup = BeautifulSoup(response.text, "html.parser")
    assert "Must be one of admin, operator, viewer." in soup.text
    assert soup.select_one("#email")["value"] == CARL
    assert Invitation.select().count() == 0


def problem_of(response):
    assert response.status_code == 422
    return BeautifulSoup(response.text, "html.parser").select_one(".form-error").text


def test_it_invites_nobody_twice_and_no_member(client, post, viewer_a, invited):
    invited()
    assert "is invited already" in problem_of(post(client, PATH, email=CARL, role="viewer"))
    response = post(client, PATH, email=viewer_a.email, role="admin")
    assert "is a member already" in problem_of(response)
    assert len(mails()) == 1


def test_one_that_has_run_out_is_invited_anew(client, post, invited):
    run_out(invited())
    assert post(client, PATH, email=CARL, role="viewer").status_code == 303
    [row] = invitations.list_open(WORKSPACE_A)
    assert row.role is Role.VIEWER


def test_it_says_why_a_mail_is_not_taken_and_keeps_what_was_typed(client, post, use_settings):
    refuse_mail(use_settings)
    response = post(client, PATH, email="carl@example.org", role="operator")
    assert response.status_code == 422
    soup = BeautifulSoup(response.text, "html.parser")
    assert "example.org" in soup.select_one("#email-error").text
    assert soup.select_one("#email")["value"] == "carl@example.org"
    assert soup.select_one("[name=role][checked]")["value"] == "operator"
    assert Invitation.select().count() == 0
    assert actions() == ["invitation.created", "invitation.not_sent"]


def test_it_says_so_where_so_much_mail_is_not_allowed(client, post):
    assert post(client, PATH, email=CARL, role="viewer").status_code == 303
    limit = {"rate_limit_workspace_per_hour": 1, "on_limit": "reject"}
    policies.save(MAILDS_OWN_ID, changes=limit, by=SYSTEM)
    response = post(client, PATH, email="dora@a.example", role="viewer")
    assert "hour" in problem_of(response)
    assert [row.email for row in invitations.list_open(WORKSPACE_A)] == [CARL]


def test_it_says_so_where_the_mail_will_not_arrive(client, post):
    suppressions.add(MAILDS_OWN_ID, CARL, reason="bounced", source="smtp")
    assert post(client, PATH, email=CARL, role="viewer").status_code == 303
    assert "came back before" in toast_of(client, "bad")


def test_it_sends_a_new_link_and_ends_the_one_before(client, post, anonymous, invited):
    row = invited()
    run_out(row)
    old = invitations.PATH + mailed_token(invitations.PATH)
    assert post(client, f"{PATH}/again", invitation=row.id).status_code == 303
    new = invitations.PATH + mailed_token(invitations.PATH)
    assert new != old
    assert anonymous.get(old).status_code == 404
    assert anonymous.get(new).status_code == 200
    assert f"new link is on its way to {CARL}" in toast_of(client)


def test_where_it_cannot_be_sent_again_the_link_before_works_on(
    client, post, anonymous, invited, use_settings
):
    row = invited("carl@example.org")
    link = invitations.PATH + mailed_token(invitations.PATH)
    refuse_mail(use_settings)
    assert post(client, f"{PATH}/again", invitation=row.id).status_code == 303
    assert "example.org" in toast_of(client, "bad")
    assert anonymous.get(link).status_code == 200


def test_it_revokes_and_takes_it_back(client, post, anonymous, invited):
    row = invited()
    link = invitations.PATH + mailed_token(invitations.PATH)
    assert post(client, f"{PATH}/revoke", invitation=row.id).status_code == 303
    assert anonymous.get(link).status_code == 404
    form = soup_of(client).select_one("#toasts form")
    fields = {field["name"]: field["value"] for field in form.select("input")}
    assert client.post(form["action"], data=fields).status_code == 303
    assert anonymous.get(link).status_code == 200
    assert actions()[1:] == ["invitation.revoked", "invitation.restored"]


def test_it_says_why_a_revoking_cannot_be_taken_back(client, post, invited):
    row = invited()
    post(client, f"{PATH}/revoke", invitation=row.id)
    soup_of(client)
    invited()  # anew
    assert post(client, f"{PATH}/restore", invitation=row.id).status_code == 303
    assert "is invited already" in toast_of(client, "bad")


def test_what_was_not_revoked_is_not_restored(client, post, invited):
    row = invited()
    assert post(client, f"{PATH}/restore", invitation=row.id).status_code == 404
    Invitation.update(accepted_at=clock.now()).where(Invitation.id == row.id).execute()
    for action in ("again", "revoke", "restore"):
        assert post(client, f"{PATH}/{action}", invitation=row.id).status_code == 404


@pytest.mark.parametrize("action", ["again", "revoke", "restore"])
@pytest.mark.parametrize("number", ["", "x", "0", "-1", "9" * 30])
def test_there_is_no_such_invitation(client, post, invited, action, number):
    invited()
    assert post(client, f"{PATH}/{action}", invitation=number).status_code == 404
    assert len(invitations.list_open(WORKSPACE_A)) == 1


@pytest.mark.parametrize("action", ["again", "revoke", "restore"])
def test_invitations_of_another_workspace_are_out_of_reach(sign_in, post, admin_b, invited, action):
    row = invited()
    if action == "restore":
        invitations.revoke(WORKSPACE_A, invitation_id=row.id, by=SYSTEM)
    before = Invitation.get_by_id(row.id).__data__
    client = sign_in(admin_b)
    response = post(client, f"{PATH}/{action}", workspace_id=WORKSPACE_B, invitation=row.id)
    assert response.status_code == 404
    assert post(client, f"{PATH}/{action}", invitation=row.id).status_code == 409
    assert Invitation.get_by_id(row.id).__data__ == before
    assert len(mails()) == 1
    assert CARL not in client.get(PATH).text


def test_who_has_not_confirmed_their_own_address_invites_nobody(
    sign_in, post, make_person, invited
):
    client = sign_in(make_person("eve@a.example", is_verified=False))
    row = invited()
    soup = soup_of(client)
    assert verified.NEEDED in soup.select_one(".locked").text
    assert soup.select_one("form fieldset")["disabled"] == ""
    assert soup.select(f"form[action='{PATH}/again']") == []
    for path, fields in ((PATH, {"email": "x@a.example", "role": "viewer"}),
                         (f"{PATH}/again", {"invitation": row.id})):  # fmt: skip
        response = post(client, path, **fields)
        assert response.status_code == 403
        assert verified.NEEDED in response.text
    assert len(mails()) == 1
    assert post(client, f"{PATH}/revoke", invitation=row.id).status_code == 303


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.VIEWER])
def test_who_is_no_admin_sees_them_and_changes_nothing(sign_in, post, make_person, invited, role):
    client = sign_in(make_person("otto@a.example", role))
    row = invited()
    soup = soup_of(client)
    assert CARL in soup.select_one("tbody").text
    assert "Only an admin" in soup.select_one(".locked").text
    assert soup.select("tbody form, main form [type=submit]") == []
    for path in (PATH, f"{PATH}/again", f"{PATH}/revoke", f"{PATH}/restore"):
        response = post(client, path, invitation=row.id, email="x@a.example", role="admin")
        assert response.status_code == 403
    assert [one.email for one in invitations.list_open(WORKSPACE_A)] == [CARL]
    assert len(mails()) == 1


def test_it_says_who_can_accept_where_nobody_new_is_taken(page, use_settings):
    assert "takes no new people" not in page(PATH).text
    use_settings(signup_mode="closed")
    assert "takes no new people" in page(PATH).text


def test_who_is_not_signed_in_sees_nothing(anonymous, post, invited):
    row = invited()
    response = anonymous.get(PATH)
    assert (response.status_code, response.location) == (303, f"/login?next={PATH}")
    for path in (PATH, f"{PATH}/again", f"{PATH}/revoke", f"{PATH}/restore"):
        response = post(anonymous, path, invitation=row.id, email="x@a.example", role="admin")
        assert response.status_code == 401
    assert len(invitations.list_open(WORKSPACE_A)) == len(mails()) == 1


def test_a_form_without_its_token_changes_nothing(client, invited):
    row = invited()
    for path in (PATH, f"{PATH}/again", f"{PATH}/revoke", f"{PATH}/restore"):
        form = {"workspace_id": WORKSPACE_A, "invitation": row.id, "email": "x@a.example"}
        assert client.post(path, data={**form, "role": "admin"}).status_code == 400
    assert len(invitations.list_open(WORKSPACE_A)) == len(mails()) == 1


@pytest.fixture
def throttled(app):
    """Count, from nothing."""
    throttle.limiter.enabled = True
    throttle.limiter.reset()
    yield
    throttle.limiter.reset()
    throttle.limiter.enabled = False


def test_nobody_has_the_world_mailed(client, post, throttled):
    statuses = [
        post(client, PATH, email=f"user{number}@a.example", role="viewer").status_code
        for number in range(61)
    ]
    count = statuses.count(303)
    assert 10 <= count <= 60
    assert statuses == [303] * count + [429] * (61 - count)
    assert len(mails()) == count


def test_nobody_is_mailed_again_and_again(client, post, invited, throttled):
    row = invited()
    statuses = [
        post(client, f"{PATH}/again", invitation=row.id).status_code for number in range(61)
    ]
    assert statuses[0] == 303
    assert statuses[-1] == 429
    assert len(mails()) == statuses.count(303) + 1


def test_a_name_is_text(client, post, page):
    post(client, PATH, email='"<b>x</b>"@a.example', role="viewer")
    assert "<b>x" not in str(page(PATH))
