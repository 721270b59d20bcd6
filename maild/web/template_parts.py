"""What the pages of templates share: a template looked at as it would be sent, what differs between
two of its versions, and the merge fields that there are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response

from maild.domain import line_diff
from maild.domain.line_diff import Line
from maild.domain.template import Finding, Severity, Source
from maild.errors import InvalidFields
from maild.models import Contact, ContactAttribute, TemplateVersion
from maild.services import (
    contact_attributes,
    contacts,
    merge_fields,
    template_checks,
    template_rendering,
    template_samples,
    template_sources,
    templates,
)
from maild.services.merge_fields import Escape, MergeError, TooMuch
from maild.services.template_rendering import Rendered
from maild.services.template_sources import Compiled
from maild.web import access, headers, template_forms
from maild.web.badges import Badge
from maild.web.forms import text
from maild.web.template_forms import ComposerForm

SHOWN_CHARS = 65_536
"""A page shows this much of what a source comes to."""
LINKS = {"unsubscribe_url", "preferences_url"}
"""The merge fields that only marketing mail has."""
NO_CONTACT = "there is no contact of this address"

SEVERITIES: dict[Severity, Badge] = {
    Severity.STOP: Badge("mend it", "cross", "bad"),
    Severity.WARN: Badge("look at it", "alert", "warn"),
    Severity.HINT: Badge("hint", "info", "info"),
}
LABELS = {
    "subject": "Subject",
    "preheader": "Preheader",
    "format": "Format",
    "source": "Source",
    "source_text": "Text",
}


@dataclass(frozen=True, slots=True)
class Told:
    """A finding with its badge."""

    badge: Badge
    text: str
    advice: str


@dataclass(frozen=True, slots=True)
class Look:
    """A template as it would be sent: `html` (empty: there is none) and `text` are filled in,
    `output` is the HTML before that. `missing` are the fields without a value.
    """

    subject: str
    preheader: str
    html: str
    text: str
    output: str
    is_text_derived: bool
    missing: Sequence[str]
    findings: Sequence[Told]
    as_whom: str

    @property
    def output_shown(self) -> str:
        """As much of `output` as a page shows."""
        return self.output[:SHOWN_CHARS]

    @property
    def size_bytes(self) -> int:
        """Of both parts."""
        return len(self.html.encode(errors="replace")) + len(self.text.encode(errors="replace"))


@dataclass(frozen=True, slots=True)
class FilledWith:
    """What a preview is filled in with, and who that is in words."""

    contact: Mapping[str, Any]
    data: Mapping[str, Any]
    as_whom: str

    def values(self, *, has_way_out: bool = True) -> dict[str, Any]:
        """What the names in a template stand for."""
        return template_rendering.make_values(
            contact=self.contact, data=self.data, has_way_out=has_way_out
        )


@dataclass(frozen=True, slots=True)
class Field:
    """A merge field that can be put into a template: `code` is what is put in."""

    name: str
    code: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What differs in one field. A short one has `before` and `after`; a long one `lines`, and
    where it is too long to be compared, none of them, and `after` says so.
    """

    label: str
    before: str = ""
    after: str = ""
    lines: Sequence[Line] | None = None


def look(source: Source, compiled: Compiled, filled_with: FilledWith) -> Look:
    """A template as it would be sent. Raises MergeError and TooMuch."""
    values = filled_with.values()
    rendered = fill(source, compiled, values)
    preheader = merge_fields.render(source.preheader, values, escape=Escape.HEADER)
    findings = template_checks.check(access.current_workspace_id(), source, compiled)
    return Look(
        subject=rendered.subject,
        preheader=preheader.text,
        html=rendered.html or "",
        text=rendered.text,
        output=compiled.html,
        is_text_derived=not source.source_text,
        missing=rendered.missing,
        findings=[_tell(one) for one in findings],
        as_whom=filled_with.as_whom,
    )


def fill(source: Source, compiled: Compiled, values: Mapping[str, Any]) -> Rendered:
    """A mail, filled in. Raises MergeError and TooMuch."""
    return template_rendering.render(
        subject=source.subject, html=compiled.html, text=compiled.text, values=values
    )


def look_at(form: ComposerForm) -> Look | None:
    """What was typed as it would be sent; None where something is wrong, which the form tells."""
    source = template_forms.source_of(form)
    filled_with = read_filled_with(form)
    try:
        compiled = template_sources.compile_source(source)
        return None if filled_with is None else look(source, compiled, filled_with)
    except InvalidFields as error:
        form.show(error)
    except (MergeError, TooMuch) as error:
        form.problem = f"It cannot be filled in: {error}."
    return None


def look_at_version(version: TemplateVersion, filled_with: FilledWith) -> Look | None:
    """A saved version as it would be sent; None where it cannot be filled in."""
    source = templates.source_of(version)
    try:
        compiled = template_sources.compile_source(source)
    except InvalidFields:  # it did when it was saved, and is sent as it was then
        compiled = templates.compiled_of(version)
    try:
        return look(source, compiled, filled_with)
    except (MergeError, TooMuch):
        return None


def read_filled_with(form: ComposerForm) -> FilledWith | None:
    """What a form says that the preview is filled in with; None where that is wrong, which the form
    tells.
    """
    sample = template_forms.read_sample(form)
    email = text(form.contact.data).strip()
    contact = _find_contact(email) if email else None
    if email and contact is None:
        form.complain("contact", NO_CONTACT)
        return None
    if sample is None:
        return None
    of_data = sample.get("data")
    of_contact = sample.get("contact")
    return FilledWith(
        contact=template_rendering.contact_data(contact)
        if contact is not None
        else of_contact
        if isinstance(of_contact, dict)
        else {},
        data=of_data if isinstance(of_data, dict) else {},
        as_whom="sample data" if contact is None else contact.email,
    )


def filled_with_of(version: TemplateVersion, email: str) -> FilledWith | None:
    """What a saved version is filled in with: the contact of this address, or sample data where it
    is empty. None where there is no such contact.
    """
    sample = sample_values_of(version)
    if not email:
        return sample
    contact = _find_contact(email)
    if contact is None:
        return None
    return FilledWith(template_rendering.contact_data(contact), sample.data, contact.email)


def sample_values_of(version: TemplateVersion) -> FilledWith:
    """Sample data for a version, to fill it in with."""
    sample = sample_of(version)
    return FilledWith(sample["contact"], sample["data"], "sample data")


def sample_of(version: TemplateVersion) -> dict[str, Any]:
    """Sample data for a version."""
    names = [one.name for one in templates.compiled_of(version).fields]
    return template_samples.sample(list_attributes(), names)


def list_attributes() -> list[ContactAttribute]:
    """Those of the workspace's contacts."""
    return contact_attributes.list_all(access.current_workspace_id())


def list_fields(attributes: Iterable[ContactAttribute]) -> list[Field]:
    """The merge fields that there are, those of the workspace's contacts among them."""
    known = [one.name for one in attributes]
    named = ["name", *known]
    return [
        *(Field(f"contact.{name}", f'{{{{ contact.{name} | default: "" }}}}') for name in named),
        Field("contact.email", "{{ contact.email }}"),
        Field("data.…", "{{ data.order }}", "what a program gives, by its name"),
        Field("unsubscribe_url", "{{ unsubscribe_url }}", "the recipient's own link to leave"),
        Field("preferences_url", "{{ preferences_url }}", "where they choose their topics"),
    ]


def compare(before: TemplateVersion | Source, after: TemplateVersion | Source) -> list[Change]:
    """What differs, field by field."""
    found = []
    for name, label in LABELS.items():
        old, new = getattr(before, name), getattr(after, name)
        if old == new:
            continue
        if name in ("source", "source_text"):
            lines = line_diff.compare(old, new)
            if lines is None:
                found.append(Change(label, after="Too long to be compared line by line.", lines=()))
            else:
                found.append(Change(label, lines=lines))
        elif name == "format":
            words = template_forms.FORMATS
            found.append(Change(label, words[old], words[new]))
        else:
            found.append(Change(label, old, new))
    return found


def frame(html: str, *, has_pictures: bool) -> Response:
    """A mail as a document of its own, under a policy that lets it only look like itself; with
    `has_pictures` it may load those from elsewhere.
    """
    response = Response(html, content_type="text/html; charset=utf-8")
    policy = headers.PICTURES_CSP if has_pictures else headers.PREVIEW_CSP
    response.headers["Content-Security-Policy"] = policy
    return response


def _find_contact(email: str) -> Contact | None:
    return contacts.find_by_email(access.current_workspace_id(), email)


def _tell(finding: Finding) -> Told:
    where = "" if finding.line is None else f"Line {finding.line}: "
    return Told(SEVERITIES[finding.severity], f"{where}{finding.message}", finding.advice)
