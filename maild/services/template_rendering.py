"""Rendering: a version of a template, filled in for one recipient. Asks the database nothing.

The links by which a recipient leaves are made when a message is sent, one for each recipient
(`mail_links`); until then a mark stands in their place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from maild.models import Contact, TemplateVersion
from maild.services import mail_links, merge_fields
from maild.services.merge_fields import Escape

SAMPLE_EMAIL = "ann@example.com"
"""Whom a preview is for where nobody is named."""

LINKS = {
    "unsubscribe_url": mail_links.UNSUBSCRIBE_MARK,
    "preferences_url": mail_links.PREFERENCES_MARK,
}
"""The fields that every marketing mail has."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail as its recipient gets it. `html` is None for mail of text alone. `missing` are the
    merge fields that had no value, or one of no use: nothing is in their place.
    """

    subject: str
    html: str | None
    text: str
    missing: tuple[str, ...]


def render_version(
    version: TemplateVersion,
    *,
    contact: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    campaign: Mapping[str, Any] | None = None,
    has_way_out: bool = True,
    subject: str | None = None,
) -> Rendered:
    """Fill in a version. `contact` is what `contact_data` makes; `data` and `campaign` are plain
    JSON. Without `has_way_out`, for transactional mail, the links to leave are missing. `subject`
    stands in place of the version's. Raises MergeError and TooMuch (ValueError both).
    """
    return render(
        subject=version.subject if subject is None else subject,
        html=version.html,
        text=version.body_text,
        values=make_values(contact=contact, data=data, campaign=campaign, has_way_out=has_way_out),
    )


def render(*, subject: str, html: str, text: str, values: Mapping[str, Any]) -> Rendered:
    """Fill in what a source was compiled to; `values` are of `make_values`. Raises as
    `render_version`.
    """
    of_subject = merge_fields.render(subject, values, escape=Escape.HEADER)
    of_html = merge_fields.render(html, values, escape=Escape.HTML) if html else None
    of_text = merge_fields.render(text, values, escape=Escape.TEXT)
    missing = (*of_subject.missing, *(of_html.missing if of_html else ()), *of_text.missing)
    return Rendered(
        subject=of_subject.text,
        html=of_html.text if of_html else None,
        text=of_text.text.strip("\n"),  # of blocks that were not to be shown
        missing=tuple(dict.fromkeys(missing)),
    )


def make_values(
    *,
    contact: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    campaign: Mapping[str, Any] | None = None,
    has_way_out: bool = True,
) -> dict[str, Any]:
    """What the names in a template stand for."""
    return {
        "contact": dict(contact or {}),
        "data": dict(data or {}),
        "campaign": dict(campaign or {}),
        **(LINKS if has_way_out else {}),
    }


def contact_data(contact: Contact) -> dict[str, Any]:
    """A contact as templates name it: its attributes, its address, its name where it has one."""
    return {**contact.attributes, "email": contact.email, "name": contact.name}
