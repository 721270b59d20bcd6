"""Rules of segments in the words of the builder: fields in groups, and operators."""

from collections.abc import Mapping

from maild.domain import segment_words
from maild.domain.contact import ContactStatus
from maild.domain.segment import Field, Shape

FIELDS = {
    "email": "Address",
    "email_domain": "Domain of the address",
    "name": "Name",
    "status": "Status",
    "created_at": "Day of adding",
    "consent.source": "Source of the consent",
    "consent.at": "Day of the consent",
    "topics": "Topics asked for",
    "list": "Lists",
}
ENGAGEMENTS = {
    "last_mailed_at": "Last mailed",
    "last_opened_at": "Last opened",
    "last_clicked_at": "Last clicked",
}
STATUSES = {ContactStatus.ACTIVE: "active", ContactStatus.PENDING: "not confirmed yet"}
UNITS = {Shape.COUNT: "days", Shape.YEARLY_COUNT: "days"}
HINTS = {
    Shape.TEXTS: "One a line",
    Shape.DAY: "2027-01-31",
    Shape.DAYS: "2027-01-31",
    Shape.NUMBER: "12 or 3.5",
    Shape.NUMBERS: "12 or 3.5",
    Shape.COUNT: "30",
    Shape.YEARLY_COUNT: "30",
}
"""What an empty field shows."""


def fields(known: Mapping[str, Field]) -> list[tuple[str, list[tuple[str, str]]]]:
    """What rules may be about, in groups: names, and words."""
    own = [(name, one.words) for name, one in known.items() if one.attribute is not None]
    groups = [("Every contact", FIELDS.items()), ("Campaigns", ENGAGEMENTS.items())]
    return [(title, list(some)) for title, some in groups] + ([("Attributes", own)] if own else [])


def ops(field: Field) -> list[tuple[str, str]]:
    """What can be asked of a field."""
    return [(op.value, segment_words.OP_WORDS[op]) for op in field.ops]
