"""Previews: what one contact would get of a campaign. Sends nothing, and writes nothing."""

from dataclasses import dataclass

from maild.domain.campaign import Variant
from maild.errors import (
    Conflict,
    FieldError,
    InvalidFields,
    NotFound,
    summarise,
)
from maild.models import Campaign, Contact
from maild.services import (
    addresses,
    campaign_contents,
    campaign_reach,
    template_rendering,
)
from maild.services.campaign_contents import Content
from maild.services.merge_fields import MergeError, TooMuch
from maild.services.template_rendering import SAMPLE_EMAIL, Rendered

NO_CONTACT = "There is no contact of that address in this workspace."


@dataclass(frozen=True, slots=True)
class Preview:
    """The mail, and whose it is: None where the audience has nobody to show it for."""

    campaign: Campaign
    contact: Contact | None
    variant: Variant | None
    template_version: int
    mail: Rendered


def make(
    campaign: Campaign, *, email: str | None = None, variant: Variant | None = None
) -> Preview:
    """As the contact of this address would get it, in the audience or not; None: as the first one
    of the audience. Without a test there is one variant.

    Raises InvalidFields (the address, or a template that cannot be filled in), NotFound (the
    contact), Conflict where no template is chosen, SearchTooLong.
    """
    content = campaign_contents.find(campaign)
    if content is None:
        raise Conflict("No template is chosen, or it was deleted. Choose one first.")
    if variant is not None and variant not in content.subjects:
        raise _invalid("variant", "is not there: the campaign tests no subjects")
    contact = _find_contact(campaign, email)
    shown = variant or (Variant.A if len(content.subjects) > 1 else None)
    mail = _render(campaign, content, contact, shown)
    return Preview(campaign, contact, shown, content.version.version, mail)


def _find_contact(campaign: Campaign, email: str | None) -> Contact | None:
    if email:
        try:
            normal = addresses.parse(email).text.lower()
        except ValueError as error:
            raise _invalid("email", str(error)) from None
        found: Contact | None = Contact.get_or_none(
            Contact.workspace_id == campaign.workspace_id, Contact.email == normal
        )
        if found is None:
            raise NotFound(NO_CONTACT)
        return found
    try:
        condition = campaign_reach.find(campaign)
    except Conflict:  # that its segment cannot be used is told by its checks
        condition = None
    if condition is None:
        return None
    return campaign_reach.find_first(condition)


def _render(
    campaign: Campaign, content: Content, contact: Contact | None, variant: Variant | None
) -> Rendered:
    data = {"email": SAMPLE_EMAIL} if contact is None else template_rendering.contact_data(contact)
    try:
        return campaign_contents.render(campaign, content, data, variant=variant)
    except (MergeError, TooMuch) as error:
        raise _invalid("template_id", f"cannot be filled in: {error}") from None


def _invalid(field: str, message: str) -> InvalidFields:
    error = FieldError(field, message)
    return InvalidFields(summarise([error]), errors=[error])
