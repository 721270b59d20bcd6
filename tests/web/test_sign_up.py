"""/signup."""

import pytest

from maild.models import AuditEntry, Member, MessageBody, Person, Session, Workspace
from maild.services.workspaces import MAILDS_OWN_ID
from tests.conftest import PASSWORD

RIGHT = {
    "name": "Ann Smith",
    "email": "Ann@Example.com",
    "password": PASSWORD,
    "workspace_name": "Acme",
    "workspace_id": None,
}


@pytest.fixture
def sign_up(anonymous, post):
    """Send the form, with what is given in place of what is right."""
    return lambda **fields: post(anonymous, "/signup", **{**RIGHT, **fields})


def test_it_makes_a_person_with_a_workspace_and_signs_them_in(anonymous, sign_up):
    response = sign_up()
    assert (response.status_code, response.location) == (303, "/ui/onboarding/workspace")
    person = Person.get()
    assert (person.name, person.email, person.email_verified_at) == (
        "Ann Smith",
        "ann@example.com",
        None,
    )
    assert PASSWORD not in person.password_hash
    member = Member.get()
    assert (member.person_id, member.role.value) == (person.id, "admin")
    assert Workspace.get_by_id(member.workspace_id).name == "Acme"
    assert anonymous.get("/ui").status_code == 200


def test_it_mails_a_link_to_confirm_the_address(sign_up):
    sign_up()
    body = MessageBody.get()
    assert body.message.workspace_id == MAILDS_OWN_ID
    assert body.message.to_email == "ann@example.com"
    assert "/confirm/" in body.body_text


def test_the_first_person_of_a_development_copy_takes_the_workspace_that_is_there(
    sign_up, anonymous, post
):
    sign_up()
    assert Member.get().workspace_id == 1
    post(anonymous, "/logout")
    sign_up(email="bob@example.com", workspace_name="Bob's")
    assert Member.select().order_by(Member.person.desc()).first().workspace_id > 2


def test_nobody_takes_it_in_production(sign_up, use_settings):
    use_settings(env="production", signup_mode="open")
    sign_up()
    assert Member.get().workspace_id > 2
    assert Workspace.get_by_id(1).name == "Default"


@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({"name": ""}, "name", "Is required"),
        ({"name": "   "}, "name", "Is required"),
        ({"name": "Ann\r\nBcc: x@example.com"}, "name", "printable"),
        ({"name": "x" * 81}, "name", "longer than 80"),
        ({"email": ""}, "email", "Is required"),
        ({"email": "ann"}, "email", "@"),
        ({"email": "ann@example.com\nx"}, "email", ""),
        ({"email": "a" * 300 + "@example.com"}, "email", "longer than"),
        ({"password": ""}, "password", "10 characters"),
        ({"password": "short"}, "password", "10 characters"),
        ({"password": "x" * 201}, "password", "longer than 200"),
        ({"password": "password123"}, "password", "too easy to guess"),
        ({"password": "ann@example.com"}, "password", "too easy to guess"),
        ({"workspace_name": ""}, "workspace_name", "Is required"),
        ({"workspace_name": "x" * 65}, "workspace_name", "longer than 64"),
        ({"workspace_name": "a\x00b"}, "workspace_name", "printable"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_it_says_at_the_field_what_is_wrong_and_makes_nothing(sign_up, page, wrong, field, words):
    from bs4 import BeautifulSoup

    response = sign_up(**wrong)
    assert response.status_code == 422
    soup = BeautifulSoup(response.text, "html.parser")
    complaint = soup.select_one(f"#{field}-error").get_text()
    assert complaint
    assert words in complaint
    assert soup.select_one(f"#{field}")["aria-invalid"] == "true"
    assert Person.select().where(Person.name == "Ann Smith").count() == 0


def test_it_keeps_what_was_typed_but_the_password(sign_up):
    response = sign_up(password="short", name="<b>Ann</b>")
    assert 'value="Acme"' in response.text
    assert "&lt;b&gt;Ann&lt;/b&gt;" in response.text
    assert "short" not in response.text


def test_it_says_that_an_address_has_an_account(sign_up, admin_a):
    response = sign_up(email="ANN@a.example")
    assert response.status_code == 422
    assert "Has an account already" in response.text
    assert Person.select().count() == 1


@pytest.mark.parametrize(
    ("mode", "words"), [("invite", "by invitation only"), ("closed", "takes no new people")]
)
def test_it_is_closed_where_the_mode_says_so(anonymous, sign_up, use_settings, mode, words):
    use_settings(signup_mode=mode)
    for response in (anonymous.get("/signup"), sign_up()):
        assert response.status_code == 403
        assert words in response.text
    assert Person.select().count() == 0
    assert "Sign up" not in anonymous.get("/login").text


def test_it_leads_on_who_is_logged_in_already(client):
    assert client.get("/signup").location == "/dashboard"


def test_it_needs_the_token_of_the_form(anonymous):
    assert anonymous.post("/signup", data=RIGHT).status_code == 400
    assert Person.select().count() == 0


def test_it_signs_up_also_where_the_mail_cannot_go_out(sign_up, use_settings):
    use_settings(blocked_recipient_domains=("example.com",))
    assert sign_up().status_code == 303
    assert MessageBody.select().count() == 0
    assert Session.select().count() == 1


def test_it_is_in_both_audit_logs(sign_up):
    sign_up()
    entries = {(e.workspace_id, e.action, e.actor) for e in AuditEntry.select()}
    assert (0, "person.signed_up", "ann@example.com") in entries
    assert (1, "workspace.renamed", "ann@example.com") in entries


def test_it_tells_everything_at_once(sign_up, admin_a):
    text = sign_up(email="ann@a.example", password="short", workspace_name="").text
    assert "Has an account already" in text
    assert "Needs 10 characters" in text
    assert "Is required" in text
