"""Templates: the list, and the composer with its preview. Saved versions are in
`template_versions`, tests in `template_tests`.

What somebody types is kept as their draft whenever the preview follows it, so that a save that
fails, a browser that crashes and a colleague who was quicker cost nobody a word.
"""

from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse

from maild import config, db
from maild.domain.role import OPERATORS
from maild.domain.states import Stream
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import Template, TemplateVersion
from maild.services import provider_tests, template_drafts, template_samples, templates
from maild.services.templates import Filter, Saved
from maild.web import (
    access,
    code_samples,
    onboarding_parts,
    paging,
    render,
    template_composer,
    template_forms,
    template_parts,
    template_starts,
    throttle,
    toasts,
)
from maild.web.code_samples import Call
from maild.web.forms import text
from maild.web.template_forms import ComposerForm, NameForm

PAGE_ROWS = 50
FILTER_MAX_CHARS = 200

blueprint = Blueprint("templates", __name__, url_prefix="/ui/templates")


@blueprint.get("")
@db.connection()
def index() -> Response:
    """The list, newest first, as the filter in the URL asks for it."""
    name = request.args.get("name", "").strip()[:FILTER_MAX_CHARS].replace("\0", "")
    is_archived = request.args.get("archived") == "1"
    older_than = paging.older_than()
    page = templates.list_page(
        access.current_workspace_id(),
        filter_=Filter(q=name or None, is_archived=is_archived),
        limit=PAGE_ROWS,
        older_than=older_than,
    )
    return render.page_or_partial(
        "pages/templates.html",
        "partials/template_list.html",
        rows=page.templates,
        formats=template_forms.FORMATS,
        name=name,
        archived="1" if is_archived else "",
        older=paging.mark(page.older),
        is_newest=older_than is None,
        starts=template_starts.STARTS.values(),
        draft_at=template_composer.unsaved_at(),
    )


@blueprint.get("/new")
@access.allow(OPERATORS)
@db.connection()
def new() -> Response:
    """Where to start; with `start` the composer of a new template, with `draft` as it was left."""
    workspace_id = access.current_workspace_id()
    if request.args.get("draft"):
        draft = template_drafts.find(workspace_id, access.visitor().id, template_id=None)
        if draft is not None:
            return template_composer.of_draft(draft)
    start = template_starts.STARTS.get(request.args.get("start", ""))
    if start is None:
        return render.page(
            "pages/template_new.html",
            starts=template_starts.STARTS.values(),
            draft_at=template_composer.unsaved_at(),
        )
    return template_composer.page(
        None,
        template_composer.of_start(start),
        frame_url=url_for("templates.start_frame", key=start.key) if start.source else None,
    )


@blueprint.get("/starts/<key>/frame")
@db.connection()
def start_frame(key: str) -> Response:
    """What a template looks like that starts so."""
    start = template_starts.STARTS.get(key)
    look = None if start is None else template_parts.look_at(template_composer.of_start(start))
    if look is None:
        raise NotFound("There is no such start.")
    html = look.html or Markup('<pre style="white-space: pre-wrap">{}</pre>').format(look.text)
    return template_parts.frame(html, has_pictures=False)


@blueprint.post("/new")
@access.allow(OPERATORS)
@access.takes_long_form(template_forms.MAX_FORM_BYTES)
@throttle.previews_of_visitor
@db.connection()
def create() -> BaseResponse:
    """Save a new template."""
    form = ComposerForm()
    try:
        saved = templates.create(
            access.current_workspace_id(),
            name=text(form.name.data).strip(),
            source=template_forms.source_of(form),
            note=text(form.note.data).strip() or None,
            by=access.actor(),
        )
    except InvalidFields as error:
        form.show(error)
        return template_composer.keep_and_show(None, form)
    except Conflict as error:
        form.complain("name", error.detail)
        return template_composer.keep_and_show(None, form)
    template_drafts.drop(access.current_workspace_id(), access.visitor().id, template_id=None)
    toasts.show(f"“{saved.template.name}” is saved.", kind="ok")
    return redirect(url_for("templates.show", template_id=saved.template.id), 303)


@blueprint.post("/new/preview")
@access.allow(OPERATORS)
@access.takes_long_form(template_forms.MAX_FORM_BYTES)
@throttle.previews_of_visitor
@db.connection()
def preview_new() -> BaseResponse:
    """A new template as it was typed."""
    return template_composer.preview(None)


@blueprint.post("/new/drop")
@access.allow(OPERATORS)
@db.connection()
def drop_new() -> BaseResponse:
    """Give up a new template that is not saved."""
    template_drafts.drop(access.current_workspace_id(), access.visitor().id, template_id=None)
    toasts.show("The new template is given up.")
    return redirect(url_for("templates.index"), 303)


@blueprint.get("/<int:template_id>")
@db.connection()
def show(template_id: int) -> BaseResponse:
    """The composer; for those who may not change it, and of what is archived, the latest
    version.
    """
    template, version = templates.get_version(access.current_workspace_id(), template_id)
    is_locked = access.current_workspace().role not in OPERATORS or template.archived_at
    if is_locked:
        return redirect(
            url_for("template_versions.show", template_id=template.id, version=template.version),
            303,
        )
    return template_composer.show(template, version)


@blueprint.post("/<int:template_id>")
@access.allow(OPERATORS)
@access.takes_long_form(template_forms.MAX_FORM_BYTES)
@throttle.previews_of_visitor
@db.connection()
def save(template_id: int) -> BaseResponse:
    """Save what was typed as the next version."""
    workspace_id, form = access.current_workspace_id(), ComposerForm()
    template = templates.get(workspace_id, template_id)
    made_from = template_forms.version_of(form)
    try:
        saved = templates.save(
            workspace_id,
            template.id,
            source=template_forms.source_of(form),
            version=made_from,
            note=text(form.note.data).strip() or None,
            by=access.actor(),
        )
    except InvalidFields as error:
        form.show(error)
        return template_composer.keep_and_show(template, form)
    except Conflict as error:
        now, latest = templates.get_version(workspace_id, template.id)
        if now.archived_at is not None or latest.version == made_from:
            form.problem = error.detail
            return template_composer.keep_and_show(now, form, status=409)
        return template_composer.collide(now, latest, form, made_from)
    template_drafts.drop(workspace_id, access.visitor().id, template_id=template.id)
    _tell_saved(saved)
    return redirect(url_for("templates.show", template_id=template.id), 303)


@blueprint.post("/<int:template_id>/preview")
@access.allow(OPERATORS)
@access.takes_long_form(template_forms.MAX_FORM_BYTES)
@throttle.previews_of_visitor
@db.connection()
def preview(template_id: int) -> BaseResponse:
    """What is typed, as it would be sent: for htmx the parts that change, else the page. With
    `then=test` it goes on to the page that sends a test of it.
    """
    return template_composer.preview(templates.get(access.current_workspace_id(), template_id))


@blueprint.get("/drafts/<int:draft_id>/frame")
@access.allow(OPERATORS)
@db.connection()
def draft_frame(draft_id: int) -> Response:
    """The HTML of what its writer has typed, as their preview shows it."""
    draft = template_drafts.get(access.current_workspace_id(), access.visitor().id, draft_id)
    return template_parts.frame(draft.html, has_pictures=request.args.get("pictures") == "1")


@blueprint.post("/<int:template_id>/drop")
@access.allow(OPERATORS)
@db.connection()
def drop(template_id: int) -> BaseResponse:
    """Give up what was typed, and go back to what is saved."""
    template = templates.get(access.current_workspace_id(), template_id)
    template_drafts.drop(template.workspace_id, access.visitor().id, template_id=template.id)
    toasts.show(f"Your changes are given up: this is version {template.version}.")
    return redirect(url_for("templates.show", template_id=template.id), 303)


@blueprint.post("/<int:template_id>/rename")
@access.allow(OPERATORS)
@db.connection()
def rename(template_id: int) -> BaseResponse:
    """Give it another name."""
    workspace_id, form = access.current_workspace_id(), NameForm()
    template, version = templates.get_version(workspace_id, template_id)
    before = template.name
    try:
        renamed = templates.rename(
            workspace_id, template.id, name=text(form.name.data).strip(), by=access.actor()
        )
    except (InvalidFields, Conflict) as error:
        if error.errors:
            form.show(error)
        else:
            form.complain("name", error.detail)
        return template_composer.show(template, version, name_form=form, status=error.status)
    undo: toasts.Undo = (
        url_for("templates.rename", template_id=template.id),
        {"name": before},
    )
    told = f"It is called “{renamed.name}” now."
    toasts.show(told, kind="ok", undo=undo if renamed.name != before else None)
    return redirect(url_for("templates.show", template_id=template.id), 303)


@blueprint.post("/<int:template_id>/archive")
@access.allow(OPERATORS)
@db.connection()
def archive(template_id: int) -> BaseResponse:
    """Take it out of use."""
    archived = templates.archive(access.current_workspace_id(), template_id, by=access.actor())
    undo: toasts.Undo = (url_for("templates.unarchive", template_id=archived.id), {})
    toasts.show(f"“{archived.name}” is archived.", kind="ok", undo=undo)
    return redirect(url_for("templates.index"), 303)


@blueprint.post("/<int:template_id>/unarchive")
@access.allow(OPERATORS)
@db.connection()
def unarchive(template_id: int) -> BaseResponse:
    """Bring it back."""
    try:
        template = templates.bring_back(
            access.current_workspace_id(), template_id, by=access.actor()
        )
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
        return redirect(url_for("templates.show", template_id=template_id), 303)
    toasts.show(f"“{template.name}” is back.", kind="ok")
    return redirect(url_for("templates.show", template_id=template.id), 303)


@blueprint.get("/<int:template_id>/api")
@db.connection()
def api(template_id: int) -> Response:
    """Programs that send it."""
    template, version = templates.get_version(access.current_workspace_id(), template_id)
    return render.page(
        "pages/template_api.html",
        **template_composer.head(template, tab="api"),
        samples=_samples(template, version),
        fields=templates.compiled_of(version).fields,
        links=template_parts.LINKS,
    )


@blueprint.get("/contacts")
@access.allow(OPERATORS)
@db.connection()
def suggest() -> Response:
    """Addresses of contacts that begin with what is typed, for the list below the field."""
    found = template_samples.suggest(access.current_workspace_id(), request.args.get("contact", ""))
    return render.page("partials/template_contacts.html", emails=found)


def _tell_saved(saved: Saved) -> None:
    if not saved.is_new:
        toasts.show("Nothing was saved: it says what the latest version says.")
        return
    number = saved.version.version
    undo: toasts.Undo = (
        url_for("template_versions.restore", template_id=saved.template.id, version=number - 1),
        {"latest": number},
    )
    toasts.show(f"Version {number} is saved, and used from now on.", kind="ok", undo=undo)


def _samples(template: Template, version: TemplateVersion) -> list[code_samples.Sample]:
    settings, workspace_id = config.current(), access.current_workspace_id()
    data = template_parts.sample_of(version)["data"]
    message: dict[str, Any] = {
        "from_email": provider_tests.sender_of(workspace_id, onboarding_parts.carrier_id()),
        "to_email": access.visitor().email,
        "template": template.name,
    }
    if template_parts.LINKS & {one.name for one in templates.compiled_of(version).fields}:
        message["stream"] = Stream.MARKETING.value
    if data:
        message["data"] = data
    url = f"{settings.public_url}/v1/messages"
    return code_samples.write(Call(url, settings.api_key_header, message))
