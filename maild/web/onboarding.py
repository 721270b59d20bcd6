"""Setting up a workspace: the wizard's pages, and putting steps off. What is done in the steps
stands in `onboarding_acts`.
"""

from typing import Any

from flask import Blueprint, redirect, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild import db
from maild.domain.role import OPERATORS
from maild.errors import NotFound
from maild.services import onboarding, onboarding_steps
from maild.services.onboarding_steps import StepId
from maild.web import access, onboarding_parts, provider_parts, render, toasts

POLL_TODO, POLL_DONE = "2s", "10s"

blueprint = Blueprint("onboarding", __name__, url_prefix="/ui/onboarding")


@blueprint.get("")
@db.connection()
def index() -> BaseResponse:
    """On to the first step that is neither done nor put off; where there is none, how it stands."""
    workspace_id = access.current_workspace_id()
    wizard = onboarding_steps.find(workspace_id)
    if wizard.current is not None:
        return redirect(url_for("onboarding.show", step=wizard.current.id), 303)
    extras = {step.id: step for step in onboarding.judge(wizard.facts)}
    return render.page(
        "pages/onboarding_done.html",
        wizard=wizard,
        failover=extras["provider_failover_ready"],
        is_in_sandbox=wizard.facts["is_in_sandbox"],
    )


@blueprint.get("/<step>")
@db.connection()
def show(step: str) -> BaseResponse:
    """A step. What shows where it stands asks for itself again."""
    return page(_parse(step))


@blueprint.post("/<step>/skip")
@access.allow(OPERATORS)
@db.connection()
def skip(step: str) -> BaseResponse:
    """Put a step off, and go on to the next; the toast takes it back."""
    workspace_id, step_id = access.current_workspace_id(), _parse(step)
    onboarding_steps.skip(workspace_id, step_id, by=access.actor())
    title, undo_url = onboarding_steps.TITLES[step_id], url_for("onboarding.resume", step=step_id)
    toasts.show(f"“{title}” is put off. You can come back to it at any time.", undo=(undo_url, {}))
    after = onboarding_steps.find(workspace_id).after(step_id)
    if after is None:
        return redirect(url_for("onboarding.index"), 303)
    return redirect(url_for("onboarding.show", step=after.id), 303)


@blueprint.post("/<step>/resume")
@access.allow(OPERATORS)
@db.connection()
def resume(step: str) -> BaseResponse:
    """Take a step up again."""
    step_id = _parse(step)
    onboarding_steps.resume(access.current_workspace_id(), step_id, by=access.actor())
    return redirect(url_for("onboarding.show", step=step_id), 303)


def page(step_id: StepId, *, status: int | None = None, **given: Any) -> BaseResponse:
    """The page of a step, or for htmx where it stands; `given` are forms that came back."""
    wizard = onboarding_steps.find(access.current_workspace_id())
    step = wizard.get(step_id)
    build = onboarding_parts.BUILD[step_id]
    context = build(wizard, **given)
    mark = render.digest(wizard.steps, context.get("live"))
    if not given and render.has_seen(mark):
        return render.nothing_new()
    return render.page_or_partial(
        "pages/onboarding.html",
        "partials/onboarding_now.html",
        status=status or (422 if given else 200),
        wizard=wizard,
        step=step,
        number=wizard.steps.index(step) + 1,
        before=wizard.before(step_id),
        after=wizard.after(step_id),
        wizard_mark=mark,
        poll=POLL_DONE if step.state is onboarding_steps.State.DONE else POLL_TODO,
        is_in_sandbox=wizard.facts["is_in_sandbox"],
        is_partial=render.wants_partial(),
        operator_lock=provider_parts.operator_lock(),
        admin_lock=provider_parts.admin_lock(),
        **context,
    )


def _parse(step: str) -> StepId:
    """Raises NotFound."""
    try:
        return StepId(step)
    except ValueError:
        raise NotFound("There is no such step.") from None
