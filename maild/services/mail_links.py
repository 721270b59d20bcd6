"""The links in a mail's text by which its recipient leaves: marks when it is stored, and links when
it is sent.

A message is stored once for all its recipients, before it has an id that a link could be sealed
with. So what a template fills in is a mark, and every recipient gets a link of their own.
"""

from dataclasses import dataclass

from maild import config
from maild.services import unsubscribe_links
from maild.services.unsubscribe_links import Link

UNSUBSCRIBE_MARK = "https://maild.invalid/unsubscribe-link"
PREFERENCES_MARK = "https://maild.invalid/preferences-link"
"""No host can be called so (RFC 2606 2): nothing else can mean them, and a program that shows them
leads nobody astray.
"""


@dataclass(frozen=True, slots=True)
class MailLinks:
    """What the marks of one recipient's mail become."""

    unsubscribe: str
    preferences: str


def of(link: Link) -> MailLinks:
    """The links of a recipient. `unsubscribe_links.load` came before."""
    return MailLinks(unsubscribe_links.make_url(link), unsubscribe_links.make_preferences_url(link))


def has_marks(*texts: str | None) -> bool:
    """Whether there is a mark in any of the texts."""
    return any(text and (UNSUBSCRIBE_MARK in text or PREFERENCES_MARK in text) for text in texts)


def hidden(token: str) -> MailLinks:
    """The links as they are shown to whoever is not the recipient."""
    root = config.current().public_url
    return MailLinks(
        f"{root}{unsubscribe_links.PATH}{token}",
        f"{root}{unsubscribe_links.PREFERENCES_PATH}{token}",
    )


def put_in(text: str | None, links: MailLinks | None) -> str | None:
    """The text with the links in place of the marks; as it is where there are none."""
    if text is None or links is None:
        return text
    text = text.replace(UNSUBSCRIBE_MARK, links.unsubscribe)
    return text.replace(PREFERENCES_MARK, links.preferences)
