"""Why an address must not be mailed, and how an opt-out names what it is about. Pure."""

import unicodedata
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


def normalise_topic(text: str) -> str:
    """The one form of a topic: NFC, lower case, no space at either end. "News" and "news" must not
    be two: who left one of them would go on hearing from the other.
    """
    return unicodedata.normalize("NFC", text.strip()).lower()
