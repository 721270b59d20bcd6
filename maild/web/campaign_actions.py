"""What people do to a campaign: the page before it is sent, which tells in numbers what will
happen, and the verbs behind its buttons.
"""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild import db
from maild.domain.campaign import CampaignStatus, Variant
from maild.domain.role import OPERATORS
from maild.errors import Conflict, InvalidFields, InvalidRequest, MaildError
from maild.models import Campaign
from maild.services import (
    campaign_approvals,
    campaign_settings,
    campaign_states,
    campaigns,
)
from maild.services.campaign_states import Done
from maild.web import (
    access,
    campaign_looks,
    campaign_words,
    render,
    template_forms,
    toasts,
)
from maild.web import campaigns as pages

BEFORE = frozenset({CampaignStatus.DRAFT, CampaignStatus.IN_REVIEW})

blueprint = Blueprint("campaign_actions", __name__, url_prefix="/ui/campaigns/<int:campaign_id>")


@blueprint.get("/send")
@db.connection()
def launch(campaign_id: int) -> BaseResponse:
    """What will happen when it is sent, in numbers, and the buttons that let it. Its whole audience
    is counted for that.
    """
    row = pages.find(campaign_id)
    if row.status not in BEFORE:
        return redirect(pages.page_url(row), 303)
    return _launch_page(row)


@blueprint.post("/submit")
@access.allow(OPERATORS)
@db.connection()
def submit(campaign_id: int) -> BaseResponse:
    """Ask for approval of a draft."""
    return _decide(campaign_id, campaign_approvals.submit, "It waits for approval now.")


@blueprint.post("/schedule")
@access.allow(OPERATORS)
@db.connection()
def schedule(campaign_id: int) -> BaseResponse:
    """Let a draft begin at its time, or now."""
    is_now = request.form.get("begins") == "now"
    return _decide(
        campaign_id,
        campaign_approvals.schedule,
        "It begins now." if is_now else "It is scheduled.",
        is_now=is_now,
    )


@blueprint.post("/approve")
@access.allow(OPERATORS)
@db.connection()
def approve(campaign_id: int) -> BaseResponse:
    """Let what was submitted begin at its time."""
    return _decide(campaign_id, campaign_approvals.approve, "It is approved.")


@blueprint.post("/send-back")
@access.allow(OPERATORS)
@db.connection()
def send_back(campaign_id: int) -> BaseResponse:
    """Make a draft again of what waits for approval."""
    return _decide(
        campaign_id,
        campaign_approvals.send_back,
        "It is a draft again.",
        reason=request.form.get("reason"),
    )


@blueprint.post("/unschedule")
@access.allow(OPERATORS)
@db.connection()
def unschedule(campaign_id: int) -> BaseResponse:
    """Make a draft again of what has not begun."""
    return _decide(campaign_id, campaign_approvals.unschedule, "It is a draft again.")


@blueprint.post("/pause")
@access.allow(OPERATORS)
@db.connection()
def pause(campaign_id: int) -> BaseResponse:
    """Let it stand still."""
    return _do(
        campaign_id,
        lambda row: campaign_states.pause(
            row.workspace_id, row.id, reason=request.form.get("reason"), by=access.actor()
        ),
        "It is paused; {} held.",
    )


@blueprint.post("/resume")
@access.allow(OPERATORS)
@db.connection()
def resume(campaign_id: int) -> BaseResponse:
    """Let it go on where it was."""
    return _do(
        campaign_id,
        lambda row: campaign_states.resume(row.workspace_id, row.id, by=access.actor()),
        "It goes on; {} queued again.",
    )


@blueprint.post("/cancel")
@access.allow(OPERATORS)
@db.connection()
def cancel(campaign_id: int) -> BaseResponse:
    """Stop it for good."""
    return _do(
        campaign_id,
        lambda row: campaign_states.cancel(
            row.workspace_id, row.id, reason=request.form.get("reason"), by=access.actor()
        ),
        "It is cancelled; {} withdrawn at once.",
    )


@blueprint.post("/winner")
@access.allow(OPERATORS)
@db.connection()
def choose(campaign_id: int) -> BaseResponse:
    """Say which subject the others get."""
    named = request.form.get("winner")
    if named not in set(Variant):
        raise InvalidRequest("winner must be a or b.")

    def choose_it(row: Campaign) -> Done:
        chosen = campaign_states.choose_winner(
            row.workspace_id, row.id, Variant(named), by=access.actor()
        )
        return Done(chosen, 0)

    return _do(campaign_id, choose_it, f"The others get subject {named.upper()}.")


@blueprint.post("/copy")
@access.allow(OPERATORS)
@db.connection()
def copy(campaign_id: int) -> BaseResponse:
    """Make a draft that says the same."""
    row = pages.find(campaign_id)
    try:
        made = campaigns.copy(row.workspace_id, row.id, by=access.actor())
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
        return render.go_to(pages.page_url(row))
    toasts.show(f"“{made.name}” is a draft.", kind="ok")
    return render.go_to(url_for("campaign_composer.edit", campaign_id=made.id))


@blueprint.post("/delete")
@access.allow(OPERATORS)
@db.connection()
def delete(campaign_id: int) -> BaseResponse:
    """Throw a draft away."""
    row = pages.find(campaign_id)
    try:
        campaigns.delete(row.workspace_id, row.id, version=_version(), by=access.actor())
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
        return render.go_to(pages.page_url(row))
    toasts.show(f"The draft “{row.name}” is deleted.", kind="ok")
    return render.go_to(url_for("campaigns.index"))


def _decide(
    campaign_id: int, verb: Callable[..., Campaign], told: str, **fields: Any
) -> BaseResponse:
    """A verb that is refused where somebody has changed it since the page was made."""
    row = pages.find(campaign_id)
    try:
        changed = verb(row.workspace_id, row.id, **fields, version=_version(), by=access.actor())
    except (Conflict, InvalidFields) as error:
        now = pages.find(campaign_id)
        if now.status in BEFORE:
            return _launch_page(now, error)
        toasts.show(error.detail, kind="bad")
        return render.go_to(pages.page_url(now))
    toasts.show(told, kind="ok")
    return render.go_to(pages.page_url(changed))


def _do(campaign_id: int, verb: Callable[[Campaign], Done], told: str) -> BaseResponse:
    row = pages.find(campaign_id)
    try:
        done = verb(row)
    except (Conflict, InvalidFields) as error:
        toasts.show(error.detail, kind="bad")
    else:
        count = done.message_count
        many = f"{campaign_words.messages(count)} {'is' if count == 1 else 'are'}"
        toasts.show(told.format(many), kind="ok")
    return render.go_to(pages.page_url(row))


def _launch_page(row: Campaign, error: MaildError | None = None) -> Response:
    look = campaign_looks.look_at(row)
    report = look.report
    return render.page(
        "pages/campaign_send.html",
        status=200 if error is None else error.status,
        **pages.head(row, tab="send"),
        look=look,
        told=[campaign_words.finding(one) for one in report.findings] if report else [],
        takes=campaign_words.takes,
        labels={},
        error=error,
        needs_second=campaign_settings.get(row.workspace_id).needs_second_person,
        needs_second_words=campaign_approvals.NEEDS_SECOND,
        reason_max_chars=campaign_approvals.REASON_MAX_CHARS,
    )


def _version() -> int | None:
    """What the page was made from. A number that is none matches no campaign."""
    typed = request.form.get("version")
    return None if typed is None else template_forms.parse_number(typed) or 0
