"""Marketing mail on the wire: the way out that it carries, and what waits where there is none."""

import email
import email.policy
from collections.abc import Callable

import pytest

from maild.domain.states import Status, Stream
from maild.models import LinkKey, Message
from maild.services import link_keys, unsubscribe_links
from tests.conftest import WORKSPACE_A, WORKSPACE_B, Inbox
from tests.services.helpers import Accept, reload

pytestmark = pytest.mark.proves("deliver-unsubscribe-headers")


def parsed(inbox: Inbox, subject: str) -> email.message.EmailMessage:
    [found] = [m for m in inbox.messages() if m["Subject"] == subject]
    return email.message_from_bytes(inbox.raw(found["ID"]), policy=email.policy.default)


def test_marketing_mail_carries_a_link_of_its_own_and_other_mail_none(
    accept: Accept, inbox: Inbox, deliver: Callable[[], int]
) -> None:
    news = accept(stream=Stream.MARKETING, topic="News", subject="News")
    accept(subject="Your order")
    deliver()
    mail = parsed(inbox, "News")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    url = mail["List-Unsubscribe"].strip("<>")
    link = unsubscribe_links.open_token(url.rpartition("/u/")[2])
    assert (link.workspace_id, link.message_id) == (WORKSPACE_A, news.id)
    assert (link.email, link.topic) == ("ann@example.org", "news")
    other = parsed(inbox, "Your order")
    assert other["List-Unsubscribe"] is other["List-Unsubscribe-Post"] is None


def test_each_recipient_of_a_submission_has_a_link_of_their_own(
    accept: Accept, inbox: Inbox, deliver: Callable[[], int]
) -> None:
    accept(stream=Stream.MARKETING, cc=("bob@example.org",), bcc=("eve@example.org",))
    deliver()
    mails = [
        email.message_from_bytes(inbox.raw(m["ID"]), policy=email.policy.default)
        for m in inbox.messages()
    ]
    links = {mail["List-Unsubscribe"].strip("<>").rpartition("/u/")[2] for mail in mails}
    assert {unsubscribe_links.open_token(token).email for token in links} == {
        "ann@example.org", "bob@example.org", "eve@example.org",
    }  # fmt: skip


def test_marketing_without_a_key_that_opens_waits_and_keeps_nobody_waiting(
    accept: Accept, inbox: Inbox, deliver: Callable[[], int]
) -> None:
    link_keys.load(WORKSPACE_A)
    LinkKey.update(secret_encrypted=b"\x01nonsense").execute()
    link_keys.forget()
    stuck = accept(stream=Stream.MARKETING)
    others = [accept(), accept(stream=Stream.MARKETING, workspace_id=WORKSPACE_B)]
    deliver()
    assert [reload(m).status for m in others] == [Status.SENT, Status.SENT]
    assert (reload(stuck).status, reload(stuck).attempt_count) == (Status.QUEUED, 0)
    assert Message.select().where(Message.status == Status.SENDING).count() == 0
