"""What may be said of a contact: checked, in the form in which rows have it, and joined with what
is known already. Writes nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from maild import clock
from maild.domain import submission
from maild.domain.contact import (
    ATTRIBUTES_MAX,
    CONSENT_MAX_CHARS,
    NAME_MAX_CHARS,
    TOPICS_MAX,
    AttributeKind,
    ContactStatus,
    check_value,
    kind_of,
    why_no_name,
)
from maild.domain.submission import Complaint
from maild.domain.suppression import normalise_topic
from maild.errors import FieldError, InvalidFields, summarise
from maild.models import Contact
from maild.services import addresses
from maild.services.contact_attributes import TOO_MANY

CLOCKS_DIFFER = timedelta(minutes=5)
"""A consent may lie so far in the future: its time is another machine's."""


@dataclass(frozen=True, slots=True)
class Consent:
    """That somebody wants mail: where they said so, when, and what shows it."""

    source: str
    at: datetime
    proof: str | None = None


@dataclass(frozen=True, slots=True)
class ContactFields:
    """What is said of a contact. What is left out stays as it is.

    `name`: None leaves it, an empty text takes it away. `attributes` are joined with those that are
    there, one by one; None takes one away. `topics` take the place of those that are there.
    `consent` counts where it is newer than what is known. `status` is that of a new contact only.
    """

    name: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    topics: Sequence[str] | None = None
    consent: Consent | None = None
    status: ContactStatus = ContactStatus.ACTIVE


def check(
    fields: ContactFields, kinds: Mapping[str, AttributeKind | None]
) -> dict[str, AttributeKind]:
    """The attributes that have to be declared for it, and of which kind each of them is.

    `kinds` are those of the workspace, as `contact_attributes.find_kinds` gives them. Raises
    InvalidFields.
    """
    new: dict[str, AttributeKind] = {}
    problems = [
        *_check_name(fields.name),
        *_check_attributes(fields.attributes, kinds, new),
        *_check_topics(fields.topics),
        *_check_consent(fields.consent),
    ]
    if problems:
        raise invalid(problems)
    return new


def check_email(email: str) -> str:
    """The address in normal form, not yet in lower case. Raises InvalidFields."""
    try:
        return addresses.parse(email).text
    except ValueError as error:
        raise invalid([("email", str(error))]) from None


def empty_row() -> dict[str, Any]:
    """The columns of a contact of whom nothing is known."""
    return {
        "name": None,
        "attributes": {},
        "topics": [],
        "consent_source": None,
        "consent_at": None,
        "consent_proof": None,
    }


def row_of(contact: Contact) -> dict[str, Any]:
    """The same columns of one who is there."""
    return {name: getattr(contact, name) for name in empty_row()}


def join(row: Mapping[str, Any], fields: ContactFields) -> dict[str, Any]:
    """The columns of a row after checked fields have come to it."""
    joined = dict(row)
    if fields.name is not None:
        joined["name"] = " ".join(fields.name.split()) or None
    if fields.attributes:
        known = {**row["attributes"], **fields.attributes}
        joined["attributes"] = {name: value for name, value in known.items() if value is not None}
    if fields.topics is not None:
        joined["topics"] = sorted({normalise_topic(topic) for topic in fields.topics})
    consent = fields.consent
    if consent and (row["consent_at"] is None or consent.at > row["consent_at"]):
        joined |= {
            "consent_source": consent.source.strip(),
            "consent_at": consent.at,
            "consent_proof": (consent.proof or "").strip() or None,
        }
    return joined


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The names of the columns that are not what they were; a number that is written in another
    way is another one: `1` and `true` are not the same.
    """
    return [name for name in after if repr(before[name]) != repr(after[name])]


def invalid(problems: Sequence[Complaint]) -> InvalidFields:
    """The error that tells of all of them."""
    errors = [FieldError(name, message) for name, message in problems]
    return InvalidFields(summarise(errors), errors=errors)


def _check_name(name: str | None) -> Iterator[Complaint]:
    if name is not None:
        yield from submission.check_line("name", name, max_chars=NAME_MAX_CHARS)


def _check_attributes(
    attributes: Mapping[str, Any],
    kinds: Mapping[str, AttributeKind | None],
    new: dict[str, AttributeKind],
) -> Iterator[Complaint]:
    """What is not known yet goes into `new`."""
    if len(attributes) > ATTRIBUTES_MAX:
        yield "attributes", f"has more than {ATTRIBUTES_MAX} entries"
        return
    storable = list(submission.check_storable("attributes", attributes))
    if storable:
        yield from storable
        return
    for name, value in attributes.items():
        path = f"attributes.{name}"
        if name in kinds and kinds[name] is None:
            yield path, "is being deleted: leave it out until that is done"
        elif name not in kinds and (problem := why_no_name(name)):
            yield path, problem
        elif value is not None:
            kind = kinds.get(name) or kind_of(value)
            if kind is None:
                yield path, "must be a text, a number, true or false"
                continue
            if problem := check_value(kind, value):
                is_known = name in kinds
                yield path, f"{problem} (its kind is {kind.value})" if is_known else problem
            if name not in kinds:
                new[name] = kind
    if len(kinds) + len(new) > ATTRIBUTES_MAX and new:
        yield "attributes", TOO_MANY


def _check_topics(topics: Sequence[str] | None) -> Iterator[Complaint]:
    if topics is None:
        return
    if len(topics) > TOPICS_MAX:
        yield "topics", f"has more than {TOPICS_MAX} entries"
        return
    for index, topic in enumerate(topics):
        yield from submission.check_topic(f"topics.{index}", topic)


def _check_consent(consent: Consent | None) -> Iterator[Complaint]:
    if consent is None:
        return
    if not consent.source.strip():
        yield "consent.source", "must not be empty"
    yield from submission.check_line("consent.source", consent.source, max_chars=CONSENT_MAX_CHARS)
    if consent.proof is not None:
        yield from submission.check_line(
            "consent.proof", consent.proof, max_chars=CONSENT_MAX_CHARS
        )
    if consent.at > clock.now() + CLOCKS_DIFFER:
        yield "consent.at", "must not lie in the future"
