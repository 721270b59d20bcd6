"""Segments: the list, and whom one means. Putting rules together is in `segment_builder`."""

import contextlib
import json

from flask import Blueprint, redirect, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild import db
from maild.domain.role import OPERATORS
from maild.errors import Conflict, NotFound, SearchTooLong
from maild.services import segment_members, segments
from maild.services.segments import Told
from maild.web import access, contact_words, paging, render, toasts

LIST_ROWS = 20
"""The contacts of so many segments are counted at once."""
PAGE_ROWS = 50
_ID_MAX = 2**31 - 1

blueprint = Blueprint("segments", __name__, url_prefix="/ui/audience/segments")


@blueprint.get("")
@db.connection()
def index() -> BaseResponse:
    """All segments, newest first. Whom they mean is counted after the page is there."""
    older_than = paging.older_than()
    page = segments.list_page(access.current_workspace_id(), limit=LIST_ROWS, older_than=older_than)
    return render.page(
        "pages/segments.html",
        rows=page.segments,
        older=paging.mark(page.older),
        is_newest=older_than is None,
    )


@blueprint.get("/counts")
@db.connection()
def counts() -> BaseResponse:
    """How many contacts each segment of the list means, for the cells that wait for it."""
    workspace_id = access.current_workspace_id()
    page = segments.list_page(workspace_id, limit=LIST_ROWS, older_than=paging.older_than())
    numbers: list[int | None] | None = None
    with contextlib.suppress(SearchTooLong):  # each can still be looked at alone
        numbers = segment_members.count_each(workspace_id, [one.rules for one in page.segments])
    return render.parts(
        "partials/segment_counts.html",
        rows=page.segments,
        numbers=numbers or [None] * len(page.segments),
    )


@blueprint.get("/<int:segment_id>")
@db.connection()
def show(segment_id: int) -> BaseResponse:
    """One segment: its rules, how many they mean, and who that is."""
    told = find(segment_id)
    older_than = paging.older_than()
    look, page, cut = None, None, None
    if not told.rules.problems:
        try:
            if older_than is None:
                look = segment_members.look(told.segment.workspace_id, told.rules)
            page = segment_members.list_page(
                told.segment.workspace_id, told.rules, limit=PAGE_ROWS, older_than=older_than
            )
        except SearchTooLong as error:
            cut = error.detail
    return render.page(
        "pages/segment.html",
        told=told,
        json_text=json.dumps(told.json, indent=2, ensure_ascii=False),
        look=look,
        page=page,
        cut=cut,
        older=paging.mark(page.older) if page else None,
        is_newest=older_than is None,
        contact_words=contact_words.contacts,
        states_of=contact_words.STATES,
        bar_words=contact_words.bar,
        restore_minutes=segments.RESTORE_MINUTES,
    )


@blueprint.post("/<int:segment_id>/delete")
@access.allow(OPERATORS)
@db.connection()
def delete(segment_id: int) -> BaseResponse:
    """Take it away; the toast brings it back. Its contacts stay."""
    row = find(segment_id).segment
    segments.delete(row.workspace_id, row.id, by=access.actor())
    undo: toasts.Undo = (url_for("segments.restore", segment_id=row.id), {})
    toasts.show(f"“{row.name}” is deleted. Its contacts stay contacts.", kind="ok", undo=undo)
    return redirect(url_for("segments.index"), 303)


@blueprint.post("/<int:segment_id>/restore")
@access.allow(OPERATORS)
@db.connection()
def restore(segment_id: int) -> BaseResponse:
    """Take a deletion back, for some minutes."""
    if segment_id > _ID_MAX:
        raise NotFound(segments.NO_SUCH)
    try:
        row = segments.restore(access.current_workspace_id(), segment_id, by=access.actor()).segment
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
        return redirect(url_for("segments.index"), 303)
    toasts.show(f"“{row.name}” is back.", kind="ok")
    return redirect(url_for("segments.show", segment_id=row.id), 303)


def find(segment_id: int) -> Told:
    """A segment of the workspace. Raises NotFound."""
    if segment_id > _ID_MAX:
        raise NotFound(segments.NO_SUCH)
    return segments.get(access.current_workspace_id(), segment_id)
