"""A message as it goes over the wire."""

import email
import email.policy

import pytest

from maild.domain.mime import Attachment
from maild.domain.states import Stream
from maild.errors import NotFound
from maild.models import LinkKey, MessageBody
from maild.services import messages, originals

FILE = Attachment("bill.pdf", "application/pdf", b"x" * 50_000)


def head_of(message):
    return originals.get_head(
        message, messages.get_body(message), messages.list_attachments(message)
    )


def parse(raw):
    return email.message_from_bytes(raw, policy=email.policy.default)


def test_it_is_what_was_sent(accept, inbox, deliver):
    message = accept(
        body_html="<p>Hello</p>", reply_to="help@example.com", headers=(("X-Campaign", "n"),),
        attachments=(FILE,), from_name="The shop",
    )  # fmt: skip
    assert deliver() == 1
    [received] = inbox.messages()
    sent = parse(inbox.raw(received["ID"]))
    raw = parse(originals.get_raw(message))
    for name in ("From", "To", "Subject", "Date", "Message-ID", "Reply-To", "X-Campaign"):
        assert raw[name] == sent[name], name
    [file] = raw.iter_attachments()
    assert file.get_content() == FILE.content


def test_its_head_is_that_of_the_whole(accept):
    for more in ({}, {"attachments": (FILE,)}, {"body_html": "<p>x</p>"}):
        message = accept(subject="Grüße", **more)
        whole = originals.get_raw(message).partition(b"\r\n\r\n")[0].decode()
        assert head_of(message) == whole.replace("\r\n", "\n")


def test_the_link_to_unsubscribe_has_no_token_and_no_key_is_made(accept):
    message = accept(stream=Stream.MARKETING)
    keys = LinkKey.select().count()
    for text in (head_of(message), originals.get_raw(message).decode()):
        assert "/u/not-shown>" in text
        assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in text
    assert LinkKey.select().count() == keys


def test_transactional_mail_has_no_link(accept):
    assert "List-Unsubscribe" not in head_of(accept())


def test_content_that_is_not_kept_any_more_is_not_found(accept):
    message = accept()
    MessageBody.delete().where(MessageBody.message == message.id).execute()
    with pytest.raises(NotFound, match="no longer kept"):
        originals.get_raw(message)
