"""The versions of a template: the list, one of them as it is sent, what it changed, and bringing it
back.

To bring one back takes two clicks: the first shows what it would change, the second saves it as a
new version, and the toast takes that back.
"""

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild import db
from maild.domain.role import OPERATORS
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import Template, TemplateVersion
from maild.services import templates
from maild.web import (
    access,
    paging,
    render,
    template_composer,
    template_forms,
    template_parts,
    toasts,
)
from maild.web.template_parts import FilledWith

NO_SUCH = "There is no such version of this template."

blueprint = Blueprint(
    "template_versions", __name__, url_prefix="/ui/templates/<int:template_id>/versions"
)


@blueprint.get("")
@db.connection()
def index(template_id: int) -> Response:
    """The versions, newest first."""
    older_than = paging.older_than()
    page = templates.list_versions(
        access.current_workspace_id(), template_id, older_than=older_than
    )
    return render.page(
        "pages/template_versions.html",
        **template_composer.head(page.template, tab="versions"),
        versions=page.versions,
        formats=template_forms.FORMATS,
        older=paging.mark(page.older),
        is_newest=older_than is None,
    )


@blueprint.get("/<int:version>")
@db.connection()
def show(template_id: int, version: int) -> Response:
    """One version: how it looks, filled in with sample data or as `contact`, its source, and what
    differs from another one: that in `against`, else the one before it.
    """
    template, found = _find(template_id, version)
    email = request.args.get("contact", "").strip()
    filled_with = template_parts.filled_with_of(found, email)
    is_known = filled_with is not None
    look = template_parts.look_at_version(
        found, filled_with or template_parts.sample_values_of(found)
    )
    against = _find_other(template, found)
    has_pictures = request.args.get("pictures") == "1"
    return render.page(
        "pages/template_version.html",
        status=200 if is_known else 422,
        **template_composer.head(
            template, tab="composer" if version == template.version else "versions"
        ),
        version=found,
        format_words=template_forms.FORMATS[found.format],
        look=look,
        mark="",
        frame_url=_frame_url(template, found, filled_with, has_pictures=has_pictures)
        if found.html
        else None,
        contact=email,
        contact_problem="" if is_known else f"{template_parts.NO_CONTACT.capitalize()}.",
        has_pictures=has_pictures,
        against=against,
        changes=None if against is None else template_parts.compare(against, found),
        source=found.source[: template_parts.SHOWN_CHARS],
    )


@blueprint.get("/<int:version>/frame")
@db.connection()
def frame(template_id: int, version: int) -> Response:
    """The HTML of a version, filled in with sample data or as `contact`."""
    _, found = _find(template_id, version)
    filled_with = template_parts.filled_with_of(found, request.args.get("contact", ""))
    look = None
    if filled_with is not None:
        look = template_parts.look_at_version(found, filled_with)
    if look is None or not look.html:
        raise NotFound("There is nothing to be shown.")
    return template_parts.frame(look.html, has_pictures=request.args.get("pictures") == "1")


@blueprint.get("/<int:version>/restore")
@access.allow(OPERATORS)
@db.connection()
def ask_to_restore(template_id: int, version: int) -> BaseResponse:
    """What bringing it back would change. Nothing is changed."""
    template, found = _find(template_id, version)
    if template.version == version:
        toasts.show(f"Version {version} is the latest: it is used already.")
        return redirect(url_for("templates.show", template_id=template.id), 303)
    return _confirm(template, found)


@blueprint.post("/<int:version>/restore")
@access.allow(OPERATORS)
@db.connection()
def restore(template_id: int, version: int) -> BaseResponse:
    """Save it as a new version, unless another one than the page was made for is the latest."""
    template, found = _find(template_id, version)
    latest = template_forms.parse_number(request.form.get("latest"))
    if latest is None:
        return _confirm(template, found)
    try:
        saved = templates.restore(
            template.workspace_id,
            template.id,
            restored=version,
            version=latest,
            by=access.actor(),
        )
    except (Conflict, InvalidFields) as error:
        return _confirm(template, found, problem=error.detail, status=error.status)
    if not saved.is_new:
        toasts.show(f"Nothing was saved: the latest version says what version {version} says.")
    else:
        made = saved.version.version
        undo: toasts.Undo = (
            url_for("template_versions.restore", template_id=template.id, version=latest),
            {"latest": made},
        )
        told = f"Version {version} is back, as version {made}."
        toasts.show(told, kind="ok", undo=undo)
    return redirect(url_for("templates.show", template_id=template.id), 303)


def _confirm(
    template: Template, found: TemplateVersion, *, problem: str = "", status: int = 200
) -> Response:
    workspace_id = access.current_workspace_id()
    now, latest = templates.get_version(workspace_id, template.id)
    return render.page(
        "pages/template_restore.html",
        status=status,
        **template_composer.head(now, tab="versions"),
        version=found,
        latest=latest,
        changes=template_parts.compare(latest, found),
        problem=problem,
    )


def _find(template_id: int, version: int) -> tuple[Template, TemplateVersion]:
    """Raises NotFound."""
    return templates.get_version(access.current_workspace_id(), template_id, version)


def _find_other(template: Template, found: TemplateVersion) -> TemplateVersion | None:
    """What the page compares with; None where there is none before it."""
    named = request.args.get("against")
    if not named:
        return _find(template.id, found.version - 1)[1] if found.version > 1 else None
    number = template_forms.parse_number(named)
    if number in (None, found.version):
        raise NotFound(NO_SUCH)
    return templates.get_version(template.workspace_id, template.id, number)[1]


def _frame_url(
    template: Template,
    found: TemplateVersion,
    filled_with: FilledWith | None,
    *,
    has_pictures: bool,
) -> str:
    contact = request.args.get("contact", "").strip() if filled_with else ""
    return url_for(
        "template_versions.frame",
        template_id=template.id,
        version=found.version,
        contact=contact or None,
        pictures="1" if has_pictures else None,
    )
