"""What a campaign comes to while it is composed: whom it reaches, what is wrong, the mail."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import url_for

from maild.domain.campaign import CampaignStatus, Variant
from maild.errors import FieldError, InvalidFields, MaildError, NotFound
from maild.models import Campaign
from maild.services import campaign_checks, campaign_fields, campaign_previews
from maild.services.campaign_checks import Report
from maild.services.campaign_previews import Preview
from maild.services.merge_fields import MergeError, TooMuch
from maild.web import access

NAMELESS = "(no name yet)"


@dataclass(frozen=True, slots=True)
class Look:
    """`complaints`: what keeps it from being looked at. `problem`: why there is no preview."""

    campaign: Campaign | None
    report: Report | None = None
    preview: Preview | None = None
    problem: str = ""
    frame_url: str | None = None
    complaints: tuple[FieldError, ...] = ()


def look_at_typed(
    values: Mapping[str, Any],
    draft: Campaign | None,
    *,
    email: str = "",
    variant: Variant | None = None,
    has_pictures: bool = False,
) -> Look:
    """A campaign as it was typed, saved or not. Writes nothing."""
    named = {**values, "name": str(values.get("name") or "").strip() or NAMELESS}
    before = None if draft is None else campaign_fields.values_of(draft)
    try:
        checked = campaign_fields.check(access.current_workspace_id(), named, before=before)
    except InvalidFields as error:
        return Look(None, complaints=error.errors)
    except NotFound as error:
        return Look(None, complaints=(FieldError("", error.detail),))
    made = Campaign(
        id=None if draft is None else draft.id,
        workspace=access.current_workspace_id(),
        status=CampaignStatus.DRAFT,
        **checked,
    )
    return look_at(made, email=email, variant=variant, has_pictures=has_pictures)


def look_at(
    campaign: Campaign,
    *,
    email: str = "",
    variant: Variant | None = None,
    has_pictures: bool = False,
) -> Look:
    """All that there is to know of a campaign before it is sent."""
    report = campaign_checks.check(campaign)
    preview, problem = None, ""
    try:
        preview = campaign_previews.make(campaign, email=email or None, variant=variant)
    except (MergeError, TooMuch) as error:
        problem = f"It cannot be filled in: {error}."
    except MaildError as error:
        problem = error.detail
    frame_url = None
    if preview is not None and preview.mail.html:
        frame_url = _frame_url(campaign, preview, has_pictures=has_pictures)
    return Look(campaign, report, preview, problem, frame_url)


def _frame_url(campaign: Campaign, preview: Preview, *, has_pictures: bool) -> str:
    return url_for(
        "campaigns.frame",
        template=campaign.template_id,
        version=preview.template_version,
        email=None if preview.contact is None else preview.contact.email,
        campaign=campaign.id,
        name=campaign.name,
        pictures="1" if has_pictures else None,
    )
