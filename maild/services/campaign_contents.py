"""What a campaign says, filled in: the version of its template, and the subjects that it puts in
place of that one's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from maild.domain.campaign import Variant
from maild.models import Campaign, Template, TemplateVersion
from maild.services import merge_fields, template_rendering
from maild.services.merge_fields import MergeError
from maild.services.template_rendering import Rendered

KNOWN = frozenset({"campaign.id", "campaign.name"})
"""The fields of a campaign itself that its template may name."""
_CONTACT = "contact."


@dataclass(frozen=True, slots=True)
class Content:
    """The template and the version of it that is sent, and the subjects by variant: one without a
    test.
    """

    template: Template
    version: TemplateVersion
    subjects: Mapping[Variant, str]

    def subject(self, variant: Variant | None) -> str:
        """Without a test there is one for everybody."""
        return self.subjects.get(variant or Variant.A, self.subjects[Variant.A])


def find(campaign: Campaign) -> Content | None:
    """The content of a campaign: of what was fixed, else of the latest version. None where its
    template is gone, or nobody has chosen one.
    """
    if campaign.template_id is None:
        return None
    template = Template.get_or_none(
        Template.id == campaign.template_id, Template.workspace == campaign.workspace_id
    )
    if template is None:
        return None
    version = TemplateVersion.get_or_none(
        TemplateVersion.template == template.id,
        TemplateVersion.version == (campaign.template_version or template.version),
    )
    if version is None:
        return None
    subjects = {Variant.A: campaign.subject or version.subject}
    if campaign.subject_b is not None:
        subjects[Variant.B] = campaign.subject_b
    return Content(template, version, subjects)


def values_of(campaign: Campaign) -> dict[str, Any]:
    """What `campaign.` stands for in its template."""
    return {"id": campaign.id, "name": campaign.name}


def render(
    campaign: Campaign,
    content: Content,
    contact: Mapping[str, Any],
    *,
    variant: Variant | None = None,
) -> Rendered:
    """Fill it in for one contact (`template_rendering.contact_data`). Raises MergeError and TooMuch
    (ValueError both).
    """
    return template_rendering.render_version(
        content.version,
        contact=contact,
        campaign=values_of(campaign),
        subject=content.subject(variant),
    )


def list_needed(content: Content) -> list[str]:
    """The merge fields that it has no default for, each once, in their order: of what is sent, so
    not of a subject that another one takes the place of.
    """
    texts = (*content.subjects.values(), content.version.html, content.version.body_text)
    needed: dict[str, None] = {}
    for text in texts:
        try:
            fields = merge_fields.parse(text)
        except MergeError:  # of a template that was saved when more could be read
            continue
        needed |= {field.name: None for field in fields if not field.has_default}
    return list(needed)


def has_branches(content: Content) -> bool:
    """Whether it may leave out a part: then not every field that it names is needed by all."""
    texts = (*content.subjects.values(), content.version.html, content.version.body_text)
    return any("{%" in text for text in texts)


def attribute_of(field: str) -> str | None:
    """The attribute of a contact that a field is made of; None for all other fields."""
    if not field.startswith(_CONTACT):
        return None
    return field.removeprefix(_CONTACT).split(".")[0].split("[")[0]
