"""/ui/settings/profile: a person's own name and address."""

import pytest

from maild.models import MessageBody, Person
from tests.conftest import PASSWORD


def test_it_changes_the_name(client, post):
    assert post(client, "/ui/settings/profile", name=" Anna ✨ ").status_code == 303
    assert Person.get().name == "Anna ✨"


@pytest.mark.parametrize("name", ["", " ", "x" * 81, "a\r\nb", "\x00", "\u202eevil"])
def test_it_says_what_is_wrong_with_a_name(client, post, name):
    assert post(client, "/ui/settings/profile", name=name).status_code == 422
    assert Person.get().name == "Ann"


def test_a_name_is_text(client, post):
    post(client, "/ui/settings/profile", name='"><img src=x>')
    assert "<img" not in client.get("/ui").text


def test_it_asks_to_change_the_address_with_the_password_and_tells_the_old_one(client, post):
    response = post(client, "/ui/settings/profile/email", email="Anna@b.example", password=PASSWORD)
    assert response.status_code == 303
    assert Person.get().email == "ann@a.example"  # until the link is followed
    assert {body.message.to_email for body in MessageBody.select()} == {
        "anna@b.example",
        "ann@a.example",
    }


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"email": "anna@b.example", "password": "not it"}, "not your password"),
        ({"email": "anna", "password": PASSWORD}, "@"),
        ({"email": "ANN@a.example", "password": PASSWORD}, "your address already"),
        ({"email": "bob@b.example", "password": PASSWORD}, "has an account"),
    ],
)
def test_it_says_why_an_address_cannot_be_changed(client, post, admin_b, fields, words):
    response = post(client, "/ui/settings/profile/email", **fields)
    assert response.status_code == 422
    assert words.lower() in response.text.lower()
    assert MessageBody.select().count() == 0
    assert "<details" in response.text
    assert PASSWORD not in response.text
