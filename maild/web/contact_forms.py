"""The form of a contact: what is known of them, a field for each attribute of the workspace."""

from collections.abc import Sequence
from datetime import UTC, datetime

from flask import request
from wtforms import StringField

from maild.domain.contact import AttributeKind, Value, read_cell
from maild.errors import FieldError, InvalidFields, summarise
from maild.models import Contact, ContactAttribute
from maild.services import contact_fields
from maild.services.contact_fields import Consent, ContactFields
from maild.web import contact_words
from maild.web.forms import Form, text

PREFIX = "attribute."


class ContactForm(Form):
    """`attributes` and `problems` are by the names of attributes: what was typed, and what is wrong
    with it.
    """

    email = StringField("Address")
    name = StringField("Name")
    topics = StringField("Topics")
    consent_source = StringField("Where they said that they want mail")
    consent_at = StringField("When (UTC)")
    consent_proof = StringField("What shows it")

    attributes: dict[str, str]
    problems: dict[str, str]


def empty(rows: Sequence[ContactAttribute]) -> ContactForm:
    """The form of a contact who is to be made."""
    form = ContactForm(formdata=None, email=request.args.get("address", ""))
    form.attributes, form.problems = {row.name: "" for row in rows}, {}
    return form


def of(contact: Contact, rows: Sequence[ContactAttribute]) -> ContactForm:
    """The form of one who is there. A consent is only typed where there is a newer one."""
    form = ContactForm(
        formdata=None,
        email=contact.email,
        name=contact.name or "",
        topics=", ".join(contact.topics),
    )
    form.problems = {}
    form.attributes = {
        row.name: contact_words.value(contact.attributes[row.name])
        if row.name in contact.attributes
        else ""
        for row in rows
    }
    return form


def sent(rows: Sequence[ContactAttribute]) -> ContactForm:
    """The form as it came back."""
    form = ContactForm()
    form.problems = {}
    form.attributes = {row.name: request.form.get(PREFIX + row.name, "") for row in rows}
    return form


def read_new(form: ContactForm, rows: Sequence[ContactAttribute]) -> tuple[str, ContactFields]:
    """The address too. Raises InvalidFields."""
    email, fields = text(form.email.data).strip(), ContactFields()
    problems: list[FieldError] = []
    try:
        contact_fields.check_email(email)
    except InvalidFields as error:
        problems += error.errors
    try:
        fields = read(form, rows)
    except InvalidFields as error:
        problems += error.errors
    if problems:
        raise InvalidFields(summarise(problems), errors=problems)
    return email, fields


def read(form: ContactForm, rows: Sequence[ContactAttribute]) -> ContactFields:
    """What it says: an attribute that is left empty is taken away. Raises InvalidFields."""
    problems: list[FieldError] = []
    attributes: dict[str, Value | None] = {}
    for row in rows:
        typed = form.attributes[row.name]
        try:
            attributes[row.name] = _read_value(row.kind, typed) if typed.strip() else None
        except ValueError as error:
            problems.append(FieldError(f"attributes.{row.name}", str(error)))
    consent = None
    try:
        consent = _read_consent(form)
    except InvalidFields as error:
        problems += error.errors
    if problems:
        raise InvalidFields(summarise(problems), errors=problems)
    topics = [topic for topic in map(str.strip, text(form.topics.data).split(",")) if topic]
    return ContactFields(
        name=text(form.name.data), attributes=attributes, topics=topics, consent=consent
    )


def show(form: ContactForm, error: InvalidFields) -> None:
    """Tell at each field what is wrong with it."""
    left = []
    for one in error.errors:
        name = one.field.removeprefix("attributes.")
        if one.field.startswith("attributes.") and name in form.attributes:
            form.problems[name] = f"{one.message[:1].upper()}{one.message[1:]}."
        elif one.field.startswith("topics"):
            form.complain("topics", one.message)
        else:
            left.append(FieldError(one.field.replace("consent.", "consent_"), one.message))
    if left or not error.errors:
        form.show(InvalidFields(error.detail, errors=left))


def _read_value(kind: AttributeKind, typed: str) -> Value:
    return typed if kind is AttributeKind.TEXT else read_cell(kind, typed)


def _read_consent(form: ContactForm) -> Consent | None:
    source, proof = text(form.consent_source.data).strip(), text(form.consent_proof.data).strip()
    at = text(form.consent_at.data).strip()
    if not (source or at or proof):
        return None
    problems = [] if source else [FieldError("consent.source", "say where they did")]
    when = None
    try:
        when = datetime.fromisoformat(at)
        when = (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        problems.append(FieldError("consent.at", "must be a time such as 2027-01-31 12:30"))
    if problems or when is None:
        raise InvalidFields(summarise(problems), errors=problems)
    return Consent(source=source, at=when, proof=proof or None)
