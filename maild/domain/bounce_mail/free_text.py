"""Reports written for people: who failed, and which lines are about whom.

In charge of finding the recipients in a text and the lines that go with each. It knows no mail
system by name: they all name an address and then say, near it, what happened. Not in charge of what
the lines mean (`reason`).
"""

import re
from collections.abc import Sequence

from maild.domain.bounce_mail.addresses import in_text

_RECIPIENT_LIMIT = 50
_LINE_LIMIT = 600
_LINES_OF_ONE = 60
_REST_LIMIT = 8000  # characters; read again for each recipient

_BEFORE_LISTED = re.compile(
    r"[\s>*•·|#\-]*(?:\d{1,3}[.)]\s)?(?:[45]\d\d[ -](?:[45]\.\d\.\d{1,3} )?)?[\s<\"'(\[]*"
    r"(?:rfc822;|smtp:)?[\s<]*",
    re.IGNORECASE,
)
_AFTER_LISTED = re.compile(r"[>\"')\]]{0,4}\s{0,4}(?:$|[:;,(<\[]|\.\.|-|—|=)")
# Words that go with somebody whom mail was for, and with somebody else.
_ABOUT_RECIPIENT = re.compile(
    r"recipient|rcpt|\bto\b|\bfor\b|deliver|undeliver|user|mailbox|address|fail|unknown|unreach"
    r"|reject|unable|could ?n.t|cannot|宛|destinat|empf|получател",
    re.IGNORECASE,
)
_ABOUT_OTHERS = re.compile(
    r"\b(?:from|sender|contact|cc|bcc|reply-?to|return-path|envelope-from|by|please (?:e-?mail"
    r"|write|mail|forward)|questions?|help|assistance|support|postmaster at|message-id"
    r"|x-[a-z-]{1,30})"
    r"\s{0,3}[:=]?\s{0,3}[<\"'(]{0,3}$",
    re.IGNORECASE,
)
# Of the original's header, told again: whom it was written to is not yet who failed.
_SUMMARY = re.compile(r"[\s>]*(?:to|cc|subject|sent|date|message-id)\s{0,4}:", re.IGNORECASE)
_SYSTEM_NAMES = frozenset(
    {"mailer-daemon", "postmaster", "abuse", "support", "helpdesk", "hostmaster", "noreply",
     "no-reply", "mailerdaemon", "mail-daemon", "security"}
)  # fmt: skip


def recipients_of(words: str, *, others: Sequence[str] = ()) -> list[str]:
    """Whom the text calls failed, in order. `others` (the sender) are named for other reasons, and
    are taken only where nobody else is."""
    listed: list[str] = []
    mentioned: list[str] = []
    remaining: list[str] = []
    is_list = True  # whether a list may begin, or goes on, at this line
    for line in _lines(words):
        was_list, is_list = is_list, not line.strip() or line.rstrip().endswith(":")
        for address, start, end in in_text(line):
            before, after = line[:start], line[end:]
            if _ABOUT_OTHERS.search(before):
                continue
            if _BEFORE_LISTED.fullmatch(before) and (was_list or _AFTER_LISTED.match(after)):
                is_list = True
                _add(listed, address)
            elif _SUMMARY.match(line):
                _add(remaining, address)
            elif _ABOUT_RECIPIENT.search(before) or _ABOUT_RECIPIENT.search(after[:80]):
                _add(mentioned, address)
            else:
                _add(remaining, address)
    unlikely = {other.lower() for other in others}
    for found in (listed, mentioned, remaining):
        likely = [
            address
            for address in found
            if address.lower() not in unlikely
            and address.partition("@")[0].lower() not in _SYSTEM_NAMES
        ]
        if likely:
            return likely
    for found in (listed, mentioned):
        if found:
            return found
    return []


def lines_about(words: str, recipients: Sequence[str]) -> dict[str, list[str]]:
    """For each recipient the texts that may tell why, the closest first: from where it is named to
    where the next one is; then what stands before them all, or everything where it is alone."""
    lowered = [recipient.lower() for recipient in recipients]
    own: dict[str, list[str]] = {recipient: [] for recipient in lowered}
    shared: list[str] = []
    owner = ""
    for line in _lines(words):
        text = line.lower()
        named = [recipient for recipient in lowered if recipient in text] if "@" in text else []
        owner = named[-1] if named else owner
        for recipient in named or ([owner] if owner else []):
            if len(own[recipient]) < _LINES_OF_ONE:
                own[recipient].append(line)
        if not owner or len(own) == 1:
            shared.append(line)
    rest = "\n".join(shared)[:_REST_LIMIT]
    return {recipient: ["\n".join(own[recipient.lower()]), rest] for recipient in recipients}


def _lines(words: str) -> list[str]:
    return [line[:_LINE_LIMIT] for line in words.split("\n")[:1500]]


def _add(addresses: list[str], address: str) -> None:
    known = {other.lower() for other in addresses}
    if address.lower() not in known and len(addresses) < _RECIPIENT_LIMIT:
        addresses.append(address)
