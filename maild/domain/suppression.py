"""Why an address must not be mailed, and how an opt-out names what it is about. Pure."""

import unicodedata
from datetime import datetime
from enum import StrEnum

TOPIC_MAX_CHARS = 100


class SuppressionClass(StrEnum):
    """What kind of reason it is."""

    HARD_BOUNCE = "hard_bounce"
    """The address or its domain does not exist, or takes no mail."""
    SOFT_BOUNCE = "soft_bounce"
    """It refused too many times in a row."""
    COMPLAINT = "complaint"
    """The recipient called a message spam."""
    MANUAL = "manual"
    """A person or a program of the workspace wants it so."""


class SuppressionState(StrEnum):
    """Whether it still counts. Every suppression is in exactly one of these."""

    IN_FORCE = "in_force"
    EXPIRED = "expired"
    """It had an end, and that has come."""
    REMOVED = "removed"
    """A person ended it."""


def later_end(one: datetime | None, other: datetime | None) -> datetime | None:
    """The end of two suppressions together; None is no end at all."""
    return None if one is None or other is None else max(one, other)


def normalise_topic(text: str) -> str:
    """The one form of a topic: NFC, lower case, no space at either end. "News" and "news" must not
    be two: who left one of them would go on hearing from the other.
    """
    return unicodedata.normalize("NFC", text.strip()).lower()
