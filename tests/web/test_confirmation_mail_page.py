"""/ui/audience/confirmation: the mail that asks; and asking a contact once more."""

import pytest
from bs4 import BeautifulSoup

from maild.domain.actor import Actor
from maild.domain.contact import ContactStatus
from maild.models import ConfirmationMail, Contact, Message, OptInAsk
from maild.services import confirmation_mails
from maild.services.confirmation_mails import Words
from tests.conftest import WORKSPACE_A, WORKSPACE_B

OLAF = Actor("olaf@a.example")
PATH = "/ui/audience/confirmation"
FIELDS = {
    "from_email": "news@shop.example",
    "from_name": "The shop",
    "subject": "Do you want our news?",
    "body_text": "Yes: {{ link }}",
    "version": "0",
}


@pytest.fixture
def contact(database):
    def make(status=ContactStatus.PENDING, *, workspace_id=WORKSPACE_A):
        return Contact.create(
            workspace_id=workspace_id, email="ann@example.org", status=status, topics=[],
            created_by="x",
        )  # fmt: skip

    return make


def soup_of(response):
    return BeautifulSoup(response.text, "html.parser")


def test_it_shows_the_words_that_come_with_maild_and_how_they_look(page):
    soup = page(PATH)
    assert "the words that come with maild" in soup.text
    assert soup.select_one("#subject")["value"] == "Please confirm your address"
    preview = soup.select_one(".body-text").text
    assert "/opt-in/…" in preview
    assert "{{" not in preview


def test_an_admin_writes_it(client, post, page):
    answer = post(client, PATH, **FIELDS)
    assert (answer.status_code, answer.location) == (303, PATH)
    row = ConfirmationMail.get()
    assert (row.from_email, row.subject, row.version) == (
        "news@shop.example", "Do you want our news?", 1,
    )  # fmt: skip
    soup = page(PATH)
    assert soup.select_one("[name=version]")["value"] == "1"
    assert "come with maild" not in soup.text


def test_a_preview_saves_nothing(client, post):
    answer = post(client, PATH, **{**FIELDS, "body_text": "Hey <b>{{ link }}</b>"}, preview="1")
    assert answer.status_code == 200
    soup = soup_of(answer)
    assert soup.select_one(".body-text").text.startswith("Hey <b>http")
    assert not ConfirmationMail.select().exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"from_email": "shop"}, "from_email"),
        ({"from_name": "a\r\nBcc: eve@b.example"}, "from_name"),
        ({"subject": ""}, "subject"),
        ({"body_text": "no link"}, "body_text"),
        ({"body_text": "{{ link }}\0"}, "body_text"),
        ({"body_text": "{{ link }} 🦓 {{ name }}"}, "body_text"),
    ],
)
def test_what_is_wrong_is_told_beside_it_and_kept(client, post, changes, field):
    answer = post(client, PATH, **{**FIELDS, **changes})
    assert answer.status_code == 422
    soup = soup_of(answer)
    assert soup.select_one(f"#{field}-error").text.strip()
    assert soup.select_one("#from_name")["value"].startswith(changes.get("from_name", "The")[:1])
    assert not ConfirmationMail.select().exists()


@pytest.mark.parametrize("version", ["0", "", "x", "-1", "9" * 50])
def test_a_stale_form_shows_theirs_and_keeps_yours(client, post, version):
    theirs = Words("a@shop.example", None, "Theirs", "Theirs: {{ link }}", 0)
    confirmation_mails.save(WORKSPACE_A, theirs, by=OLAF)
    answer = post(client, PATH, **{**FIELDS, "version": version})
    assert answer.status_code == 409
    soup = soup_of(answer)
    assert "olaf@a.example has changed this mail" in soup.select_one("[role=alert]").text
    assert "Theirs: {{ link }}" in soup.text
    assert soup.select_one("#subject")["value"] == FIELDS["subject"]
    again = soup.select_one("[name=version]")["value"]
    assert post(client, PATH, **{**FIELDS, "version": again}).status_code == 303
    assert ConfirmationMail.get().subject == FIELDS["subject"]


@pytest.mark.parametrize("who", ["operator_a", "viewer_a"])
def test_others_read_it_and_are_told_who_may_write(sign_in, post, request, who):
    client = sign_in(request.getfixturevalue(who))
    soup = soup_of(client.get(PATH))
    assert "Only an admin" in soup.text
    assert not soup.select("main button[type=submit]")
    assert post(client, PATH, **FIELDS).status_code == 403


def test_another_workspaces_is_not_shown(page):
    theirs = Words("a@zebra.example", None, "Zebra", "Zebra: {{ link }}", 0)
    confirmation_mails.save(WORKSPACE_B, theirs, by=OLAF)
    assert "zebra" not in page(PATH).text.lower()


def test_a_stranger_sees_nothing(anonymous, post):
    assert anonymous.get(PATH).status_code == 303
    assert post(anonymous, PATH, **FIELDS).status_code == 401


# Asking again


def test_an_operator_has_a_contact_asked_again(operator_a, sign_in, post, contact):
    row, client = contact(), sign_in(operator_a)
    where = f"/ui/audience/contacts/{row.id}"
    answer = post(client, f"{where}/ask")
    assert (answer.status_code, answer.location) == (303, where)
    assert Message.get().to_email == "ann@example.org"
    text = client.get(where).text
    assert "The mail is on its way" in text
    assert str(Message.get().id) in text
    assert post(client, f"{where}/ask").status_code == 303
    assert "Nothing was sent" in client.get(where).text
    assert Message.select().count() == 1


def test_who_is_confirmed_is_not_asked(client, post, contact):
    row = contact(ContactStatus.ACTIVE)
    post(client, f"/ui/audience/contacts/{row.id}/ask")
    assert "Nothing was sent" in client.get(f"/ui/audience/contacts/{row.id}").text
    assert not Message.select().exists()


def test_a_viewer_asks_nobody(viewer_a, sign_in, post, contact):
    row, client = contact(), sign_in(viewer_a)
    assert post(client, f"/ui/audience/contacts/{row.id}/ask").status_code == 403
    assert "You are a viewer here" in client.get(f"/ui/audience/contacts/{row.id}").text


def test_another_workspaces_contact_is_not_there(client, post, contact):
    row = contact(workspace_id=WORKSPACE_B)
    assert post(client, f"/ui/audience/contacts/{row.id}/ask").status_code == 404
    assert not OptInAsk.select().exists()
