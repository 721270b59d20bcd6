"""What a person's preview is filled in with: sample values for every merge field, and the contacts
that they may choose from.
"""

from collections.abc import Iterable
from typing import Any

from maild.domain.contact import AttributeKind
from maild.domain.storable import clean_text
from maild.models import Contact, ContactAttribute
from maild.services import email_search
from maild.services.template_rendering import SAMPLE_EMAIL

SAMPLE_NAME = "Ann Example"
SUGGESTED_MAX = 10

_BY_KIND: dict[AttributeKind, Any] = {
    AttributeKind.TEXT: "…",
    AttributeKind.NUMBER: 42,
    AttributeKind.BOOLEAN: True,
    AttributeKind.DATE: "2026-01-31",
}
_BY_NAME = {"first_name": "Ann", "last_name": "Example", "city": "Utrecht", "country": "NL"}


def sample(attributes: Iterable[ContactAttribute], fields: Iterable[str] = ()) -> dict[str, Any]:
    """`contact` and `data` with a value for each attribute, and for each field that a template
    names (`contact.first_name`, `data.order.number`).
    """
    contact: dict[str, Any] = {"email": SAMPLE_EMAIL, "name": SAMPLE_NAME}
    for one in attributes:
        is_text = one.kind is AttributeKind.TEXT
        contact[one.name] = (
            _BY_NAME.get(one.name, _BY_KIND[one.kind]) if is_text else _BY_KIND[one.kind]
        )
    values: dict[str, Any] = {"contact": contact, "data": {}}
    for name in fields:
        path = name.split(".")
        if len(path) > 1 and path[0] in values:
            _fill(values[path[0]], path[1:])
    return values


def suggest(workspace_id: int, typed: str) -> list[str]:
    """Addresses of contacts that begin so: SUGGESTED_MAX at most."""
    start = clean_text(typed).strip().lower()
    if not start:
        return []
    query = (
        Contact.select(Contact.email)
        .where(Contact.workspace_id == workspace_id, email_search.starts_with(Contact.email, start))
        .order_by(Contact.email)
        .limit(SUGGESTED_MAX)
    )
    return [row.email for row in query]


def _fill(values: dict[str, Any], path: list[str]) -> None:
    """A value at the end of the path, unless there is one."""
    first, *rest = path
    if not rest:
        values.setdefault(first, _BY_NAME.get(first, first))
        return
    inner = values.setdefault(first, {})
    if isinstance(inner, dict):
        _fill(inner, rest)
