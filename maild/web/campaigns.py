"""Campaigns: the list, the composer of drafts, and the page of each.

What a person does to one is in `campaign_actions`, what became of whom in `campaign_reports`.
"""

import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild import clock, db
from maild.domain import campaign_forecast
from maild.domain.campaign import RUNNING, CampaignStatus, RecipientStatus, Variant
from maild.domain.role import OPERATORS
from maild.errors import InvalidRequest, NotFound, SearchTooLong
from maild.models import Campaign
from maild.services import (
    campaign_contents,
    campaign_histories,
    campaign_ledger,
    campaign_previews,
    campaign_reach,
    campaign_settings,
    campaigns,
    message_log,
)
from maild.services.campaign_ledger import Figures
from maild.services.template_rendering import SAMPLE_EMAIL
from maild.web import (
    access,
    audit_words,
    campaign_forms,
    campaign_words,
    differences,
    paging,
    render,
    template_forms,
    template_parts,
)
from maild.web.differences import Difference

PAGE_ROWS = 20
"""The ledgers of so many are counted at once."""
ROWS_PER_SECOND = 50_000
"""Counting a million rows takes about a second: for so many the page waits a second longer."""
POLL_SECONDS_MAX = 60
NO_SUCH = "There is no such campaign."
NO_MAIL = "There is no mail to show."

blueprint = Blueprint("campaigns", __name__, url_prefix="/ui/campaigns")


@dataclass(frozen=True, slots=True)
class Step:
    """What somebody did to it."""

    at: datetime
    actor: str
    did: str
    reason: str | None
    changes: list[Difference]


@blueprint.get("")
@db.connection()
def index() -> Response:
    """All campaigns, newest first, with what became of each so far."""
    asked = request.args.get("status", "")
    if asked and asked not in set(CampaignStatus):
        raise InvalidRequest("status must be one of " + ", ".join(CampaignStatus) + ".")
    workspace_id, older_than = access.current_workspace_id(), paging.older_than()
    page = campaigns.list_page(
        workspace_id,
        status=CampaignStatus(asked) if asked else None,
        limit=PAGE_ROWS,
        older_than=older_than,
    )
    begun = [row for row in page.campaigns if row.started_at is not None]
    figures: dict[int, Figures] = {}
    if begun:
        with contextlib.suppress(SearchTooLong), message_log.bounded():  # each has its own page
            figures = campaign_ledger.figures_of(begun)
    return render.page_or_partial(
        "pages/campaigns.html",
        "partials/campaign_list.html",
        rows=page.campaigns,
        figures=figures,
        asked=asked,
        statuses=campaign_words.STATUSES,
        recipients=campaign_words.RECIPIENTS,
        begins_of=campaign_words.begins,
        older=paging.mark(page.older),
        is_newest=older_than is None,
    )


@blueprint.get("/frame")
@db.connection()
def frame() -> Response:
    """The HTML of a mail, as one contact would get it; all that it depends on is in the address."""
    mail = _find_mail()
    return template_parts.frame(mail, has_pictures=request.args.get("pictures") == "1")


def _find_mail() -> str:
    """Raises NotFound, InvalidFields."""
    args = request.args
    template_id = template_forms.parse_number(args.get("template"))
    version = template_forms.parse_number(args.get("version"))
    if template_id is None or version is None:
        raise NotFound(NO_MAIL)
    campaign = Campaign(
        id=template_forms.parse_number(args.get("campaign")),
        workspace=access.current_workspace_id(),
        name=args.get("name", ""),
        template_id=template_id,
        template_version=version,
    )
    content = campaign_contents.find(campaign)
    if content is None:
        raise NotFound(NO_MAIL)
    if args.get("email"):
        return campaign_previews.make(campaign, email=args["email"]).mail.html or ""
    return campaign_contents.render(campaign, content, {"email": SAMPLE_EMAIL}).html or ""


@blueprint.get("/<int:campaign_id>")
@db.connection()
def show(campaign_id: int) -> BaseResponse:
    """A campaign: how far it is, what became of its audience, who did what. While it goes on the
    page asks for it again. A draft is shown as what it says.
    """
    row = find(campaign_id)
    try:
        with campaign_ledger.bounded():
            figures = campaign_ledger.figures(row)
            parts = campaign_ledger.by_variant(row) if row.test_percent is not None else {}
    except SearchTooLong:
        if render.wants_partial():
            return render.nothing_new()
        raise
    mark = render.digest(
        row.status, row.fault, row.winner, row.updated_at, row.handed_count, figures, parts
    )
    if render.has_seen(mark):
        return render.nothing_new()
    acts_mark = f"{row.status}-{row.winner or ''}"
    entries: list[Step] | None = None
    with contextlib.suppress(SearchTooLong):
        entries = [
            Step(
                one.at,
                one.actor,
                audit_words.say(one.action),
                one.reason,
                differences.tell(one.before, one.after),
            )
            for one in campaign_histories.list_entries(row)
        ]
    content = campaign_contents.find(row)
    reached = sum(
        figures.by_status[one] for one in (RecipientStatus.SENT, RecipientStatus.DELIVERED)
    )
    return render.page_or_partial(
        "pages/campaign.html",
        "partials/campaign_live.html",
        **head(row, tab="overview"),
        figures=figures,
        under_way=figures.by_status[RecipientStatus.QUEUED] - figures.waiting_count,
        deeds=campaign_words.list_deeds(figures.engagement, reached),
        reached=reached,
        mark=mark,
        acts_mark=acts_mark,
        has_moved=render.wants_partial() and request.args.get("state") != acts_mark,
        is_live=row.status in RUNNING - {CampaignStatus.PAUSED}
        or row.status is CampaignStatus.SCHEDULED
        or (row.ended_at is not None and bool(figures.by_status[RecipientStatus.QUEUED])),
        poll_seconds=_poll_seconds(row, figures),
        left=_left(row, figures),
        parts=[
            (variant, parts[variant], content.subject(variant) if content else "")
            for variant in Variant
            if variant in parts
        ],
        rest=parts.get(None),
        steps=entries,
        content=content,
        audience_name=campaign_reach.name_of(row),
        meanings=campaign_words.MEANINGS,
        recipients=campaign_words.RECIPIENTS,
        pace_words=campaign_words.pace(row),
    )


def head(row: Campaign, *, tab: str) -> dict[str, Any]:
    """What every page of a campaign shows above."""
    return {
        "campaign": row,
        "tab": tab,
        "state": campaign_words.STATUSES[row.status],
        "begins": campaign_words.begins(row),
        "approve_lock": lock_of_approval(row),
        "contacts_in_words": campaign_words.contacts,
        "messages_in_words": campaign_words.messages,
    }


def lock_of_approval(row: Campaign) -> str | None:
    """Why this person may not approve it; None where they may, or nobody has to."""
    if row.status is not CampaignStatus.IN_REVIEW:
        return None
    if access.current_workspace().role not in OPERATORS:
        return access.OPERATOR_NEEDED
    mine = access.actor().name in {row.submitted_by, row.changed_by or row.created_by}
    if mine and campaign_settings.get(row.workspace_id).needs_second_person:
        return "You submitted it or changed it last: somebody else has to approve it."
    return None


def find(campaign_id: int) -> Campaign:
    """A campaign of the workspace. Raises NotFound."""
    if campaign_id > campaign_forms.ID_MAX:
        raise NotFound(NO_SUCH)
    return campaigns.get(access.current_workspace_id(), campaign_id)


def page_url(row: Campaign) -> str:
    """Where a campaign is shown."""
    return url_for("campaigns.show", campaign_id=row.id)


def _poll_seconds(row: Campaign, figures: Figures) -> int:
    """How soon a page asks for it again: each time its whole ledger is counted."""
    if row.status is CampaignStatus.SCHEDULED:
        return 10
    return min(POLL_SECONDS_MAX, max(2, figures.audience_count // ROWS_PER_SECOND))


def _left(row: Campaign, figures: Figures) -> str | None:
    """How long it still takes, in words; None where nobody knows."""
    if row.status is not CampaignStatus.SENDING or not figures.waiting_count:
        return None
    test_wait = timedelta()
    if row.test_minutes and row.winner is None:
        decide_at = row.decide_at or clock.now() + timedelta(minutes=row.test_minutes)
        test_wait = max(decide_at - clock.now(), timedelta())
    if row.per_hour is not None or row.ramp:
        used: dict[str, Any] = row.pace or {}
        ramp: list[int] = row.ramp or []
        ramp = ramp[used.get("day", 0) :]
        takes = campaign_forecast.how_long(
            figures.waiting_count, per_hour=row.per_hour, ramp=ramp, test_wait=test_wait
        )
        if takes:
            return campaign_forecast.in_words(takes)
    if test_wait:  # what comes after it is as fast as the providers are
        return campaign_forecast.in_words(test_wait)
    since = row.prepared_at or row.started_at
    elapsed = (clock.now() - since).total_seconds() if since else 0.0
    if elapsed < 5 or not row.handed_count:
        return None
    return campaign_forecast.in_words(
        timedelta(seconds=figures.waiting_count * elapsed / row.handed_count)
    )
