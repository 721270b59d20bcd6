"""The links by which people leave: what marketing mail carries, and what a link means.

In charge of what their token says and of the two header fields (RFC 2369, RFC 8058). What a person
does with a link is `unsubscribes` and `preferences`; the pages are `web/unsubscribe_links` and
`web/preferences`, and one token is good for both.

A token (`sealed_tokens`) holds the message's id, the address and the topic. It is a capability:
whoever holds it may do what the recipient may. Every attempt of a message carries the same bytes,
and nothing else is needed to open one: links outlive their message.
"""

import uuid
from dataclasses import dataclass

from maild import config
from maild.services import link_keys, sealed_tokens
from maild.services.link_keys import Key

PATH = "/u/"
PREFERENCES_PATH = "/preferences/"
ONE_CLICK = ("List-Unsubscribe", "One-Click")
"""What a one-click request says (RFC 8058 3.2)."""
LINE_MAX_OCTETS = 998  # RFC 5322 2.1.1

_PURPOSE = b"maild unsubscribe link"
_ID_BYTES = 16
_BETWEEN = b"\0"
"""Between address and topic; neither can hold it."""


@dataclass(frozen=True, slots=True)
class Link:
    """Who leaves what: `topic` is None where the message had none."""

    workspace_id: int
    message_id: uuid.UUID
    email: str
    topic: str | None


def load(workspace_id: int) -> None:
    """Ask for what `headers` needs: before, and beside the event loop. Asks the database once a
    minute at most. Raises NotFound, for the workspace, and DecryptionError.
    """
    link_keys.load(workspace_id)


def headers(
    *, workspace_id: int, message_id: uuid.UUID, email: str, topic: str | None
) -> tuple[tuple[str, str], ...]:
    """The fields that let the recipient of a marketing message leave; the same at every attempt.

    To be written as they are (`mime_headers.literal`). `email` and `topic` are in normal form.
    Asks nobody: `load` came before, or it raises LookupError.
    """
    url = make_url(Link(workspace_id, message_id, email, topic))
    return (
        ("List-Unsubscribe", f"<{url}>"),  # RFC 2369 2; RFC 8058 3.1: one HTTPS URI
        ("List-Unsubscribe-Post", "=".join(ONE_CLICK)),  # RFC 8058 3.1, 5
    )


def make_url(link: Link) -> str:
    """The address of the page for a link, signed with the key that `load` has found.

    One for which a header line has no room loses its topic, and leads out of all marketing: a
    topic of more than 320 octets may, together with the longest of addresses.
    """
    key = link_keys.signing(link.workspace_id)
    root = config.current().public_url + PATH
    room = LINE_MAX_OCTETS - len("List-Unsubscribe: <>") - len(root)
    token = _seal(key, link)
    if len(token) > room and link.topic is not None:
        token = _seal(key, Link(link.workspace_id, link.message_id, link.email, None))
    if len(token) > room:
        raise ValueError("to_email: is too long for an unsubscribe link")
    return root + token


def make_preferences_url(link: Link) -> str:
    """The address of the preference centre for the same link; as `make_url`."""
    root, _, token = make_url(link).rpartition(PATH)
    return root + PREFERENCES_PATH + token


def open_token(token: str) -> Link:
    """What a token means. Raises NotFound for all that is none, after the same work and with the
    same words.
    """
    workspace_id, plain = sealed_tokens.unseal(token, purpose=_PURPOSE)
    # What opens was sealed here.
    email, _, topic = plain[_ID_BYTES:].partition(_BETWEEN)
    return Link(
        workspace_id,
        uuid.UUID(bytes=plain[:_ID_BYTES]),
        email.decode(),
        topic.decode() or None,
    )


def _seal(key: Key, link: Link) -> str:
    plain = link.message_id.bytes + link.email.encode()
    if link.topic is not None:
        plain += _BETWEEN + link.topic.encode()
    return sealed_tokens.seal(key, purpose=_PURPOSE, plain=plain)
