"""Which message a report is about: by every id, in its workspace alone, and never by a guess."""

import pytest

from maild.domain.provider_event import MESSAGE_ID_KEY
from maild.models import Message, ProviderEvent
from maild.services import report_loop
from tests.conftest import WORKSPACE_B
from tests.services.helpers import (
    end,
    take_one,
)
from tests.services.reporting import (
    about,
    give_reply,
    make_due_again,
    report,
    status_of,
    suppressed,
)


def test_a_message_is_found_by_its_own_id(sent):
    message = sent()
    report(about(message, "delivered", message_id=str(message.id)))
    assert status_of(message) == "delivered"


def test_a_message_is_found_by_what_maild_gave_to_the_provider(sent):
    message = sent()
    entry = about(message, "delivered", metadata={MESSAGE_ID_KEY: str(message.id)})
    report({**entry, "message_id": "the-provider's-own"})
    assert status_of(message) == "delivered"


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ("Ok 0100018c-4f7e-000000", "0100018c-4f7e-000000"),
        ("Ok: queued as LRzXl_NHStOGhQ4kofSm_A", "LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-7.0"),
        ("2.0.0 Ok: queued as 4C5D6E7F80", "<4C5D6E7F80@mail.example.net>"),
    ],
)
def test_a_message_is_found_by_the_id_that_the_provider_gave_it(sent, reply, told):
    message = sent()
    give_reply(message, reply)
    report(about(message, "delivered", message_id=told))
    assert status_of(message) == "delivered"


def test_a_provider_id_finds_nothing_in_mail_to_somebody_else(sent):
    message = sent(to_email="bob@example.org")
    give_reply(message, "queued as 4C5D6E7F80")
    [event] = report(about(message, "delivered", message_id="4C5D6E7F80", email="eve@example.org"))
    assert status_of(message) == "sent"
    assert event.message_id is None


def test_of_recipients_who_share_a_message_id_the_right_one_is_meant(sent):
    first = sent(to_email="ann@example.org", cc=["bob@example.org", "Cy@example.org"])
    others = {
        m.to_email: m for m in Message.select().where(Message.submission_id == first.submission_id)
    }
    report(about(first, "delivered", email="BOB@example.org"))
    assert {to: status_of(m) for to, m in others.items()} == {
        "ann@example.org": "sent", "bob@example.org": "delivered", "Cy@example.org": "sent",
    }  # fmt: skip


def test_another_workspaces_message_is_not_found(sent):
    message = sent()
    [event] = report(about(message, "complained"), workspace_id=WORKSPACE_B)
    assert status_of(message) == "sent"
    assert event.message_id is None
    assert suppressed() == {}
    assert suppressed(WORKSPACE_B) == {"ann@example.org": "complaint"}


def test_what_belongs_to_no_message_is_kept_and_told(database):
    [event] = report({"type": "delivered", "email": "ann@example.org"})
    assert (event.status.value, event.message_id) == ("ignored", None)
    assert event.email == "ann@example.org"


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ("Message accepted for delivery", "accepted"),
        ("queued as 4C5D6E7F80AA", "4C5D6E7F80"),
        ("queued as X-4C5D6E7F80", "4C5D6E7F80"),
    ],
)
def test_what_only_looks_like_an_id_finds_nothing(sent, reply, told):
    message = sent()
    give_reply(message, reply)
    report(about(message, "delivered", message_id=told))
    assert status_of(message) == "sent"


def test_an_id_that_the_provider_gave_is_looked_for_again_once_the_reply_is_known(accept, lease):
    """The report is quicker than the worker that writes the reply down."""
    message = accept()
    claim = take_one(lease)
    entry = about(message, "delivered", message_id="0102018f-77aa-4f00")
    [event] = report(entry)
    assert (event.status.value, event.message_id) == ("received", None)
    end(claim)
    give_reply(message, "250 Ok 0102018f-77aa-4f00")
    make_due_again()
    report_loop.drain()
    assert status_of(message) == "delivered"


def test_one_that_is_about_none_of_them_does_not_wait_for_ever(accept, lease):
    message = accept()
    take_one(lease)
    [event] = report(about(message, "delivered", message_id="0102018f-77aa-4f00"))
    for _ in range(4):
        make_due_again()
        report_loop.drain()
    assert ProviderEvent.get_by_id(event.id).status.value == "ignored"
