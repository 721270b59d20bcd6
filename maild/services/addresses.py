"""E-mail addresses: one parser and one normal form for everything that enters maild.

Syntax is RFC 5321 and RFC 6531 as the email-validator library reads them, without quoted local
parts and address literals. Nothing is looked up: whether a domain takes mail is for its server to
say.
"""

import functools
import re
from dataclasses import dataclass

import email_validator
from email_validator.rfc_constants import CASE_INSENSITIVE_MAILBOX_NAMES

# Test and intranet domains (.test, .local) are ours to pass on: a relay may well know them.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

MAX_CHARS = 254  # RFC 5321 4.5.3.1.3 allows a path of 256 octets, angle brackets included

LOCAL_PART_MAX_OCTETS = 64  # RFC 5321 4.5.3.1.1

_ATEXT = r"[\w!#$%&'*+\-/=?^`{|}~]+"
_DOT_ATOM = re.compile(rf"{_ATEXT}(?:\.{_ATEXT})*", re.ASCII)  # RFC 5322 3.2.3
_DOMAINS_KEPT = 32_768
"""More than most files of addresses have; some 15 MB when all are in use."""


@dataclass(frozen=True, slots=True)
class Address:
    """A checked address. `text` is the normal form: NFC, domain lower-case and in Unicode.

    `domain` is what rules match: the domain in A-labels.
    """

    text: str
    domain: str


def parse(text: str) -> Address:
    """The address in `text`. Raises ValueError with a sentence for the person who typed it."""
    if len(text) > MAX_CHARS:
        raise ValueError(f"is longer than {MAX_CHARS} characters")
    local, _, domain = text.rpartition("@")
    if len(local.encode(errors="replace")) > LOCAL_PART_MAX_OCTETS:
        raise ValueError(f"has more than {LOCAL_PART_MAX_OCTETS} octets before the @")
    if (
        text.isascii()
        and _DOT_ATOM.fullmatch(local)
        and local.lower() not in CASE_INSENSITIVE_MAILBOX_NAMES
    ):
        # Nearly every address: nothing to normalise before the @, and few domains behind it.
        try:
            checked = _check_domain(domain)
        except ValueError:
            return _check(text)  # which says what is wrong
        normal = local + checked.text
        if len(normal.encode()) <= MAX_CHARS:
            return Address(normal, checked.domain)
    return _check(text)


def parse_domain(text: str) -> str:
    """The domain in `text`, in the form in which addresses hold theirs: lower case, in Unicode.

    Raises ValueError with a sentence for the person who typed it.
    """
    try:
        return _check_domain(text.strip()).text[1:]
    except ValueError:
        raise ValueError(f"{text!r} is not a domain such as example.com") from None


def parse_domain_entry(text: str) -> str:
    """As `parse_domain`, or `*.example.com` for everything below example.com."""
    text = text.strip()
    if text.startswith("*."):
        return f"*.{parse_domain(text[2:])}"
    return parse_domain(text)


def to_ascii(entry: str) -> str:
    """A domain or entry in normal form, as it stands in the DNS: `*.xn--bcher-kva.example`."""
    if entry.startswith("*."):
        return f"*.{to_ascii(entry[2:])}"
    return _check_domain(entry).domain


@functools.lru_cache(maxsize=_DOMAINS_KEPT)
def _check_domain(domain: str) -> Address:
    """What stands behind any local part: `text` begins with the @."""
    address = _check("x@" + domain)
    return Address(address.text[1:], address.domain)


def _check(text: str) -> Address:
    try:
        checked = email_validator.validate_email(
            text, check_deliverability=False, globally_deliverable=False
        )
    except email_validator.EmailNotValidError as error:
        raise ValueError(f"is not a single, valid e-mail address: {error}") from error
    return Address(checked.normalized, checked.ascii_domain)
