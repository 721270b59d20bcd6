"""The composer: a campaign as it is written down, with what it comes to beside it, and tests of it.
Nothing is sent here but tests.
"""

import re
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild import db
from maild.domain import campaign_schedule
from maild.domain.campaign import CampaignStatus
from maild.domain.role import OPERATORS
from maild.errors import Conflict, Forbidden, InvalidFields, MaildError, NotFound
from maild.models import Campaign
from maild.services import (
    campaign_fields,
    campaign_tests,
    campaigns,
    members,
    provider_tests,
    template_tests,
    topics,
)
from maild.web import (
    access,
    campaign_forms,
    campaign_looks,
    campaign_words,
    differences,
    onboarding_parts,
    render,
    throttle,
    toasts,
    verified,
)
from maild.web import campaigns as pages
from maild.web.campaign_forms import LABELS, CampaignForm, TestForm
from maild.web.campaign_looks import Look
from maild.web.differences import Difference
from maild.web.forms import text

_THEN = {"send": "campaign_actions.launch", "test": "campaign_composer.test"}
_BETWEEN = re.compile(r"[\s,;]+")

blueprint = Blueprint("campaign_composer", __name__, url_prefix="/ui/campaigns")


@blueprint.get("/new")
@access.allow(OPERATORS)
@db.connection()
def new() -> Response:
    """The composer of a new campaign."""
    workspace_id = access.current_workspace_id()
    sender = provider_tests.sender_of(workspace_id, onboarding_parts.carrier_id())
    return _page(None, campaign_forms.empty(workspace_id, from_email=sender))


@blueprint.post("/new")
@access.allow(OPERATORS)
@throttle.previews_of_visitor
@db.connection()
def create() -> BaseResponse:
    """Keep a draft, or look at what was typed."""
    workspace_id = access.current_workspace_id()
    form = campaign_forms.sent(workspace_id)
    if request.form.get("act") == "look":
        return _look(None, form)
    try:
        row = campaigns.create(workspace_id, campaign_forms.read(form), by=access.actor())
    except (InvalidFields, NotFound, Conflict) as error:
        return _refuse(None, form, error)
    toasts.show(f"“{row.name}” is saved as a draft.", kind="ok")
    return redirect(url_for("campaign_composer.edit", campaign_id=row.id), 303)


@blueprint.get("/<int:campaign_id>/edit")
@access.allow(OPERATORS)
@db.connection()
def edit(campaign_id: int) -> BaseResponse:
    """The composer of a draft. What is no draft any more is shown instead."""
    row = pages.find(campaign_id)
    if row.status is not CampaignStatus.DRAFT:
        return redirect(pages.page_url(row), 303)
    return _page(row, campaign_forms.of(row))


@blueprint.post("/<int:campaign_id>/edit")
@access.allow(OPERATORS)
@throttle.previews_of_visitor
@db.connection()
def save(campaign_id: int) -> BaseResponse:
    """Keep what was typed, look at it, or go on to sending it."""
    row = pages.find(campaign_id)
    form = campaign_forms.sent(row.workspace_id)
    if request.form.get("act") == "look":
        return _look(row, form)
    try:
        saved = campaigns.change(
            row.workspace_id,
            row.id,
            campaign_forms.read(form),
            version=campaign_forms.version_of(form),
            by=access.actor(),
        )
    except Conflict as error:
        return _collide(pages.find(campaign_id), form, error)
    except (InvalidFields, NotFound) as error:
        return _refuse(row, form, error)
    is_new = saved.version != row.version
    toasts.show("The draft is saved." if is_new else "Nothing was changed.", kind="ok")
    then = _THEN.get(request.form.get("act", ""), "campaign_composer.edit")
    return redirect(url_for(then, campaign_id=row.id), 303)


@blueprint.get("/<int:campaign_id>/test")
@db.connection()
def test(campaign_id: int) -> BaseResponse:
    """The form for a test of it."""
    form = TestForm(formdata=None, to=access.visitor().email)
    return _test_page(pages.find(campaign_id), form)


@blueprint.post("/<int:campaign_id>/test")
@access.allow(OPERATORS)
@throttle.mails_of_visitor
@db.connection()
def send_test(campaign_id: int) -> BaseResponse:
    """Send a test to people of the workspace."""
    if not access.visitor().is_verified:
        raise Forbidden(verified.NEEDED)
    row, form = pages.find(campaign_id), TestForm()
    try:
        tested = campaign_tests.send(
            row,
            to=[one for one in _BETWEEN.split(text(form.to.data)) if one],
            email=text(form.contact.data).strip() or None,
            variant=campaign_forms.variant_of(form, is_test=row.subject_b is not None),
            by=access.actor(),
        )
    except MaildError as error:
        form.show(error, email="contact")
        return _test_page(row, form, status=error.status)
    for one in tested.outcomes:
        if one.message is None:
            toasts.show(f"{one.email}: {one.problem}", kind="bad")
        elif one.message.status.value == "queued":
            toasts.show(f"A test goes to {one.email}.", kind="ok")
        else:
            toasts.show(f"The test to {one.email} is {one.message.status.value}.", kind="bad")
    if tested.missing:
        toasts.show("Without a value in the test: " + ", ".join(tested.missing), kind="bad")
    return redirect(url_for("campaign_composer.test", campaign_id=row.id), 303)


def _look(row: Campaign | None, form: CampaignForm) -> Response:
    """What was typed, counted and filled in: for htmx the part beside the form, else the page."""
    look = _look_at(row, form)
    if render.wants_partial():
        return render.page("partials/campaign_look.html", **_look_context(look))
    return _page(row, form, look=look)


def _look_at(row: Campaign | None, form: CampaignForm) -> Look:
    return campaign_looks.look_at_typed(
        campaign_forms.read(form),
        row,
        email=text(form.contact.data).strip(),
        variant=campaign_forms.variant_of(form, is_test=bool(text(form.subject_b.data).strip())),
        has_pictures=bool(form.pictures.data),
    )


def _look_context(look: Look | None) -> dict[str, Any]:
    return {
        "look": look,
        "told": [campaign_words.finding(one) for one in look.report.findings]
        if look and look.report
        else [],
        "contacts_in_words": campaign_words.contacts,
        "takes": campaign_words.takes,
        "begins": campaign_words.begins(look.campaign) if look and look.campaign else "",
        "labels": LABELS,
    }


def _refuse(row: Campaign | None, form: CampaignForm, error: MaildError) -> Response:
    campaign_forms.tell(form, error)
    status = 409 if isinstance(error, Conflict) else 422
    return _page(row, form, status=status)


def _collide(now: Campaign, form: CampaignForm, error: Conflict) -> BaseResponse:
    """Somebody else was quicker: what they have, beside all that was typed. Saved again, it stands
    instead of theirs; if it is a draft still.
    """
    if now.status is not CampaignStatus.DRAFT:
        toasts.show(error.detail, kind="bad")
        return redirect(pages.page_url(now), 303)
    form.version.data = str(now.version)
    typed = campaign_forms.read(form)
    theirs = campaign_fields.values_of(now)
    changes = [
        Difference(LABELS.get(name, name), _plain(theirs[name]), _plain(typed[name]))
        for name in campaign_fields.NAMES
        if name in typed and _plain(theirs[name]) != _plain(typed[name])
    ]
    return _page(now, form, status=409, conflict=changes)


def _page(
    row: Campaign | None,
    form: CampaignForm,
    *,
    look: Look | None = None,
    conflict: list[Difference] | None = None,
    status: int = 200,
) -> Response:
    url = (
        url_for("campaign_composer.create")
        if row is None
        else url_for("campaign_composer.save", campaign_id=row.id)
    )
    return render.page(
        "pages/campaign_edit.html",
        status=status,
        row=row,
        form=form,
        url=url,
        conflict=conflict,
        zones=campaign_schedule.list_zones(),
        topics=[one.name for one in topics.list_all(access.current_workspace_id())],
        limits=campaign_fields,
        **_look_context(look),
    )


def _test_page(row: Campaign, form: TestForm, *, status: int = 200) -> Response:
    return render.page(
        "pages/campaign_test.html",
        status=status,
        **pages.head(row, tab="test"),
        form=form,
        lock=_lock(),
        recipients_max=template_tests.RECIPIENTS_MAX,
        emails=[one.email for one in members.list_all(row.workspace_id)],
    )


def _lock() -> str | None:
    """Why the visitor may not send a test; None where they may."""
    if access.current_workspace().role not in OPERATORS:
        return access.OPERATOR_NEEDED
    return None if access.visitor().is_verified else verified.NEEDED


def _plain(value: object) -> str | None:
    """A value as a page compares it: what is empty is nothing."""
    if value in (None, "", []):
        return None
    [found] = differences.tell(None, {"value": getattr(value, "value", value)})
    return found.after
