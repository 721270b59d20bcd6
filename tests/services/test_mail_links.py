"""The links in a mail's text by which its recipient leaves: one for each recipient."""

import email
import email.policy
import re
from collections.abc import Callable

from maild.domain.states import Stream
from maild.models import Message
from maild.services import mail_links, originals, unsubscribe_links
from tests.conftest import Inbox

TEXT = f"Leave: {mail_links.UNSUBSCRIBE_MARK} or choose: {mail_links.PREFERENCES_MARK}."
HTML = f'<a href="{mail_links.UNSUBSCRIBE_MARK}">Leave</a>'


def test_each_recipient_gets_links_of_their_own(
    inbox: Inbox, accept: Callable[..., Message], deliver: Callable[[], int]
) -> None:
    accept(body_text=TEXT, body_html=HTML, stream=Stream.MARKETING, cc=("bob@example.org",))
    deliver()
    tokens = {}
    for told in inbox.messages():
        mail = email.message_from_bytes(inbox.raw(told["ID"]), policy=email.policy.default)
        [recipient] = inbox.envelope(told["ID"])["Recipients"]
        parts = [mail.get_body((kind,)).get_content() for kind in ("plain", "html")]
        assert not any("maild.invalid" in part for part in parts)
        [leave] = re.findall(r"https?://[^ \"]+/u/[^ \"]+", parts[0])
        [choose] = re.findall(r"https?://[^ \"]+/preferences/[^ \".]+", parts[0])
        assert f'href="{leave}"' in parts[1]
        tokens[recipient] = leave.rpartition("/")[2]
        assert choose.rpartition("/")[2] == tokens[recipient]
        assert unsubscribe_links.open_token(tokens[recipient]).email == recipient
        assert f"<{leave}>" == mail["List-Unsubscribe"]
    assert set(tokens) == {"ann@example.org", "bob@example.org"}


def test_nobody_else_is_shown_a_link(accept: Callable[..., Message]) -> None:
    message = accept(body_text=TEXT, stream=Stream.MARKETING)
    raw = originals.get_raw(message)
    assert b"maild.invalid" not in raw
    assert raw.count(originals.HIDDEN_TOKEN.encode()) >= 2


def test_transactional_mail_goes_out_as_it_was_written(accept: Callable[..., Message]) -> None:
    message = accept(body_text="a https://example.com b")
    assert b"a https://example.com b" in originals.get_raw(message)
