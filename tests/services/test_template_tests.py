"""Test mails go to people of the workspace alone, by the way of all mail."""

import pytest

from maild.domain.actor import Actor
from maild.domain.states import Stream
from maild.errors import InvalidFields
from maild.models import AuditEntry, Message
from maild.services import policies, suppressions, template_tests
from maild.services.template_tests import RECIPIENTS_MAX, Mail
from tests.conftest import WORKSPACE_A, WORKSPACE_B

ANN = Actor("ann@a.example")


@pytest.fixture
def team(make_person):
    for name in "abcdef":
        make_person(f"{name}@a.example")
    make_person("x@b.example", workspace_id=WORKSPACE_B)


def send(*to, **fields):
    values = {"from_email": "shop@example.com", "stream": Stream.TRANSACTIONAL, **fields}
    mail = Mail("Hello", "<p>Hello</p>", "Hello")
    return template_tests.send(WORKSPACE_A, mail, name="Welcome", to=to, by=ANN, **values)


def test_each_gets_a_message_that_is_tagged(team):
    outcomes = send("a@a.example", "B@A.example", "a@a.example")
    assert [one.email for one in outcomes] == ["a@a.example", "b@a.example"]
    assert {tuple(one.tags) for one in Message.select()} == {(template_tests.TAG,)}
    [entry] = AuditEntry.select()
    assert (entry.action, entry.target) == ("template.tested", "template Welcome")
    assert entry.after == {"to": ["a@a.example", "b@a.example"], "stream": "transactional"}
    sent = template_tests.list_sent(WORKSPACE_A, [one.message.id for one in outcomes])
    assert [one.to_email for one in sent] == ["a@a.example", "b@a.example"]
    assert template_tests.list_sent(WORKSPACE_B, [one.message.id for one in outcomes]) == []


@pytest.mark.parametrize(
    "to",
    [
        (),
        ("x@b.example",),
        ("a@a.example", "stranger@example.org"),
        ("nobody",),
        ("",),
        ("a@a.example\r\nBcc: x@b.example",),
        ("a@a.example",) * (RECIPIENTS_MAX + 1),
    ],
    ids=str,
)
def test_nobody_else_and_not_too_many(team, to):
    with pytest.raises(InvalidFields) as caught:
        send(*to)
    assert {error.field for error in caught.value.errors} == {"to"}
    assert Message.select().count() == 0
    assert AuditEntry.select().count() == 0


def test_what_stops_all_mail_stops_a_test(team):
    suppressions.add(WORKSPACE_A, "a@a.example", reason="x", source="console", by=ANN)
    policies.save(
        WORKSPACE_A, changes={"blocked_recipient_domains": ["b.example"]}, reason="x", by=ANN
    )
    [one] = send("a@a.example")
    assert one.message.suppression_id is not None
    policies.save(
        WORKSPACE_A, changes={"blocked_recipient_domains": ["a.example"]}, reason="x", by=ANN
    )
    [one] = send("b@a.example")
    assert one.message is None
    assert "a.example" in one.problem
    assert [entry.action for entry in AuditEntry.select()].count("template.tested") == 1
