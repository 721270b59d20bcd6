"""The log: messages newest first, with filters that live in the URL, pages, and a live end."""

import uuid
from dataclasses import dataclass
from urllib.parse import parse_qsl

from flask import Blueprint, Response, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse

from maild import clock, db
from maild.domain import cursor as cursors
from maild.domain import ids
from maild.domain.cursor import Cursor
from maild.domain.role import READERS
from maild.domain.smtp_reply import ErrorClass
from maild.domain.states import UNFINISHED, Status
from maild.errors import FieldError, InvalidFields, InvalidRequest, NotFound, SearchTooLong
from maild.models import Message
from maild.services import bulk_messages, log_exports, message_log, messages, smtp_accounts
from maild.services.message_log import Page
from maild.services.saved_views import NAME_MAX_CHARS
from maild.web import access, bulk_words, log_filter, render, saved_views
from maild.web.log_filter import FilterForm

PAGE_ROWS = 50
TAIL_ROWS = 500
"""Of one answer. A tail that is behind asks again after 250 ms: some 1,000 a second come along."""
WAITING_MAX = 1_000
"""While the tail is paused, so many new messages are counted."""
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
    waiting_count: int | None = None
    """How many have come since the tail was paused; None where it runs."""


@blueprint.get("")
@db.connection()
def index() -> BaseResponse:
    """A page of the log; with a message's id in the search field, that message."""
    form = log_filter.read(request.args, now=clock.now())
    if message := _find_named(form):
        return render.go_to(url_for("messages.show", message_id=message.id))
    page, live, cut = None, None, None
    if not form.errors:
        try:
            page, live = _read(form)
        except SearchTooLong as error:
            cut = error.detail
    if live and live.seen and render.has_seen(live.seen):
        return render.nothing_new()
    return render.page_or_partial(
        "pages/logs.html",
        "partials/log_answer.html",
        status=422 if form.errors else 200,
        form=form,
        page=page,
        live=live,
        cut=cut,
        error_classes=[*ErrorClass, "interrupted"],
        account_names=_list_account_names(),
        has_cursor=_has_cursor(),
        chips=log_filter.chips(form),
        ways=saved_views.list_ways(access.current_workspace_id(), form),
        name_max_chars=NAME_MAX_CHARS,
        export_max=log_exports.ROWS_MAX,
        actions=[(action, bulk_words.WORDS[action]) for action in bulk_messages.Action],
        waiting_max=WAITING_MAX,
        **log_filter.CHOICES,
    )


@blueprint.post("/export")
@access.allow(READERS)
def export() -> Response:
    """What the filter finds, as a file. The audit log keeps who took it."""
    form = log_filter.read(MultiDict(parse_qsl(request.form.get("query", ""))), now=clock.now())
    if form.errors:
        raise InvalidFields("The filter cannot be used. Mend it in the list, and export again.")
    with db.connection():
        lines = log_exports.write(
            access.current_workspace_id(),
            filter_=form.filter_,
            by=access.actor(),
            asked=form.query(),
        )
    response = Response(lines, content_type="text/csv; charset=utf-8; header=present")
    name = f"messages-{clock.now():%Y-%m-%dT%H-%M-%S}Z.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


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
    if "paused" in request.args:
        return _count_waiting(form, after)
    start = message_log.tail_start()
    rows = message_log.list_tail(workspace_id, filter_=form.filter_, after=after, limit=TAIL_ROWS)
    changed = message_log.list_changed(workspace_id, seen=_watched())
    is_stale = not rows and message_log.is_stale(after, start)
    if not rows and not changed and not is_stale:
        return render.nothing_new()
    if rows:
        after = message_log.cursor_of(rows[0])
    elif is_stale:
        after = start
    live = Live(after=after, is_behind=len(rows) == TAIL_ROWS)
    return Response(
        render_template(
            "partials/log_tail.html",
            form=form,
            live=live,
            messages=rows,
            changed=changed,
            waiting_max=WAITING_MAX,
        )
    )


def _count_waiting(form: FilterForm, after: Cursor) -> Response:
    """The same poller, with how many it would bring."""
    count = message_log.count_tail(
        access.current_workspace_id(), filter_=form.filter_, after=after, limit=WAITING_MAX
    )
    live = Live(after=after, is_behind=count > TAIL_ROWS, waiting_count=count)
    return render.page("partials/log_poller.html", form=form, live=live, waiting_max=WAITING_MAX)


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
