"""Earlier versions of the policy: who changed what, when and why, and bringing one back.

A rollback takes two clicks: the first shows what it would change and what that would have stopped,
the second does it, and the toast takes it back.
"""

from flask import Blueprint, Response, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild import db
from maild.domain.role import ADMINS
from maild.errors import Conflict, InvalidFields, NotFound
from maild.services import policies, policy_changes
from maild.services.policies import Version
from maild.services.policy_previews import Window
from maild.web import (
    access,
    paging,
    policy_figures,
    policy_forms,
    policy_words,
    render,
    throttle,
    toasts,
    words,
)
from maild.web.forms import text

_VERSION_MAX = 2**31 - 1
NO_SUCH = "There is no such version of this workspace's policy."

blueprint = Blueprint("policy_versions", __name__, url_prefix="/ui/policy/versions")


@blueprint.get("")
@db.connection()
def index() -> Response:
    """The versions, newest first, each with what it changed."""
    workspace_id, older_than = access.current_workspace_id(), paging.older_than()
    page = policies.list_page(workspace_id, older_than=older_than)
    return render.page(
        "pages/policy_versions.html",
        versions=[(one, policy_words.differences(changes)) for one, changes in page.versions],
        in_force=policies.find_version_in_force(workspace_id),
        older=paging.mark(page.older),
        is_newest=older_than is None,
    )


@blueprint.get("/<int:version>")
@db.connection()
def show(version: int) -> Response:
    """One version: its rules, what it changed, and how it differs from the present."""
    found = _find(version)
    workspace_id = access.current_workspace_id()
    in_force = policies.get_in_force(workspace_id)
    before = policies.get_version(workspace_id, version - 1) if version else None
    return render.page(
        "pages/policy_version.html",
        version=found,
        name=words.start(policy_words.name(version)),
        rules=policy_words.rules(found.rules),
        before=before,
        changed=_differences(before, found) if before else [],
        in_force=in_force,
        now=_differences(found, in_force),
    )


@blueprint.post("/<int:version>/preview")
@access.allow(ADMINS)
@throttle.trials_of_visitor
@db.connection()
def preview(version: int) -> Response:
    """What bringing it back would change, and would have stopped. Nothing is changed."""
    return _confirm(_find(version))


@blueprint.post("/<int:version>/rollback")
@access.allow(ADMINS)
@throttle.trials_of_visitor
@db.connection()
def roll_back(version: int) -> BaseResponse:
    """Bring its rules back as a new version, unless another one than the page was made for is in
    force.
    """
    found, workspace_id = _find(version), access.current_workspace_id()
    seen = policy_forms.parse_version(request.form.get("in_force"))
    if seen is None:
        return _confirm(found)
    try:
        saved = policies.roll_back(
            workspace_id,
            version=version,
            in_force=seen,
            reason=text(request.form.get("reason")).strip() or None,
            by=access.actor(),
        )
    except Conflict as error:
        return _confirm(found, problem=error.detail, status=409)
    except InvalidFields as error:
        return _confirm(found, problem=words.start(error.detail), status=422)
    if not saved.is_new:
        toasts.show("Nothing was changed: these rules are in force already.")
    else:
        made = saved.in_force.rules.version
        undo = (
            url_for("policy_versions.roll_back", version=seen),
            {"in_force": made, "reason": f"Version {made} taken back right after the rollback."},
        )
        name = policy_words.name(version)
        told = f"The rules of {name} are in force again, as version {made}."
        toasts.show(told, kind="ok", undo=undo)
    return render.go_to(url_for("policies.index"))


def _confirm(version: Version, *, problem: str = "", status: int = 200) -> Response:
    in_force = policies.get_in_force(access.current_workspace_id())
    flat = policy_changes.flatten(version.rules)
    differences = _differences(in_force, version)
    number = version.rules.version
    return render.page(
        "pages/policy_rollback.html",
        status=status,
        version=version,
        name=policy_words.name(number),
        story=policy_words.story(version),
        in_force=in_force,
        in_force_name=policy_words.name(in_force.rules.version),
        differences=differences,
        outlook=policy_figures.look(policy_changes.nest(flat), Window.DAY) if differences else None,
        problem=problem,
        reason=request.form.get("reason") or f"Back to {policy_words.name(number)}.",
        reason_max_chars=policies.REASON_MAX_CHARS,
    )


def _find(version: int) -> Version:
    """Raises NotFound."""
    if version > _VERSION_MAX:
        raise NotFound(NO_SUCH)
    return policies.get_version(access.current_workspace_id(), version)


def _differences(before: Version, after: Version) -> list[policy_words.Difference]:
    return policy_words.differences(policy_changes.compare(before.rules, after.rules))
