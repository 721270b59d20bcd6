"""The log: messages newest first, with filters that live in the URL, pages, and a live end."""

import uuid
from dataclasses import dataclass

from flask import Blueprint, Response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild import clock, db
from maild.domain import cursor as cursors
from maild.domain import ids
from maild.domain.cursor import Cursor
from maild.domain.smtp_reply import ErrorClass
from maild.domain.states import UNFINISHED, Status
from maild.errors import FieldError, InvalidRequest, NotFound
from maild.models import Message
from maild.services import message_log, messages, smtp_accounts
from maild.services.message_log import Page
from maild.web import access, log_filter, render
from maild.web.log_filter import FilterForm

PAGE_ROWS = 50
TAIL_ROWS = 100
WATCH_MAX = 100

blueprint = Blueprint("logs", __name__, url_prefix="/ui/logs")


@dataclass(frozen=True, slots=True)
class Live:
    """The live end of a first page.

    A lasting filter is followed by its new rows (`after`); one that asks for what may change, such
    as a status, by the whole page again when it is another (`seen`).
    """

    after: Cursor | None = None
    seen: str | None = None
    is_behind: bool = False


@blueprint.get("")
@db.connection()
def index() -> BaseResponse:
    """A page of the log; with a message's id in the search field, that message."""
    form = log_filter.read(request.args, now=clock.now())
    if message := _find_named(form):
        return render.go_to(url_for("messages.show", message_id=message.id))
    page, live = (None, None) if form.errors else _read(form)
    if live and live.seen and render.has_seen(live.seen):
        return render.nothing_new()
    return render.page_or_partial(
        "pages/logs.html",
        "partials/log_answer.html",
        status=422 if form.errors else 200,
        form=form,
        page=page,
        live=live,
        error_classes=[*ErrorClass, "interrupted"],
        account_names=_list_account_names(),
        has_cursor=_has_cursor(),
        **log_filter.CHOICES,
    )


@blueprint.get("/tail")
@db.connection()
def tail() -> Response:
    """What came after a cursor, and which of the rows on the page have changed."""
    form = log_filter.read(request.args, now=clock.now())
    if form.errors:
        raise InvalidRequest(
            "The filter of this live log is not valid.",
            errors=[FieldError(name, message) for name, message in form.errors.items()],
        )
    after = _cursor("after")
    if after is None:
        raise InvalidRequest("after: is required")
    workspace_id = access.current_workspace_id()
    rows = message_log.list_tail(workspace_id, filter_=form.filter_, after=after, limit=TAIL_ROWS)
    changed = message_log.list_changed(workspace_id, seen=_watched())
    if not rows and not changed:
        return render.nothing_new()
    live = Live(
        after=message_log.cursor_of(rows[0]) if rows else after, is_behind=len(rows) == TAIL_ROWS
    )
    return Response(
        render_template(
            "partials/log_tail.html", form=form, live=live, messages=rows, changed=changed
        )
    )


def _read(form: FilterForm) -> tuple[Page, Live | None]:
    workspace_id, filter_ = access.current_workspace_id(), form.filter_
    older_than, newer_than = _cursor("older_than"), _cursor("newer_than")
    if older_than and newer_than:
        raise InvalidRequest("Only one of older_than and newer_than can be given.")
    if older_than or newer_than:
        page = message_log.list_page(
            workspace_id,
            filter_=filter_,
            limit=PAGE_ROWS,
            older_than=older_than,
            newer_than=newer_than,
        )
        if older_than or page.newer:
            return page, None
        # Nothing is newer than this page: it is the first one.
    if filter_.until:
        return message_log.list_page(workspace_id, filter_=filter_, limit=PAGE_ROWS), None
    if filter_.is_lasting:
        page, after = message_log.list_live(workspace_id, filter_=filter_, limit=PAGE_ROWS)
        return page, Live(after=after)
    page = message_log.list_page(workspace_id, filter_=filter_, limit=PAGE_ROWS)
    return page, Live(seen=render.digest([(row.id, row.updated_at) for row in page.messages]))


def _find_named(form: FilterForm) -> Message | None:
    """The message whose id, or Message-ID header, is what was searched for."""
    message_id = ids.parse_id(form.values["q"].strip("<>").partition("@")[0])
    if message_id is None:
        return None
    try:
        return messages.get(access.current_workspace_id(), message_id)
    except NotFound:
        return None


def _list_account_names() -> list[str]:
    accounts = smtp_accounts.list_all(access.current_workspace_id())
    return [smtp_accounts.DEFAULT_ACCOUNT, *(account.name for account in accounts)]


def _has_cursor() -> bool:
    return "older_than" in request.args or "newer_than" in request.args


def _cursor(name: str) -> Cursor | None:
    text = request.args.get(name)
    if not text:
        return None
    try:
        return cursors.parse(text)
    except ValueError as error:
        raise InvalidRequest(f"{name}: {error}. Start again from the newest messages.") from error


def _watched() -> dict[uuid.UUID, Status]:
    """The unfinished rows on the page, each with the status that it shows: `watch=ID:STATUS`."""
    marks = request.args.getlist("watch")
    if len(marks) > WATCH_MAX:
        raise InvalidRequest(f"watch: at most {WATCH_MAX} messages can be watched")
    watched = {}
    for mark in marks:
        id_text, _, word = mark.partition(":")
        message_id = ids.parse_id(id_text)
        if message_id is None or word not in UNFINISHED:
            raise InvalidRequest("watch: must be a message's id and an unfinished status")
        watched[message_id] = Status(word)
    return watched
