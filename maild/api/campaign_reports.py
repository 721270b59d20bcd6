"""/v1/campaigns/report and /v1/campaigns/recipients: what became of a campaign, and of whom."""

from typing import Any

from flask import Response

from maild.api import schemas
from maild.api.auth import READERS, Caller
from maild.api.campaign_answers import engagement_out, figures_out, slice_out
from maild.api.endpoint import endpoint
from maild.api.query import parse_serial_cursor
from maild.domain import serial_cursor
from maild.models import CampaignRecipient
from maild.services import campaign_exports, campaign_ledger, campaigns
from maild.services.campaign_ledger import Filter


@endpoint(
    "GET",
    "/v1/campaigns/report",
    summary="What became of a campaign: figures, by subject and by domain",
    allow=READERS,
    query=schemas.CampaignReportQuery,
    answer=schemas.CampaignReport,
)
def get_campaign_report(
    caller: Caller, query: schemas.CampaignReportQuery
) -> schemas.CampaignReport:
    """The figures add up to the audience. Opens and clicks are those that providers report."""
    row = campaigns.get(caller.workspace_id(query.workspace_id), query.campaign_id)
    with campaign_ledger.bounded():
        figures = campaign_ledger.figures(row)
        by_variant, by_domain = campaign_ledger.by_variant(row), campaign_ledger.by_domain(row)
    return schemas.CampaignReport(
        workspace_id=row.workspace_id,
        campaign_id=row.id,
        name=row.name,
        status=row.status,
        figures=figures_out(figures),
        engagement=engagement_out(figures.engagement),
        by_variant=[slice_out(name, part) for name, part in by_variant.items()],
        by_domain=[slice_out(name, part) for name, part in by_domain.items()],
    )


@endpoint(
    "GET",
    "/v1/campaigns/recipients",
    summary="Who is behind a figure of a campaign, in pages",
    allow=READERS,
    query=schemas.CampaignRecipientQuery,
    answer=schemas.CampaignRecipientPage,
)
def list_campaign_recipients(
    caller: Caller, query: schemas.CampaignRecipientQuery
) -> schemas.CampaignRecipientPage:
    """In the order in which they were taken into the campaign."""
    workspace_id = caller.workspace_id(query.workspace_id)
    page = campaign_ledger.list_page(
        workspace_id,
        query.campaign_id,
        filter_=_filter(query),
        limit=query.limit,
        after=parse_serial_cursor(query.cursor) or 0,
    )
    return schemas.CampaignRecipientPage(
        workspace_id=workspace_id,
        campaign_id=query.campaign_id,
        count=len(page.recipients),
        recipients=[_recipient(row) for row in page.recipients],
        next_cursor=serial_cursor.write(page.next_after) if page.next_after else None,
    )


@endpoint(
    "GET",
    "/v1/campaigns/recipients/export",
    summary="All recipients of a campaign as a CSV file",
    allow=READERS,
    query=schemas.CampaignRecipientFilter,
    answer="text/csv",
    connects=False,  # it reads portion by portion, long after the view has answered
)
def export_campaign_recipients(caller: Caller, query: schemas.CampaignRecipientFilter) -> Response:
    """The file streams, however long it is. The audit log keeps who took it."""
    workspace_id = caller.workspace_id(query.workspace_id)
    lines = campaign_exports.open_file(
        workspace_id,
        query.campaign_id,
        filter_=_filter(query),
        asked=query.model_dump_json(exclude_none=True, exclude={"workspace_id", "campaign_id"}),
        by=caller.actor,
    )
    response = Response(lines, content_type="text/csv; charset=utf-8; header=present")
    name = f"campaign-{query.campaign_id}.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _filter(query: schemas.CampaignRecipientFilter) -> Filter:
    return Filter(status=query.status, reason=query.reason, variant=query.variant, did=query.did)


def _recipient(row: CampaignRecipient) -> schemas.CampaignRecipientOut:
    values: dict[str, Any] = {
        name: getattr(row, name) for name in schemas.CampaignRecipientOut.model_fields
    }
    return schemas.CampaignRecipientOut(**values)
