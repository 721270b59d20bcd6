"""/v1/campaigns: one mail to many contacts: writing it down, checking and trying it.

What brings it on its way is in `campaign_verbs`, and what became of whom in `campaign_reports`.
"""

from maild.api import schemas
from maild.api.auth import ADMINS, OPERATORS, READERS, Caller
from maild.api.campaign_answers import answer, detail, fields_of, id_of
from maild.api.endpoint import endpoint
from maild.api.query import parse_serial_cursor
from maild.domain import serial_cursor
from maild.errors import Conflict, TooManyRequests
from maild.services import (
    campaign_checks,
    campaign_previews,
    campaign_settings,
    campaign_tests,
    campaigns,
)

_ONE = "/v1/campaigns/<campaign_id>"


@endpoint(
    "GET",
    "/v1/campaigns",
    summary="The campaigns of a workspace, newest first, in pages",
    allow=READERS,
    query=schemas.CampaignQuery,
    answer=schemas.CampaignPage,
)
def list_campaigns(caller: Caller, query: schemas.CampaignQuery) -> schemas.CampaignPage:
    """All of them unless `status` says otherwise."""
    workspace_id = caller.workspace_id(query.workspace_id)
    page = campaigns.list_page(
        workspace_id,
        status=query.status,
        limit=query.limit,
        older_than=parse_serial_cursor(query.cursor),
    )
    return schemas.CampaignPage(
        workspace_id=workspace_id,
        count=len(page.campaigns),
        campaigns=[answer(row) for row in page.campaigns],
        next_cursor=serial_cursor.write(page.older) if page.older else None,
    )


@endpoint(
    "POST",
    "/v1/campaigns",
    summary="Make a draft of a campaign",
    allow=OPERATORS,
    body=schemas.CampaignIn,
    answer=schemas.CampaignOut,
    status=201,
    raises=(Conflict,),
)
def create_campaign(caller: Caller, body: schemas.CampaignIn) -> schemas.CampaignOut:
    """It goes nowhere until somebody schedules it. A name, an audience and a From are enough to
    begin with.
    """
    return answer(
        campaigns.create(caller.workspace_id(body.workspace_id), fields_of(body), by=caller.actor)
    )


@endpoint(
    "GET",
    _ONE,
    summary="One campaign, with what has become of its audience so far",
    allow=READERS,
    query=schemas.CampaignGet,
    answer=schemas.CampaignDetail,
)
def get_campaign(
    caller: Caller, query: schemas.CampaignGet, campaign_id: str
) -> schemas.CampaignDetail:
    """`figures` are those of one moment, and add up to the audience."""
    return detail(campaigns.get(caller.workspace_id(query.workspace_id), id_of(campaign_id)))


@endpoint(
    "POST",
    _ONE,
    summary="Change what a draft says",
    allow=OPERATORS,
    body=schemas.CampaignChange,
    answer=schemas.CampaignOut,
    raises=(Conflict,),
)
def change_campaign(
    caller: Caller, body: schemas.CampaignChange, campaign_id: str
) -> schemas.CampaignOut:
    """What is left out stays as it is. What was submitted or scheduled is a draft no more: send it
    back or unschedule it first.
    """
    row = campaigns.change(
        caller.workspace_id(body.workspace_id),
        id_of(campaign_id),
        fields_of(body),
        version=body.version,
        by=caller.actor,
    )
    return answer(row)


@endpoint(
    "DELETE",
    "/v1/campaigns",
    summary="Throw a draft away",
    allow=OPERATORS,
    body=schemas.CampaignRemoval,
    answer=schemas.CampaignDeleted,
    raises=(Conflict,),
)
def delete_campaign(caller: Caller, body: schemas.CampaignRemoval) -> schemas.CampaignDeleted:
    """Only a draft: what has begun is kept with its ledger."""
    workspace_id = caller.workspace_id(body.workspace_id)
    row = campaigns.delete(workspace_id, body.id, version=body.version, by=caller.actor)
    return schemas.CampaignDeleted(workspace_id=workspace_id, id=row.id, name=row.name)


@endpoint(
    "POST",
    f"{_ONE}/copy",
    summary="Make a draft that says the same",
    allow=OPERATORS,
    body=schemas.CampaignCopy,
    answer=schemas.CampaignOut,
    status=201,
    raises=(Conflict,),
)
def copy_campaign(
    caller: Caller, body: schemas.CampaignCopy, campaign_id: str
) -> schemas.CampaignOut:
    """Of a campaign in whatever state. All but its time is copied."""
    workspace_id = caller.workspace_id(body.workspace_id)
    return answer(campaigns.copy(workspace_id, id_of(campaign_id), by=caller.actor))


@endpoint(
    "GET",
    f"{_ONE}/checks",
    summary="What stops a campaign, what to know before, whom it would reach",
    allow=READERS,
    query=schemas.CampaignGet,
    answer=schemas.CampaignChecks,
)
def check_campaign(
    caller: Caller, query: schemas.CampaignGet, campaign_id: str
) -> schemas.CampaignChecks:
    """Its whole audience is counted for that, as it is at this moment."""
    row = campaigns.get(caller.workspace_id(query.workspace_id), id_of(campaign_id))
    report = campaign_checks.check(row)
    reach = report.reach
    return schemas.CampaignChecks(
        workspace_id=row.workspace_id,
        campaign_id=row.id,
        can_be_sent=report.can_be_sent,
        findings=[
            schemas.CampaignFinding(
                severity=one.severity.value,
                code=one.code,
                message=one.message,
                advice=one.advice,
                line=one.line,
            )
            for one in report.findings
        ],
        audience_name=report.audience_name,
        reach=None
        if reach is None
        else schemas.CampaignReach(
            audience_count=reach.audience,
            mailable_count=reach.can_be_mailed,
            suppressed_count=reach.suppressed,
            unsubscribed_count=reach.unsubscribed,
            left_topic_count=reach.left_topic,
            pending_count=reach.pending,
        ),
        missing_fields=[
            schemas.CampaignLacking(
                field=f"contact.{one.name}", count=one.count, samples=list(one.samples)
            )
            for one in report.lacking
        ],
        is_missing_exact=report.is_lacking_exact,
        per_hour=report.per_hour,
        takes_seconds=None if report.takes is None else int(report.takes.total_seconds()),
    )


@endpoint(
    "GET",
    f"{_ONE}/preview",
    summary="The mail that one contact would get",
    allow=READERS,
    query=schemas.CampaignPreviewQuery,
    answer=schemas.CampaignPreview,
    raises=(Conflict,),
)
def preview_campaign(
    caller: Caller, query: schemas.CampaignPreviewQuery, campaign_id: str
) -> schemas.CampaignPreview:
    """Links by which a recipient leaves are made when it is sent; a mark stands for them here."""
    row = campaigns.get(caller.workspace_id(query.workspace_id), id_of(campaign_id))
    shown = campaign_previews.make(row, email=query.email, variant=query.variant)
    return schemas.CampaignPreview(
        workspace_id=row.workspace_id,
        campaign_id=row.id,
        email=None if shown.contact is None else shown.contact.email,
        variant=shown.variant,
        template_version=shown.template_version,
        from_email=row.from_email,
        from_name=row.from_name,
        subject=shown.mail.subject,
        html=shown.mail.html,
        text=shown.mail.text,
        missing_fields=list(shown.mail.missing),
    )


@endpoint(
    "POST",
    f"{_ONE}/test",
    summary="Send a test to members of the workspace",
    allow=OPERATORS,
    body=schemas.CampaignTest,
    answer=schemas.CampaignTested,
    raises=(Conflict, TooManyRequests),
)
def test_campaign(
    caller: Caller, body: schemas.CampaignTest, campaign_id: str
) -> schemas.CampaignTested:
    """As messages of the stream `marketing` with the tag `campaign-test` and “[Test]” before the
    subject. What keeps other mail from somebody keeps these too.
    """
    row = campaigns.get(caller.workspace_id(body.workspace_id), id_of(campaign_id))
    tested = campaign_tests.send(
        row, to=body.to, email=body.email, variant=body.variant, by=caller.actor
    )
    return schemas.CampaignTested(
        workspace_id=row.workspace_id,
        campaign_id=row.id,
        outcomes=[
            schemas.CampaignTestOutcome(
                email=one.email,
                message_id=None if one.message is None else one.message.id,
                status=None if one.message is None else one.message.status,
                error=one.problem,
            )
            for one in tested.outcomes
        ],
        missing_fields=list(tested.missing),
    )


@endpoint(
    "GET",
    "/v1/campaigns/settings",
    summary="What holds for all campaigns of a workspace",
    allow=READERS,
    query=schemas.CampaignSettingsQuery,
    answer=schemas.CampaignSettingsOut,
)
def get_campaign_settings(
    caller: Caller, query: schemas.CampaignSettingsQuery
) -> schemas.CampaignSettingsOut:
    """Whether each has to be approved by a second person."""
    workspace_id = caller.workspace_id(query.workspace_id)
    return _settings(workspace_id, campaign_settings.get(workspace_id))


@endpoint(
    "POST",
    "/v1/campaigns/settings",
    summary="Say what holds for all campaigns of a workspace",
    allow=ADMINS,
    body=schemas.CampaignSettingsIn,
    answer=schemas.CampaignSettingsOut,
    raises=(Conflict,),
)
def save_campaign_settings(
    caller: Caller, body: schemas.CampaignSettingsIn
) -> schemas.CampaignSettingsOut:
    """For what is scheduled from now on; what is scheduled already stays so."""
    workspace_id = caller.workspace_id(body.workspace_id)
    saved = campaign_settings.save(
        workspace_id,
        needs_second_person=body.needs_second_person,
        version=body.version,
        by=caller.actor,
    )
    return _settings(workspace_id, saved)


def _settings(
    workspace_id: int, settings: campaign_settings.Settings
) -> schemas.CampaignSettingsOut:
    return schemas.CampaignSettingsOut(
        workspace_id=workspace_id,
        needs_second_person=settings.needs_second_person,
        version=settings.version,
        updated_by=settings.updated_by,
        updated_at=settings.updated_at,
    )
