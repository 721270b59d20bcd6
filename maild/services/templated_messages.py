"""Messages made of a template: what a sender hands over is a name and data in place of texts.

The template is filled in before the message is accepted, so that what is stored is what will be
sent, whatever becomes of the template. Asking again with the same idempotency key gives the first
answer, and fills in nothing anew.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from peewee import SQL, fn

from maild.db import connection, database
from maild.domain import submission
from maild.domain import template as limits
from maild.domain.policy import Decision
from maild.domain.states import Stream
from maild.errors import FieldError, InvalidFields, MaildError, MissingMergeFields, summarise
from maild.models import Contact, Template, TemplateVersion
from maild.services import addresses, facts, messages, template_rendering
from maild.services.acceptance import Accepted
from maild.services.merge_fields import MergeError, TooMuch
from maild.services.submissions import NewMessage, Submitter, TemplateUsed

FORBIDDEN = ("subject", "body_text", "body_html")
"""What a template brings along."""

_FIRST = """
SELECT k.key, m.subject, b.body_text, b.body_html
FROM idempotency_keys k
JOIN messages m ON m.workspace_id = k.workspace_id
    AND m.id = (k.answer #>> '{messages,0,id}')::uuid
LEFT JOIN message_bodies b ON b.message_id = m.id
WHERE k.workspace_id = %s AND k.key = ANY(%s::text[]) AND k.created_at > now() - %s::interval
"""
# As addresses of contacts are kept, whatever the locale of the database.
_IS_ONE_OF = 'email IN (SELECT lower(one COLLATE "pg_c_utf8") FROM unnest(%s::text[]) AS one)'

Texts = dict[str, Any]
"""Subject and bodies, by their names."""


@dataclass(frozen=True, slots=True)
class Order:
    """A message that has no texts yet: `template` is an id or a name, `data` plain JSON."""

    new: NewMessage
    template: int | str
    data: Mapping[str, Any]


def submit(workspace_id: int, order: Order, *, by: Submitter) -> tuple[Accepted, NewMessage]:
    """Fill in and submit; also returns what was submitted. Raises as `messages.submit`, and
    InvalidFields (no such template, or something beside it) and MissingMergeFields.
    """
    with connection():
        [first] = _find_first(workspace_id, [by])
        new = replace(order.new, **first) if first else _fill_one(workspace_id, order)
    accepted = messages.submit(workspace_id, new, by=by)
    if accepted.is_replayed and first is None:
        # Another request with the same key came first just now: its texts are the answer.
        return submit(workspace_id, order, by=by)
    return accepted, new


def prepare_many(
    workspace_id: int, orders: Sequence[tuple[Order, Submitter]]
) -> list[NewMessage | MaildError]:
    """For each, in their order, what is to be submitted, or what `submit` would raise: what came
    under its idempotency key before as it was then, everything else filled in.
    """
    if not orders:
        return []
    with connection():
        known = _find_first(workspace_id, [by for _, by in orders])
        unknown = [order for (order, _), first in zip(orders, known, strict=True) if first is None]
        filled = iter(fill_many(workspace_id, unknown))
    return [
        replace(order.new, **first) if first else next(filled)
        for (order, _), first in zip(orders, known, strict=True)
    ]


def ask(workspace_id: int, order: Order, *, by: Submitter) -> list[tuple[str, Decision]]:
    """As `messages.ask`; raises as `submit`."""
    return messages.ask(workspace_id, _fill_one(workspace_id, order), by=by)


def fill_many(workspace_id: int, orders: Sequence[Order]) -> list[NewMessage | MaildError]:
    """For each, in their order, the message that it comes to, or the error to be raised for it.

    Two queries, however many they are: the templates, and the contacts whose fields they name. A
    mail is written to its To: those who get copies read the same.
    """
    versions = _find_versions(workspace_id, [order.template for order in orders])
    contacts = _find_contacts(
        workspace_id,
        [
            order.new.to_email
            for order in orders
            if (found := versions.get(_key(order.template))) and _names_contact(found[1])
        ],
    )
    return [_fill(order, versions.get(_key(order.template)), contacts) for order in orders]


def _fill(
    order: Order,
    found: tuple[Template, TemplateVersion] | None,
    contacts: Mapping[str, Contact],
) -> NewMessage | MaildError:
    problems = [FieldError(field, message) for field, message in _complaints(order)]
    if found is None:
        problems.append(FieldError("template", f"there is no template {order.template!r} in use"))
    if found is None or problems:
        return InvalidFields(summarise(problems), errors=problems)
    template, version = found
    try:
        rendered = template_rendering.render_version(
            version,
            contact=_contact_data(order.new.to_email, contacts),
            data=order.data,
            has_way_out=order.new.stream == Stream.MARKETING,
        )
    except (MergeError, TooMuch) as error:
        return _invalid("template", f"cannot be filled in with this data: {error}")
    if rendered.missing:
        missing = [FieldError(name, _why_missing(name)) for name in rendered.missing]
        return MissingMergeFields(summarise(missing), errors=missing)
    if not rendered.subject:
        return _invalid("template", "its subject is empty with this data")
    return replace(
        order.new,
        subject=rendered.subject,
        body_text=rendered.text or None,
        body_html=rendered.html,
        template=TemplateUsed(template.id, template.name, version.version),
    )


def _complaints(order: Order) -> list[submission.Complaint]:
    beside = [
        (name, "comes from the template: leave it out")
        for name in FORBIDDEN
        if getattr(order.new, name)
    ]
    try:
        size = len(json.dumps(order.data))
    except RecursionError:
        size = limits.DATA_MAX_BYTES + 1
    if size > limits.DATA_MAX_BYTES:
        return [*beside, ("data", f"is larger than {limits.DATA_MAX_BYTES} bytes of JSON")]
    return [*beside, *submission.check_storable("data", order.data)]


def _why_missing(name: str) -> str:
    if name in template_rendering.LINKS:
        return "is there in mail of the stream marketing only"
    root, _, _ = name.partition(".")
    of = {"data": "data has", "contact": "the contact has"}.get(root, "there is")
    return f"{of} no such value, or one that does not fit, and the template gives no default"


def _find_versions(
    workspace_id: int, wanted: Sequence[int | str]
) -> dict[int | str, tuple[Template, TemplateVersion]]:
    """The templates in use with their latest versions, by id and by name in lower case."""
    ids = sorted({one for one in wanted if isinstance(one, int)})
    names = sorted({_key(one) for one in wanted if isinstance(one, str)})
    names = [name for name in names if not list(submission.check_storable("", name))]
    query = (
        TemplateVersion.select(TemplateVersion, Template)
        .join(
            Template,
            on=(TemplateVersion.template == Template.id)
            & (TemplateVersion.version == Template.version),
        )
        .where(
            Template.workspace == workspace_id,
            Template.archived_at.is_null(),
            (Template.id << ids) | (fn.lower(Template.name) << names),
        )
    )
    found: dict[int | str, tuple[Template, TemplateVersion]] = {}
    for version in query:
        template = version.template
        found[template.id] = found[_key(template.name)] = template, version
    return found


def _key(template: int | str) -> int | str:
    return template if isinstance(template, int) else template.strip().lower()


def _names_contact(version: TemplateVersion) -> bool:
    """Whether it names anything of a contact that a message does not say itself."""
    return any(
        field["name"].startswith("contact.") and field["name"] != "contact.email"
        for field in version.fields
    )


def _find_contacts(workspace_id: int, emails: Sequence[str]) -> dict[str, Contact]:
    """The contacts of these addresses, by the address in normal form; bad ones are nobody's."""
    normal = sorted({text for email in emails if (text := _normal(email))})
    if not normal:
        return {}
    rows = Contact.select().where(Contact.workspace_id == workspace_id, SQL(_IS_ONE_OF, (normal,)))
    return {row.email: row for row in rows}


def _contact_data(email: str, contacts: Mapping[str, Contact]) -> dict[str, Any]:
    normal = _normal(email)
    contact = contacts.get(normal.lower()) if normal else None
    return template_rendering.contact_data(contact) if contact else {"email": normal or email}


def _normal(email: str) -> str | None:
    try:
        return addresses.parse(email).text
    except ValueError:
        return None


def _find_first(workspace_id: int, submitters: Sequence[Submitter]) -> list[Texts | None]:
    """For each what was stored under its idempotency key before, where something was."""
    keys = [by.idempotency_key for by in submitters if by.idempotency_key is not None]
    if not keys:
        return [None] * len(submitters)
    values = workspace_id, keys, facts.KEY_LIFETIME
    rows = database.execute_sql(_FIRST, values).fetchall()
    # Where the content was removed since, nobody is told of it; but there has to be one.
    first = {
        key: {"subject": subject, "body_text": text if text or html else " ", "body_html": html}
        for key, subject, text, html in rows
    }
    return [first.get(by.idempotency_key) for by in submitters]


def _fill_one(workspace_id: int, order: Order) -> NewMessage:
    [filled] = fill_many(workspace_id, [order])
    if isinstance(filled, MaildError):
        raise filled
    return filled


def _invalid(field: str, message: str) -> InvalidFields:
    return InvalidFields(f"{field}: {message}", errors=[FieldError(field, message)])
