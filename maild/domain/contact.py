"""Contacts: what states they have, and what may be known of one. Pure.

An attribute has a name and is of one kind throughout a workspace. Values come as JSON from programs
(`check_value`) and as cells of a file or fields of a form from people (`read_cell`).
"""

import re
from datetime import date
from enum import StrEnum
from typing import Any

NAME_MAX_CHARS = 200
TOPICS_MAX = 50
"""Of one contact."""
ATTRIBUTES_MAX = 100
"""Of one workspace."""
TEXT_MAX_CHARS = 1_000
CONSENT_MAX_CHARS = 500
ATTRIBUTE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
RESERVED_NAMES = frozenset({"email", "name", "topics", "status", "consent", "id"})
"""What a contact has anyway: an attribute of that name would hide it."""

Value = str | int | float | bool
"""Of an attribute. A day is a text, as ISO 8601 writes it."""

_TRUE = frozenset({"true", "yes", "y", "1", "on"})
_FALSE = frozenset({"false", "no", "n", "0", "off"})
_NUMBER = re.compile(r"-?((0|[1-9]\d{0,14})(\.\d{1,15})?|\.\d{1,15})")
"""Without what a number would not keep: 01067 and +4930 are a postcode and a telephone's."""


class ContactStatus(StrEnum):
    """`pending` -> `active`, when whoever reads the mails of the address has said yes."""

    PENDING = "pending"
    """Somebody gave the address; nobody has confirmed it yet, and no campaign mails it."""
    ACTIVE = "active"


class AttributeKind(StrEnum):
    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    """A day, as ISO 8601 writes it: `2027-01-31`."""


def why_no_name(name: str) -> str | None:
    """Why an attribute cannot be called so; None where it can."""
    if not ATTRIBUTE_NAME.fullmatch(name):
        return "must be lower-case letters, digits and _, and begin with a letter: first_name"
    if name in RESERVED_NAMES:
        return f"{name} is what every contact has: choose another name"
    return None


def kind_of(value: Any) -> AttributeKind | None:
    """Of which kind a value from JSON is where nobody has said; None where it is of none."""
    if isinstance(value, bool):
        return AttributeKind.BOOLEAN
    if isinstance(value, int | float):
        return AttributeKind.NUMBER
    return AttributeKind.TEXT if isinstance(value, str) else None


def check_value(kind: AttributeKind, value: Any) -> str | None:
    """What is wrong with a value from JSON; None where nothing is. NUL and broken Unicode are for
    `submission.check_storable`.
    """
    match kind:
        case AttributeKind.TEXT if not isinstance(value, str):
            return "must be a text"
        case AttributeKind.TEXT if len(value) > TEXT_MAX_CHARS:
            return f"is longer than {TEXT_MAX_CHARS} characters"
        case AttributeKind.NUMBER if not _is_number(value):
            return "must be a number between -1e15 and 1e15"
        case AttributeKind.BOOLEAN if not isinstance(value, bool):
            return "must be true or false"
        case AttributeKind.DATE if not (isinstance(value, str) and _is_day(value)):
            return "must be a day such as 2027-01-31"
    return None


def read_cell(kind: AttributeKind, text: str) -> Value:
    """The value that a person has written. Raises ValueError with a sentence for them."""
    text = text.strip()
    match kind:
        case AttributeKind.NUMBER:
            if not _NUMBER.fullmatch(text):
                raise ValueError("must be a number such as 12 or 3.5; 012 and +12 are texts")
            return float(text) if "." in text else int(text)
        case AttributeKind.BOOLEAN:
            if text.lower() in _TRUE:
                return True
            if text.lower() in _FALSE:
                return False
            raise ValueError("must be yes or no")
    if problem := check_value(kind, text):
        raise ValueError(problem)
    return text


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= 1e15  # which neither infinity nor what is no number is


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
