"""Previews: what a template, stored or just written, comes to for one recipient, and what is to be
said of it. Nothing is stored, and nothing is sent.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from maild.domain import submission
from maild.domain import template as limits
from maild.domain.template import Finding, Source
from maild.errors import FieldError, InvalidFields, NotFound, summarise
from maild.models import Contact
from maild.services import (
    addresses,
    email_search,
    template_checks,
    template_rendering,
    template_sources,
    templates,
)
from maild.services.merge_fields import Field, MergeError, TooMuch
from maild.services.template_rendering import SAMPLE_EMAIL, Rendered


@dataclass(frozen=True, slots=True)
class Preview:
    """A mail filled in, the fields that it names, and what was found."""

    rendered: Rendered
    fields: tuple[Field, ...]
    findings: list[Finding]


def of_source(
    workspace_id: int,
    source: Source,
    *,
    contact: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    has_way_out: bool = True,
    from_email: str | None = None,
) -> Preview:
    """What a source comes to. `contact` is as `template_rendering.contact_data` makes it; None:
    somebody of whom nothing but an address is known. Raises InvalidFields, and NotFound for the
    workspace.
    """
    _check(contact=contact, data=data)
    compiled = template_sources.compile_source(source)
    values = template_rendering.make_values(
        contact={"email": SAMPLE_EMAIL} if contact is None else contact,
        data=data,
        has_way_out=has_way_out,
    )
    try:
        rendered = template_rendering.render(
            subject=source.subject, html=compiled.html, text=compiled.text, values=values
        )
    except (MergeError, TooMuch) as error:
        problem = FieldError("source", f"cannot be filled in with this data: {error}")
        raise InvalidFields(summarise([problem]), errors=[problem]) from None
    findings = template_checks.check(workspace_id, source, compiled, from_email=from_email)
    return Preview(rendered, compiled.fields, findings)


def find_source(workspace_id: int, template: int | str, version: int | None = None) -> Source:
    """The source of a stored template, by its id or its name. Raises NotFound."""
    template_id = template
    if isinstance(template_id, str):
        found = None
        if not list(submission.check_storable("", template_id)):
            found = templates.find_by_name(workspace_id, template_id.strip())
        if found is None:
            raise NotFound(templates.NO_SUCH)
        template_id = found.id
    return templates.source_of(templates.get_version(workspace_id, template_id, version)[1])


def get_contact_data(workspace_id: int, email: str) -> dict[str, Any]:
    """What templates know of the contact of an address. Raises InvalidFields, NotFound."""
    try:
        normal = addresses.parse(email).text
    except ValueError as error:
        problem = FieldError("contact_email", str(error))
        raise InvalidFields(summarise([problem]), errors=[problem]) from None
    found = Contact.get_or_none(
        Contact.workspace_id == workspace_id, email_search.is_exactly(Contact.email, normal)
    )
    if found is None:
        raise NotFound("There is no contact of that address.")
    return template_rendering.contact_data(found)


def _check(**given: Mapping[str, Any] | None) -> None:
    """Raises InvalidFields for values that no message could have either."""
    problems: list[FieldError] = []
    for name, values in given.items():
        if values is None:
            continue
        if len(json.dumps(values, default=str)) > limits.DATA_MAX_BYTES:
            message = f"is larger than {limits.DATA_MAX_BYTES} bytes of JSON"
            problems.append(FieldError(name, message))
        else:
            complaints = submission.check_storable(name, values)
            problems += [FieldError(field, message) for field, message in complaints]
    if problems:
        raise InvalidFields(summarise(problems), errors=problems)
