"""/ui/templates/<id>/test: a test to people of the workspace, by the way of all mail."""

import pytest
from bs4 import BeautifulSoup

from maild.domain.states import Status, Stream
from maild.models import AuditEntry, Message, MessageBody
from maild.services import policies, suppressions, template_tests, templates
from tests.conftest import WORKSPACE_A
from tests.web.test_templates_page import (  # noqa: F401 - fixtures
    ADA,
    HTML,
    PATH,
    TYPED,
    contact,
    make,
    soup_of,
)

TEST = {"from_email": "shop@example.com", "to": "ann@a.example", "stream": "marketing"}


@pytest.fixture
def row(make):  # noqa: F811 - the fixture
    return make(subject='For {{ contact.name | default: "you" }}')


def problem_of(answer):
    return BeautifulSoup(answer.text, "html.parser").select_one(".form-error").text


def test_the_form_knows_who_asks_and_how_it_is_sent(page, row, make):  # noqa: F811
    soup = page(f"{PATH}/{row.id}/test")
    assert soup.select_one("#to")["value"] == "ann@a.example"
    assert soup.select_one("#stream option[selected]")["value"] == "marketing"
    plain = make(name="Plain", source="<p>Hello</p>")
    soup = page(f"{PATH}/{plain.id}/test")
    assert soup.select_one("#stream option[selected]")["value"] == "transactional"


def test_it_is_a_message_like_others(client, post, row):
    answer = post(client, f"{PATH}/{row.id}/test", **TEST)
    message = Message.get()
    assert answer.status_code == 303
    assert answer.location == f"{PATH}/{row.id}/test?sent={message.id}"
    assert (message.to_email, message.subject) == ("ann@a.example", "For Ann Example")
    assert (message.stream, message.tags) == (Stream.MARKETING, [template_tests.TAG])
    assert message.status is Status.QUEUED
    body = MessageBody.get()
    assert "Hello" in body.body_html
    assert "Hello" in body.body_text
    shown = soup_of(client, answer.location)
    assert shown.select_one(f"a[href='/ui/messages/{message.id}']")
    assert AuditEntry.select().order_by(AuditEntry.seq.desc()).first().action == "template.tested"


def test_what_is_typed_and_not_saved_is_sent_as_the_preview_shows_it(
    client,
    post,
    row,
    contact,  # noqa: F811 - the fixture
):
    contact(first_name="Bea")
    typed = {**TYPED, "version": "1", "subject": "Typed", "contact": "bea@example.org"}
    answer = post(client, f"{PATH}/{row.id}/preview", then="test", **typed)
    assert (answer.status_code, answer.location) == (303, f"{PATH}/{row.id}/test")
    shown = soup_of(client, answer.location).text
    assert "what you have typed and not saved" in shown
    assert "bea@example.org" in shown
    post(client, f"{PATH}/{row.id}/test", **TEST)
    assert Message.get().subject == "Typed"
    assert "Hello Bea" in MessageBody.get().body_html


def test_several_get_one_each(client, post, row, operator_a):
    answer = post(
        client,
        f"{PATH}/{row.id}/test",
        **{**TEST, "to": "OLAF@a.example, ann@a.example;olaf@a.example"},
    )
    assert {one.to_email for one in Message.select()} == {"ann@a.example", "olaf@a.example"}
    assert len(soup_of(client, answer.location).select(".tests-sent li")) == 2


@pytest.mark.parametrize(
    "to",
    ["", " , ", "stranger@example.org", "bob@b.example", "x", "a@b@c", "ann@a.example\0",
     "ann@a.example," * 6, "🙂@a.example"],
    ids=lambda value: repr(value)[:20],
)  # fmt: skip
def test_it_goes_to_people_of_the_workspace_alone(client, post, row, admin_b, to):
    answer = post(client, f"{PATH}/{row.id}/test", **{**TEST, "to": to})
    assert answer.status_code == 422
    assert BeautifulSoup(answer.text, "html.parser").select_one("#to-error").text.strip()
    assert Message.select().count() == 0


def test_it_says_why_it_was_refused_or_stopped(client, post, row):
    policies.save(
        WORKSPACE_A, changes={"allowed_from_domains": ["shop.example"]}, reason="x", by=ADA
    )
    answer = post(client, f"{PATH}/{row.id}/test", **TEST)
    assert answer.status_code == 422
    assert "example.com" in problem_of(answer)
    suppressions.add(WORKSPACE_A, "ann@a.example", reason="x", source="console", by=ADA)
    answer = post(client, f"{PATH}/{row.id}/test", **{**TEST, "from_email": "a@shop.example"})
    assert "recipient suppressed" in soup_of(client, answer.location).text
    assert Message.get().status is Status.QUEUED or Message.get().suppression_id is not None


def test_what_has_gaps_is_not_sent(client, post, make):  # noqa: F811 - the fixture
    row = make(source=HTML.replace("Hello", "{{ contact.nothing }}"))
    typed = {**TYPED, "version": "1", "source": HTML.replace("Hello", "{{ contact.nothing }}")}
    post(client, f"{PATH}/{row.id}/preview", **typed)
    answer = post(client, f"{PATH}/{row.id}/test", **TEST)
    assert "contact.nothing" in problem_of(answer)
    answer = post(client, f"{PATH}/{row.id}/test", **{**TEST, "stream": "transactional"})
    assert "send it as marketing mail" in problem_of(answer)
    typed["source"] = "{% if %}"
    post(client, f"{PATH}/{row.id}/preview", **typed)
    assert "Mend it in the composer" in problem_of(post(client, f"{PATH}/{row.id}/test", **TEST))
    assert Message.select().count() == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("from_email", "x"), ("from_email", ""), ("from_email", "a@b\r\nc"), ("stream", "zebra")],
)
def test_what_is_wrong_is_told(client, post, row, field, value):
    answer = post(client, f"{PATH}/{row.id}/test", **{**TEST, field: value})
    assert answer.status_code == 422
    assert Message.select().count() == 0


def test_only_who_may_sends(sign_in, make_person, viewer_a, post, row):
    for person in (viewer_a, make_person("new@a.example", is_verified=False)):
        browser = sign_in(person)
        assert post(browser, f"{PATH}/{row.id}/test", **TEST).status_code == 403
        assert browser.get(f"{PATH}/{row.id}/test").status_code == 200
    assert Message.select().count() == 0


def test_nothing_archived_is_sent(client, post, row):
    templates.archive(WORKSPACE_A, row.id, by=ADA)
    assert post(client, f"{PATH}/{row.id}/test", **TEST).status_code == 409
    assert Message.select().count() == 0


def test_messages_that_are_no_tests_are_not_shown(page, row, accept):
    message = accept()
    soup = page(f"{PATH}/{row.id}/test?sent={message.id}&sent=x&sent=")
    assert str(message.id) not in soup.text
