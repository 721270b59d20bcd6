"""What makes two troubles the same: a signature, and its fingerprint. Pure.

In charge of leaving out what differs from message to message: addresses, ids, numbers, times, hosts
and URLs of a reply, and which of a mail company's domains it was. Not in charge of how often a
trouble must be seen to matter (`incident_rules`).
"""

import dataclasses
import hashlib
import re
from dataclasses import dataclass

from maild.domain.incident import IncidentKind
from maild.domain.reply_words import plain_words
from maild.domain.states import EventType

FINGERPRINT_CHARS = 32
"""Of the hexadecimal SHA-256: 128 bits."""
PATTERN_MAX_WORDS = 40
READ_MAX_CHARS = 600
"""What a reply says behind that makes no difference."""

# The domains under which one company takes mail, by the name that the family has here.
_FAMILIES = {
    "google": ("gmail.com", "googlemail.com"),
    "microsoft": ("outlook.com", "hotmail.com", "live.com", "msn.com", "passport.com"),
    "yahoo": ("yahoo.com", "ymail.com", "rocketmail.com", "aol.com", "aim.com"),
    "apple": ("icloud.com", "me.com", "mac.com"),
    "proton": ("proton.me", "protonmail.com", "pm.me"),
}
_FAMILY_OF = {domain: name for name, domains in _FAMILIES.items() for domain in domains}
# `hotmail.co.uk`, `yahoo.de`: one company's, whatever the country.
_FAMILY_OF_NAME = {
    "gmail": "google", "googlemail": "google", "outlook": "microsoft", "hotmail": "microsoft",
    "live": "microsoft", "msn": "microsoft", "yahoo": "yahoo", "ymail": "yahoo", "aol": "yahoo",
}  # fmt: skip
_SECOND_LEVELS = frozenset({"ac", "co", "com", "edu", "gov", "gob", "ne", "net", "or", "org"})
"""Under which countries register names: `example.co.uk`."""

# What maild puts before the server's words.
_PREFIX = re.compile(
    r"^(?:Gave up after \d+ attempts?\.|Its lifetime ends before the next attempt\.)"
    r" The last answer: "
)
# What it puts behind them: the step of the dialogue, and whom it talked to.
_SUFFIX = re.compile(r"\s\([A-Z ]{2,12}(?:, [^()\s]*)?\)$")
_ID_LABEL = re.compile(r"\b(?:id|queued as|ref|reference|session|transaction)[=:]\s*\S+", re.I)
_QUOTED = re.compile(r"[<\[({][^<>\[\](){}\s]*[>\])}]")  # <ann@example.org>, [192.0.2.1], (x-y)
_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)+\.?")
_MONTH = re.compile(
    r"\b(?:(?:mon|tue|wed|thu|fri|sat|sun),?\s|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
    r"\s\d)",
    re.IGNORECASE,
)
_ZONES = frozenset({"utc", "gmt", "pst", "pdt", "est", "edt", "cet", "cest"})


@dataclass(frozen=True, slots=True)
class Signature:
    """What a trouble is known by. `recipient_domain` None: of no family in particular; `pattern`
    None: whatever the reply says.
    """

    kind: IncidentKind
    error_class: str | None
    smtp_account: str | None
    recipient_domain: str | None
    pattern: str | None

    @property
    def fingerprint(self) -> str:
        return _digest(
            self.kind.value,
            self.error_class,
            self.smtp_account,
            self.recipient_domain,
            self.pattern,
        )

    @property
    def wide(self) -> "Signature":
        """The same trouble, whichever family of domains it meets."""
        return dataclasses.replace(self, recipient_domain=None)

    @property
    def coarse(self) -> "Signature":
        """Where there are too many to keep apart: all of one class and account."""
        return dataclasses.replace(self, recipient_domain=None, pattern=None)


def of_trouble(
    event: EventType,
    *,
    error_class: str | None,
    smtp_account: str | None,
    to_email: str,
    text: str | None,
    is_path_fault: bool,
) -> Signature:
    """The signature of a message's event of trouble."""
    if event is EventType.OUTCOME_UNKNOWN:
        return Signature(IncidentKind.UNKNOWN_OUTCOMES, error_class, smtp_account, None, None)
    words = pattern(text or "")
    if is_path_fault:
        return Signature(IncidentKind.PROVIDER, error_class, smtp_account, None, words)
    return Signature(IncidentKind.DELIVERY, error_class, smtp_account, family(to_email), words)


def of_state(kind: IncidentKind, key: str) -> str:
    """The fingerprint of a state that holds or does not."""
    return _digest("state", kind.value, key)


def family(address: str) -> str:
    """The family of an address or a domain: a mail company's name, or the domain that somebody has
    registered, as near as can be told without a list of all suffixes.
    """
    domain = address.rpartition("@")[2].strip().rstrip(".").lower()
    if domain in _FAMILY_OF:
        return _FAMILY_OF[domain]
    labels = domain.split(".")
    is_deep = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVELS
    registered = labels[-3:] if is_deep else labels[-2:]
    is_company = len(labels) == len(registered) and len(labels[-1]) <= 3 and len(labels) > 1
    if is_company and registered[0] in _FAMILY_OF_NAME:
        return _FAMILY_OF_NAME[registered[0]]
    return ".".join(registered)


def pattern(text: str) -> str:
    """The words of a reply that are the same for every message."""
    said = _SUFFIX.sub("", _PREFIX.sub("", text))[:READ_MAX_CHARS]
    said = _ID_LABEL.sub(" ", said)
    said = _QUOTED.sub(_keep_words, said)
    said = _MONTH.sub(lambda found: " 0" if found[0][-1].isdigit() else " ", said)
    kept = [token for token in said.split() if not _varies(token)]
    words = [word for word in plain_words(" ".join(kept)).split() if word not in {"@", ":"}]
    return " ".join(words[:PATTERN_MAX_WORDS])


def _keep_words(found: re.Match[str]) -> str:
    """What stands in brackets, where it is a word and no name of anything: `(overquota)`."""
    inner = found[0][1:-1]
    return f" {inner} " if inner.isalpha() and found[0][0] == "(" else " "


def _varies(token: str) -> bool:
    """Whether a word is one of those that differ: an address, a URL, a host, a number, an id."""
    bare = token.strip(".,;:!?\"'()<>[]{}`")
    return (
        "@" in token
        or "://" in token
        or "/" in bare
        or "_" in bare
        or "=" in bare
        or any(character.isdigit() for character in bare)
        or _HOST.fullmatch(bare) is not None
        or bare.lower() in _ZONES
    )


def _digest(*parts: str | None) -> str:
    # Lengths before the parts, so that no two lists of parts read alike.
    joined = "".join("-" if part is None else f"{len(part)}:{part}" for part in parts)
    encoded = joined.encode("utf-8", "surrogatepass")
    return hashlib.sha256(encoded).hexdigest()[:FINGERPRINT_CHARS]
