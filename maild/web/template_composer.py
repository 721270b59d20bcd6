"""The composer: what its page shows, what its preview answers, and the draft behind both. The views
are in `templates`.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild.domain import template as limits
from maild.domain.role import OPERATORS
from maild.errors import InvalidFields, NotFound
from maild.models import Template, TemplateDraft, TemplateVersion
from maild.services import template_drafts, template_samples, template_sources, templates
from maild.web import access, render, template_forms, template_parts
from maild.web.forms import text
from maild.web.template_forms import ComposerForm, NameForm
from maild.web.template_parts import Change, Look
from maild.web.template_starts import Start

TOLD_FIELDS = (
    "name",
    "subject",
    "preheader",
    "format",
    "source",
    "source_text",
    "contact",
    "sample",
)
"""Fields of the composer with a slot for what is wrong."""


@dataclass(frozen=True, slots=True)
class Collision:
    """What somebody else has saved meanwhile."""

    version: int
    by: str
    changes: list[Change]


def head(
    template: Template | None, *, tab: str, name_form: NameForm | None = None
) -> dict[str, Any]:
    """What every page of a template shows above."""
    return {
        "template": template,
        "tab": tab,
        "name_form": name_form,
        "name_max_chars": limits.NAME_MAX_CHARS,
    }


def unsaved_at() -> datetime | None:
    """When the visitor last typed into a new template that is not saved."""
    if access.current_workspace().role not in OPERATORS:
        return None
    return template_drafts.find_started_at(access.current_workspace_id(), access.visitor().id)


def of_start(start: Start) -> ComposerForm:
    """The form of a new template that begins so, with sample data for its merge fields."""
    form = template_forms.of_start(start, sample="")
    try:
        compiled = template_sources.compile_source(template_forms.source_of(form))
    except InvalidFields:  # an empty page
        names = []
    else:
        names = [one.name for one in compiled.fields]
    sample = template_samples.sample(template_parts.list_attributes(), names)
    return template_forms.of_start(start, sample=_write(sample))


def of_draft(draft: TemplateDraft) -> Response:
    """The composer of a new template, as its visitor has left it."""
    return page(
        None,
        template_forms.of_draft(draft),
        draft_at=draft.updated_at,
        frame_url=url_for("templates.draft_frame", draft_id=draft.id),
    )


def show(
    template: Template,
    version: TemplateVersion,
    *,
    name_form: NameForm | None = None,
    status: int = 200,
) -> Response:
    """The composer with what is saved, or with what its visitor has typed since."""
    draft = template_drafts.find(
        template.workspace_id, access.visitor().id, template_id=template.id
    )
    if draft is not None:
        form = template_forms.of_draft(draft)
        is_changed = not template_forms.is_as_saved(form, version)
        return page(
            template,
            form,
            name_form=name_form,
            draft_at=draft.updated_at if is_changed else None,
            frame_url=url_for("templates.draft_frame", draft_id=draft.id),
            status=status,
        )
    sample = _write(template_parts.sample_of(version))
    return page(
        template,
        template_forms.of_version(version, sample=sample),
        name_form=name_form,
        frame_url=url_for(
            "template_versions.frame", template_id=template.id, version=version.version
        )
        if version.html
        else None,
        status=status,
    )


def preview(template: Template | None) -> BaseResponse:
    """What is typed, as it would be sent: for htmx the parts that change, else the page."""
    form = ComposerForm()
    look = template_parts.look_at(form)
    draft_id = _keep(template, form, look)
    if template is not None and request.form.get("then") == "test" and look is not None:
        return redirect(url_for("template_tests.show", template_id=template.id), 303)
    if not render.wants_partial():
        return page(
            template,
            form,
            look,
            is_looked_at=True,
            frame_url=_frame_url(form, look, draft_id),
            status=422 if look is None else 200,
        )
    mark = _mark(form, look)
    context: dict[str, Any] = {
        "form": form,
        "look": look,
        "mark": mark,
        "told_fields": TOLD_FIELDS if template is None else TOLD_FIELDS[1:],
        "frame_url": None
        if mark == text(form.shown.data)
        else _frame_url(form, look, draft_id, mark=mark),
    }
    if look is None:  # what was shown last stays
        return render.parts("partials/template_answer.html", **context)
    return render.page("partials/template_answer.html", **context)


def _keep(template: Template | None, form: ComposerForm, look: Look | None) -> int:
    """Keep what was typed as the visitor's draft; returns its id."""
    return template_drafts.keep(
        access.current_workspace_id(),
        access.visitor().id,
        template_id=None if template is None else template.id,
        version=template_forms.version_of(form),
        typed=template_forms.typed(form),
        html=None if look is None else look.html,
    )


def keep_and_show(
    template: Template | None,
    form: ComposerForm,
    *,
    status: int = 422,
    collision: Collision | None = None,
) -> Response:
    """After a save that was refused: all that was typed, and what is wrong."""
    look = template_parts.look_at(ComposerForm())  # another one: `form` has its complaints already
    draft_id = _keep(template, form, look)
    return page(
        template,
        form,
        look,
        is_looked_at=True,
        frame_url=_frame_url(form, look, draft_id),
        collision=collision,
        status=status,
    )


def collide(
    template: Template, latest: TemplateVersion, form: ComposerForm, made_from: int
) -> Response:
    """Somebody else was quicker: show what they changed, and all that was typed. Saved again, it
    becomes the version after theirs.
    """
    try:
        _, base = templates.get_version(template.workspace_id, template.id, made_from)
    except NotFound:
        changes = template_parts.compare(template_forms.source_of(form), latest)
    else:
        changes = template_parts.compare(base, latest)
    form.version.data = str(latest.version)
    collision = Collision(latest.version, latest.created_by, changes)
    return keep_and_show(template, form, status=409, collision=collision)


def page(
    template: Template | None,
    form: ComposerForm,
    look: Look | None = None,
    *,
    is_looked_at: bool = False,
    frame_url: str | None = None,
    draft_at: datetime | None = None,
    collision: Collision | None = None,
    name_form: NameForm | None = None,
    status: int = 200,
) -> Response:
    """The composer; what the form says is looked at, where that was not done yet."""
    if not is_looked_at:
        look = template_parts.look_at(form)
    made_from = template_forms.version_of(form)
    return render.page(
        "pages/template.html",
        status=status,
        **head(template, tab="composer", name_form=name_form),
        form=form,
        look=look,
        mark=_mark(form, look),
        frame_url=frame_url if look is None or look.html else None,
        conflict=collision,
        draft_at=draft_at,
        is_behind=template is not None and made_from != template.version,
        fields=template_parts.list_fields(template_parts.list_attributes()),
        contact_url=url_for("templates.suggest"),
        actions=_actions(template),
        limits=limits,
    )


def _actions(template: Template | None) -> dict[str, str]:
    """Where the forms of the composer are sent."""
    if template is None:
        return {
            "save": url_for("templates.create"),
            "preview": url_for("templates.preview_new"),
            "drop": url_for("templates.drop_new"),
        }
    return {
        "save": url_for("templates.save", template_id=template.id),
        "preview": url_for("templates.preview", template_id=template.id),
        "drop": url_for("templates.drop", template_id=template.id),
    }


def _mark(form: ComposerForm, look: Look | None) -> str:
    if look is None:
        return text(form.shown.data)
    return template_forms.mark_of(look.html, pictures=bool(form.pictures.data))


def _frame_url(
    form: ComposerForm, look: Look | None, draft_id: int, *, mark: str | None = None
) -> str | None:
    """Where the frame of a draft is; with `mark` an address that it has for this content alone."""
    if look is None or not look.html:
        return None
    pictures = "1" if form.pictures.data else None
    return url_for("templates.draft_frame", draft_id=draft_id, pictures=pictures, seen=mark)


def _write(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)
