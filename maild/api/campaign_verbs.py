"""/v1/campaigns/{id}/...: what brings a campaign on its way, and what stops it."""

from collections.abc import Callable
from typing import Any

from maild.api import schemas
from maild.api.auth import OPERATORS, Caller
from maild.api.campaign_answers import answer, id_of
from maild.api.endpoint import endpoint
from maild.errors import Conflict
from maild.models import Campaign
from maild.services import campaign_approvals, campaign_states

_ONE = "/v1/campaigns/<campaign_id>"


@endpoint(
    "POST",
    f"{_ONE}/submit",
    summary="Ask for approval of a draft",
    allow=OPERATORS,
    body=schemas.CampaignVerb,
    answer=schemas.CampaignOut,
    raises=(Conflict,),
)
def submit_campaign(
    caller: Caller, body: schemas.CampaignVerb, campaign_id: str
) -> schemas.CampaignOut:
    """The template's latest version is what is sent from now on. Where something stops the
    campaign the answer is 409, and `errors` says what.
    """
    return _do(campaign_approvals.submit, caller, body, campaign_id)


@endpoint(
    "POST",
    f"{_ONE}/send-back",
    summary="Make a draft again of what waits for approval",
    allow=OPERATORS,
    body=schemas.CampaignSendBack,
    answer=schemas.CampaignOut,
    raises=(Conflict,),
)
def send_back_campaign(
    caller: Caller, body: schemas.CampaignSendBack, campaign_id: str
) -> schemas.CampaignOut:
    """`reason` is kept in the audit log."""
    return _do(campaign_approvals.send_back, caller, body, campaign_id, reason=body.reason)


@endpoint(
    "POST",
    f"{_ONE}/approve",
    summary="Let what was submitted begin at its time",
    allow=OPERATORS,
    body=schemas.CampaignVerb,
    answer=schemas.CampaignOut,
    raises=(Conflict,),
)
def approve_campaign(
    caller: Caller, body: schemas.CampaignVerb, campaign_id: str
) -> schemas.CampaignOut:
    """Where the workspace wants a second person, a key counts as who it is: it approves nothing
    that it has submitted or changed last.
    """
    return _do(campaign_approvals.approve, caller, body, campaign_id)


@endpoint(
    "POST",
    f"{_ONE}/schedule",
    summary="Let a draft begin at its time, or now",
    allow=OPERATORS,
    body=schemas.CampaignSchedule,
    answer=schemas.CampaignOut,
    raises=(Conflict,),
)
def schedule_campaign(
    caller: Caller, body: schemas.CampaignSchedule, campaign_id: str
) -> schemas.CampaignOut:
    """Without `send_at` its own time holds; without one it begins at once. A time that the clocks
    of its zone never show is refused; of one that they show twice the first is meant, which
    `starts_at` tells. Where the workspace wants a second person the answer is 409: submit it.
    """
    return _do(
        campaign_approvals.schedule,
        caller,
        body,
        campaign_id,
        send_at=body.send_at,
        time_zone=body.time_zone,
        is_now=body.now,
    )


@endpoint(
    "POST",
    f"{_ONE}/unschedule",
    summary="Make a draft again of what is scheduled",
    allow=OPERATORS,
    body=schemas.CampaignVerb,
    answer=schemas.CampaignOut,
    raises=(Conflict,),
)
def unschedule_campaign(
    caller: Caller, body: schemas.CampaignVerb, campaign_id: str
) -> schemas.CampaignOut:
    """As long as it has not begun. It needs approval anew then."""
    return _do(campaign_approvals.unschedule, caller, body, campaign_id)


@endpoint(
    "POST",
    f"{_ONE}/pause",
    summary="Let a campaign stand still",
    allow=OPERATORS,
    body=schemas.CampaignReason,
    answer=schemas.CampaignHeld,
    raises=(Conflict,),
)
def pause_campaign(
    caller: Caller, body: schemas.CampaignReason, campaign_id: str
) -> schemas.CampaignHeld:
    """Its messages that wait are held. Only what is being sent at this moment still goes out."""
    workspace_id = caller.workspace_id(body.workspace_id)
    return _held(
        campaign_states.pause(workspace_id, id_of(campaign_id), reason=body.reason, by=caller.actor)
    )


@endpoint(
    "POST",
    f"{_ONE}/resume",
    summary="Let a paused campaign go on",
    allow=OPERATORS,
    body=schemas.CampaignResume,
    answer=schemas.CampaignHeld,
    raises=(Conflict,),
)
def resume_campaign(
    caller: Caller, body: schemas.CampaignResume, campaign_id: str
) -> schemas.CampaignHeld:
    """What its pause holds is queued again. Whoever must not be mailed by now is not."""
    workspace_id = caller.workspace_id(body.workspace_id)
    return _held(campaign_states.resume(workspace_id, id_of(campaign_id), by=caller.actor))


@endpoint(
    "POST",
    f"{_ONE}/cancel",
    summary="Stop a campaign for good",
    allow=OPERATORS,
    body=schemas.CampaignReason,
    answer=schemas.CampaignHeld,
    raises=(Conflict,),
)
def cancel_campaign(
    caller: Caller, body: schemas.CampaignReason, campaign_id: str
) -> schemas.CampaignHeld:
    """Nothing more of it goes out but what is being sent at this moment. What is out stays out."""
    workspace_id = caller.workspace_id(body.workspace_id)
    return _held(
        campaign_states.cancel(
            workspace_id, id_of(campaign_id), reason=body.reason, by=caller.actor
        )
    )


@endpoint(
    "POST",
    f"{_ONE}/winner",
    summary="Say which subject of a test the others get",
    allow=OPERATORS,
    body=schemas.CampaignWinner,
    answer=schemas.CampaignOut,
    raises=(Conflict,),
)
def choose_campaign_winner(
    caller: Caller, body: schemas.CampaignWinner, campaign_id: str
) -> schemas.CampaignOut:
    """Before the test decides it by itself. It cannot be taken back."""
    workspace_id = caller.workspace_id(body.workspace_id)
    return answer(
        campaign_states.choose_winner(
            workspace_id, id_of(campaign_id), body.winner, by=caller.actor
        )
    )


def _do(
    verb: Callable[..., Campaign], caller: Caller, body: Any, campaign_id: str, **fields: Any
) -> schemas.CampaignOut:
    """What somebody does to a campaign, and how it is then."""
    workspace_id = caller.workspace_id(body.workspace_id)
    row = verb(workspace_id, id_of(campaign_id), **fields, version=body.version, by=caller.actor)
    return answer(row)


def _held(done: campaign_states.Done) -> schemas.CampaignHeld:
    return schemas.CampaignHeld(
        **answer(done.campaign).model_dump(), message_count=done.message_count
    )
