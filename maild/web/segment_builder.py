"""The builder of segments: rules in groups, put together by hand, with whom they mean beside them.

The form holds all that was typed, and goes from request to request: only “Save” keeps anything.
Every other button, and everything without a name, draws it anew.
"""

import json
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import StringField

from maild import db
from maild.domain import segment
from maild.domain.role import OPERATORS
from maild.domain.segment import RULES_MAX, Field, Shape
from maild.errors import Conflict, InvalidFields, SearchTooLong
from maild.services import audiences, segment_members, segment_rules, segments, topics
from maild.services.segment_members import Look
from maild.services.segment_rules import Rules
from maild.services.segments import Told
from maild.web import access, contact_words, render, segment_draft, segment_words, toasts
from maild.web import segments as pages
from maild.web.forms import Form, text
from maild.web.segment_draft import Box

INCOMPLETE = "Complete the rules, and here stands whom they mean."

blueprint = Blueprint("segment_builder", __name__, url_prefix="/ui/audience/segments")


class SegmentForm(Form):
    name = StringField("Name")


@dataclass(frozen=True, slots=True)
class Preview:
    """Whom the rules mean that are in the form. `note` is why that cannot be told."""

    note: str = ""
    rules: Rules | None = None
    look: Look | None = None

    @property
    def json_text(self) -> str:
        """The rules for a program, where they are right."""
        if self.rules is None or self.rules.tree is None:
            return ""
        return json.dumps(segment.to_json(self.rules.tree), indent=2, ensure_ascii=False)


@blueprint.get("/new")
@access.allow(OPERATORS)
@db.connection()
def new() -> BaseResponse:
    """The builder with one empty rule."""
    return _page(SegmentForm(formdata=None), segment_draft.blank())


@blueprint.post("/new")
@access.allow(OPERATORS)
@db.connection()
def create() -> BaseResponse:
    """Keep the rules under a name; or one step of putting them together."""
    form, draft = SegmentForm(), segment_draft.from_form(request.form)
    if request.form.get("act") != "save":
        return _step(form, draft)
    workspace_id = access.current_workspace_id()
    known = _find_fields(workspace_id)
    try:
        told = segments.create(
            workspace_id,
            name=text(form.name.data),
            rules=segment_draft.to_json(draft, known),
            by=access.actor(),
        )
    except InvalidFields as error:
        _show(form, draft, error)
        return _page(form, draft, status=422)
    except Conflict as error:
        form.problem = error.detail
        return _page(form, draft, status=409)
    return _saved(told)


@blueprint.get("/<int:segment_id>/edit")
@access.allow(OPERATORS)
@db.connection()
def edit(segment_id: int) -> BaseResponse:
    """The builder with the rules as they are."""
    told = pages.find(segment_id)
    is_read = told.rules.tree is not None  # unless another version of maild has written them
    draft = segment_draft.from_json(told.json) if is_read else segment_draft.blank()
    segment_draft.show(draft, told.rules.problems)
    return _page(SegmentForm(formdata=None, name=told.segment.name), draft, told=told)


@blueprint.post("/<int:segment_id>/edit")
@access.allow(OPERATORS)
@db.connection()
def change(segment_id: int) -> BaseResponse:
    """Keep the rules and the name; or one step of putting them together."""
    told, form = pages.find(segment_id), SegmentForm()
    draft = segment_draft.from_form(request.form)
    if request.form.get("act") != "save":
        return _step(form, draft, told=told, version=_version())
    row = told.segment
    known = _find_fields(row.workspace_id)
    if _version() != row.version:
        form.problem = (
            f"{row.updated_by} has changed this segment since you opened it. What you typed is"
            " still here: save again to put it in the place of theirs, or look at theirs first."
        )
        form.link = (url_for("segments.show", segment_id=row.id), "Look at theirs")
        return _page(form, draft, told=told, status=409)
    try:
        changed = segments.change(
            row.workspace_id,
            row.id,
            name=text(form.name.data),
            rules=segment_draft.to_json(draft, known),
            version=row.version,
            by=access.actor(),
        )
    except InvalidFields as error:
        _show(form, draft, error)
        return _page(form, draft, told=told, status=422)
    except Conflict as error:
        form.problem = error.detail
        return _page(form, draft, told=told, status=409)
    return _saved(changed)


def _saved(told: Told) -> BaseResponse:
    toasts.show(f"“{told.segment.name}” is saved.", kind="ok")
    return redirect(url_for("segments.show", segment_id=told.segment.id), 303)


def _version() -> int | None:
    """The version that the form was made of."""
    given = request.form.get("version", "")
    return int(given) if given.isdecimal() and given.isascii() and len(given) < 10 else None


def _step(
    form: SegmentForm, draft: Box, *, told: Told | None = None, version: int | None = None
) -> BaseResponse:
    """The form after a button, or a choice, that keeps nothing."""
    words = request.form.get("act", "")
    if words == "look" and render.wants_partial():
        workspace_id = access.current_workspace_id()
        preview = _look(workspace_id, draft, _find_fields(workspace_id))
        return render.page("partials/segment_preview.html", **_preview_context(preview))
    return _page(
        form,
        segment_draft.act(draft, words),
        told=told,
        version=version,
        is_looking=words == "look",
    )


def _page(
    form: SegmentForm,
    draft: Box,
    *,
    told: Told | None = None,
    version: int | None = None,
    is_looking: bool = False,
    status: int = 200,
) -> BaseResponse:
    """The builder; for htmx the rules alone, which then ask for whom they mean by themselves."""
    workspace_id = access.current_workspace_id()
    known = _find_fields(workspace_id)
    segment_draft.settle(draft, known)
    is_part = render.wants_partial()
    preview = Preview() if is_part else _look(workspace_id, draft, known, tells=is_looking)
    row = told.segment if told else None
    url = url_for("segment_builder.create")
    if row is not None:
        url = url_for("segment_builder.change", segment_id=row.id)
        version = version if version is not None else row.version
    return render.page_or_partial(
        "pages/segment_edit.html",
        "partials/segment_builder.html",
        status=status,
        form=form,
        draft=draft,
        row=row,
        version=version,
        url=url,
        is_part=is_part,
        is_full=segment_draft.count_rules(draft) >= RULES_MAX,
        name_max_chars=segments.NAME_MAX_CHARS,
        rules_max=RULES_MAX,
        known=known,
        fields=segment_words.fields(known),
        modes=segment_draft.MODES,
        ops_of=segment_words.ops,
        shape_of=lambda part: segment_draft.shape_of(part, known),
        statuses=segment_words.STATUSES,
        units=segment_words.UNITS,
        hints=segment_words.HINTS,
        Shape=Shape,
        lists=audiences.list_names(workspace_id),
        topics=[one.name for one in topics.list_all(workspace_id)],
        **_preview_context(preview),
    )


def _preview_context(preview: Preview) -> dict[str, Any]:
    return {"preview": preview, "states_of": contact_words.STATES}


def _find_fields(workspace_id: int) -> dict[str, Field]:
    return segment_draft.known_fields(segment_rules.find_attributes(workspace_id))


def _look(
    workspace_id: int, draft: Box, known: dict[str, Field], *, tells: bool = False
) -> Preview:
    """With `tells`, what is wrong is said beside the rules too, as somebody asked for it."""
    if not tells and not segment_draft.is_complete(draft, known):
        return Preview(INCOMPLETE)
    rules = segment_rules.read(workspace_id, segment_draft.to_json(draft, known))
    if rules.problems:
        if tells:
            segment_draft.show(draft, rules.problems)
            return Preview("Mend what is marked, and here stands whom the rules mean.")
        return Preview(_first_problem(draft, rules))
    try:
        return Preview(rules=rules, look=segment_members.look(workspace_id, rules))
    except SearchTooLong as error:
        return Preview(error.detail, rules=rules)


def _first_problem(draft: Box, rules: Rules) -> str:
    """What keeps the rules from being looked up, as a sentence."""
    left = segment_draft.show(draft, rules.problems)
    for number, part in enumerate(segment_draft.list_rules(draft), 1):
        if part.errors:
            return f"Rule {number}: {part.errors[0]}"
    return left[0] if left else INCOMPLETE


def _show(form: SegmentForm, draft: Box, error: InvalidFields) -> None:
    """What a service has said, at the name and beside the rules."""
    of_rules = tuple(
        (one.field, one.message) for one in error.errors if one.field.startswith("rules")
    )
    for one in error.errors:
        if one.field == "name":
            form.complain("name", one.message)
    form.problem = " ".join(segment_draft.show(draft, of_rules))
