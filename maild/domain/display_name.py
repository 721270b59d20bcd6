"""Names that people give to themselves and their workspaces, and that others get to read. Pure."""

import re

from maild.domain import submission

_LINK = re.compile(r"://|\bwww\.", re.IGNORECASE)


def find_fault(name: str, *, max_chars: int) -> str | None:
    """What is wrong with a name, without the spaces around it, as the end of a sentence.

    A name stands in mail to strangers, so it is nothing that a mail program turns into a link, and
    has no control characters, which could turn the reading around.
    """
    if not name:
        return "is required"
    if not name.isprintable():
        return "must be printable characters"
    if _LINK.search(name):
        return "must not look like a web address"
    for _, message in submission.check_line("name", name, max_chars=max_chars):
        return message
    return None
