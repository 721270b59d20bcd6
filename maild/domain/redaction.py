"""Taking out of evidence what would let its reader act as somebody else.

In charge of what counts as such, wherever it stands: links of maild's own that work once, links by
which a recipient unsubscribes, addresses that take reports, keys, passwords. Not in charge of other
people's data: that is left out by whoever gathers the evidence. Pure.

What is taken out is told, by its name in `KINDS`; REMOVED stands in its place.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

REMOVED = "[removed]"

_TOKEN = r"[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"
"""As `services/tokens` makes them."""

_SLASH = r"(?:/|%2[Ff])"
"""Links stand inside of other links too."""

# Each keeps what stands before, so that one still sees what it was. All are linear: what they are
# looked for in was written by anybody.
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("one_time_links", re.compile(rf"({_SLASH}(?:reset|confirm|invitations){_SLASH}){_TOKEN}")),
    ("unsubscribe_tokens", re.compile(rf"({_SLASH}u{_SLASH})[A-Za-z0-9_-]{{50,}}")),
    (
        "report_addresses",
        re.compile(
            rf"(webhooks{_SLASH}(?:dsn|providers{_SLASH}[a-z0-9_-]{{1,40}}){_SLASH}){_TOKEN}"
        ),
    ),
    # RFC 5321 4.1.1.1; `domain/bounce_mail/verp`: who has one can forge the bounce of its message.
    ("bounce_addresses", re.compile(r"((?:\+|%2B))[a-z2-7]{26}(?=@|%40|=40)", re.IGNORECASE)),
    ("api_keys", re.compile(r"(mk_)[A-Za-z0-9_-]{20,}")),
    ("webhook_secrets", re.compile(r"(whsec_)[A-Za-z0-9+/=_-]{16,}")),
    ("passwords", re.compile(r"(://[^\s/@:]{1,200}:)[^\s/@]{1,500}(?=@)")),
    # RFC 4954 4; RFC 7617 2; RFC 6750 2.1
    (
        "passwords",
        re.compile(
            r"(\b(?:AUTH[ ](?:PLAIN|LOGIN|XOAUTH2)"
            r"|Authorization[\"']?:[ ]{0,3}[\"']?(?:Basic|Bearer))[ ]{1,3})"
            r"[A-Za-z0-9+/=._~-]{4,}",
            re.IGNORECASE,
        ),
    ),
    # By itself it may be a word of anybody's: no word is as long.
    ("passwords", re.compile(r"(\bBearer[ ]{1,3})[A-Za-z0-9+/=._~-]{24,}", re.IGNORECASE)),
)
_SECRET_NAME = re.compile(
    r"(^|[_.-])(password|passwd|secret|token|api[_-]?key|authorization)$", re.IGNORECASE
)
SECRET_MIN_CHARS = 6
"""A secret of fewer characters would be found in words that have nothing to do with it."""

KINDS = {
    "one_time_links": "Links of maild's own that work once: to sign in, to confirm an address, to"
    " choose a password, to accept an invitation.",
    "unsubscribe_tokens": "The tokens of links by which a recipient unsubscribes.",
    "report_addresses": "The tokens of addresses that take providers' reports.",
    "bounce_addresses": "The names of messages in the addresses that their bounces go to.",
    "api_keys": "API keys.",
    "webhook_secrets": "Secrets that sign webhooks.",
    "passwords": "Passwords, and what a client signs in with.",
}
"""What may be taken out, in the words of the document that says so."""


@dataclass(slots=True)
class Redactor:
    """Takes secrets out of texts, and remembers of which kinds there were any. `known` are secrets
    of this instance, which are found as they are.
    """

    known: tuple[str, ...] = ()
    removed: set[str] = field(default_factory=set)

    def text(self, text: str) -> str:
        """The text without them."""
        for secret in self.known:
            if len(secret) >= SECRET_MIN_CHARS and secret in text:
                text = text.replace(secret, REMOVED)
                self.removed.add("passwords")
        for kind, pattern in _PATTERNS:
            text, count = pattern.subn(rf"\g<1>{REMOVED}", text)
            if count:
                self.removed.add(kind)
        return text

    def value(self, value: Any) -> Any:
        """Plain JSON without them, names of fields as they are; the value of a field that is named
        as a secret goes as a whole.
        """
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {name: self._member(name, item) for name, item in value.items()}
        return value

    def _member(self, name: str, value: Any) -> Any:
        if isinstance(value, str) and value and _SECRET_NAME.search(name):
            self.removed.add("passwords")
            return REMOVED
        return self.value(value)


def tell(removed: Iterable[str]) -> list[str]:
    """What was taken out, in sentences."""
    found = set(removed)
    return [words for kind, words in KINDS.items() if kind in found]
