"""/confirm: showing that an address is one's own."""

import re

import pytest

from maild.domain.actor import SYSTEM
from maild.models import MessageBody, Person
from maild.services import email_changes, mailed_links, onboarding_steps
from maild.services.onboarding_steps import StepId
from tests.conftest import PASSWORD, WORKSPACE_A


@pytest.fixture
def newcomer(make_person):
    return make_person("new@a.example", is_verified=False)


@pytest.fixture
def path_of_mail():
    """The path of the link in the newest mail to an address."""

    def find(to_email):
        [body] = [b for b in MessageBody.select() if b.message.to_email == to_email]
        return re.search(r"/confirm/[\w-]+", body.body_text)[0]

    return find


def test_it_confirms_with_a_button_and_not_by_opening(sign_in, newcomer, path_of_mail, post):
    mailed_links.send_confirmation(newcomer)
    path = path_of_mail("new@a.example")
    client = sign_in(newcomer)
    assert client.get(path).status_code == 200
    assert Person.get().email_verified_at is None
    response = post(client, path)
    assert (response.status_code, response.location) == (303, "/ui/onboarding")
    assert Person.get().email_verified_at is not None
    assert post(client, path).status_code == 404


def test_it_leads_to_the_wizard_only_who_sets_something_up(
    sign_in, newcomer, viewer_a, path_of_mail, post
):
    for step in StepId:
        onboarding_steps.skip(WORKSPACE_A, step, by=SYSTEM)
    mailed_links.send_confirmation(newcomer)
    assert post(sign_in(newcomer), path_of_mail(newcomer.email)).location == "/dashboard"
    for step in StepId:
        onboarding_steps.resume(WORKSPACE_A, step, by=SYSTEM)
    email_changes.ask(viewer_a.id, email="vera@c.example", password=PASSWORD)
    viewer = sign_in(viewer_a)
    assert post(viewer, path_of_mail("vera@c.example")).location == "/dashboard"


def test_the_mail_alone_confirms_nothing(anonymous, newcomer, path_of_mail, post):
    """A stranger may have signed up with the address: only they know the password."""
    mailed_links.send_confirmation(newcomer)
    path = path_of_mail("new@a.example")
    assert anonymous.get(path).location == "/login"  # without the token in its address
    assert post(anonymous, path, workspace_id=None).status_code == 401
    assert Person.get().email_verified_at is None


def test_somebody_else_confirms_nothing(client, newcomer, path_of_mail, post):
    mailed_links.send_confirmation(newcomer)
    path = path_of_mail("new@a.example")
    assert "another account" in client.get(path).text
    assert post(client, path).status_code == 403
    assert Person.get(Person.email == "new@a.example").email_verified_at is None


def test_the_banner_is_there_until_the_address_is_confirmed(sign_in, newcomer, admin_a):
    assert "new@a.example" in sign_in(newcomer).get("/ui").text.split("<main")[0]
    assert "Confirm your address" not in sign_in(admin_a).get("/ui").text


def test_it_is_sent_again(sign_in, newcomer, post):
    response = post(sign_in(newcomer), "/confirm")
    assert response.status_code == 303
    assert MessageBody.select().count() == 1


def test_nothing_is_sent_to_who_has_confirmed_already(client, post):
    post(client, "/confirm")
    assert MessageBody.select().count() == 0


def test_a_stranger_has_nothing_sent(anonymous, post):
    assert post(anonymous, "/confirm", workspace_id=None).status_code == 401


def test_it_changes_the_address_by_the_link_to_the_new_one(client, admin_a, path_of_mail, post):
    email_changes.ask(admin_a.id, email="anna@b.example", password=PASSWORD)
    path = path_of_mail("anna@b.example")
    page = client.get(path)
    assert "in place of" in page.text
    assert Person.get().email == "ann@a.example"
    assert post(client, path).status_code == 303
    assert Person.get().email == "anna@b.example"
    assert client.get("/ui").status_code == 200


def test_an_address_that_somebody_else_has_by_now_stays_theirs(
    client, admin_a, make_person, path_of_mail, post
):
    email_changes.ask(admin_a.id, email="anna@b.example", password=PASSWORD)
    make_person("anna@b.example", None)
    response = post(client, path_of_mail("anna@b.example"))
    assert response.status_code == 422
    assert "has an account of its own" in response.text
    assert {p.email for p in Person.select()} == {"ann@a.example", "anna@b.example"}


def test_it_goes_on_to_the_link_after_logging_in(anonymous, newcomer, path_of_mail, post):
    mailed_links.send_confirmation(newcomer)
    path = path_of_mail("new@a.example")
    anonymous.get(path)
    response = post(
        anonymous, "/login", workspace_id=None, email="new@a.example", password=PASSWORD
    )
    assert response.location == path
    assert post(anonymous, path).status_code == 303
    assert Person.get().email_verified_at is not None
