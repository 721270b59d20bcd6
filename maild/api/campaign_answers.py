"""How campaigns and their ledgers look in answers of /v1."""

from typing import Any

from pydantic import BaseModel

from maild.api import schemas
from maild.domain.campaign import Variant
from maild.errors import NotFound
from maild.models import Campaign
from maild.services import campaign_fields, campaign_ledger
from maild.services.campaign_ledger import Engagement, Figures, Slice

ID_MAX = 2**31 - 1
NO_SUCH = "There is no such campaign."


def id_of(text: str) -> int:
    """Raises NotFound where no campaign can have it."""
    if len(text) > len(str(ID_MAX)) or int(text) > ID_MAX:
        raise NotFound(NO_SUCH)
    return int(text)


def fields_of(body: BaseModel) -> dict[str, Any]:
    """What was said of a campaign; what was left out is not in it."""
    given = body.model_fields_set & set(campaign_fields.NAMES)
    return {name: getattr(body, name) for name in given}


def answer(campaign: Campaign) -> schemas.CampaignOut:
    """A campaign."""
    return schemas.CampaignOut(
        **{name: getattr(campaign, name) for name in schemas.CampaignOut.model_fields}
    )


def detail(campaign: Campaign) -> schemas.CampaignDetail:
    """A campaign with its ledger. Raises SearchTooLong."""
    with campaign_ledger.bounded():
        figures = campaign_ledger.figures(campaign)
    return schemas.CampaignDetail(
        **answer(campaign).model_dump(),
        figures=figures_out(figures),
        engagement=engagement_out(figures.engagement),
    )


def figures_out(figures: Figures) -> schemas.CampaignFigures:
    """The figures of a ledger."""
    return schemas.CampaignFigures(
        audience_count=figures.audience_count,
        by_status=figures.by_status,
        by_reason=[
            schemas.CampaignReasonCount(status=status, reason=reason, count=count)
            for status in figures.by_status
            for reason, count in figures.reasons(status).items()
        ],
        waiting_count=figures.waiting_count,
        done_count=figures.done_count,
        difference=figures.difference,
    )


def engagement_out(engagement: Engagement) -> schemas.CampaignEngagement:
    """What recipients did."""
    return schemas.CampaignEngagement(
        **{name: getattr(engagement, name) for name in schemas.CampaignEngagement.model_fields}
    )


def slice_out(name: Variant | str | None, part: Slice) -> schemas.CampaignSlice:
    """A part of a ledger."""
    return schemas.CampaignSlice(
        name=name or None,
        total_count=part.total_count,
        by_status=dict(part.counts),
        engagement=engagement_out(part.engagement),
    )
