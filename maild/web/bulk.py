"""Something done to many messages or dead letters at once: first what it will touch and what will
happen, then a reason, and then it is a job.

Lists of either send their forms here: `noun`, `action`, and `selection`, which is `ids` with the
chosen ones in `id`, or `matching` with the list's filter as `query`. "All that matches" is fixed
when it is shown: what comes later is not touched, however long one thinks about it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from flask import Blueprint, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse
from wtforms import StringField

from maild import clock, db
from maild.domain.role import OPERATORS
from maild.errors import Conflict, Forbidden, InvalidFields, InvalidRequest, Unavailable
from maild.services import bulk_dead_letters, bulk_messages, job_kinds, jobs
from maild.web import (
    access,
    badges,
    bulk_words,
    dead_letter_filter,
    letter_words,
    log_filter,
    render,
    toasts,
)
from maild.web.bulk_words import DEAD_LETTERS, MESSAGES, Action
from maild.web.forms import Form, text

blueprint = Blueprint("bulk", __name__, url_prefix="/ui/bulk")

assert job_kinds.ALL  # importing them registered them


RELEASE_WORD = "RELEASE"
"""What is typed before many messages are released that may have been sent already."""


class ReasonForm(Form):
    reason = StringField("Reason")
    word = StringField("Confirm")


@dataclass(frozen=True, slots=True)
class Noun:
    """What can be chosen, and who knows about it."""

    word: str
    actions: type[bulk_messages.Action] | type[bulk_dead_letters.Action]
    read: Callable[..., Any]
    selection: type[bulk_messages.Selection] | type[bulk_dead_letters.Selection]
    list_endpoint: str


NOUNS = {
    MESSAGES: Noun(
        MESSAGES, bulk_messages.Action, log_filter.read, bulk_messages.Selection, "logs.index"
    ),
    DEAD_LETTERS: Noun(
        DEAD_LETTERS,
        bulk_dead_letters.Action,
        dead_letter_filter.read,
        bulk_dead_letters.Selection,
        "dead_letters.index",
    ),
}


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody wants done to what. `until` is the moment at which it was fixed, and `query`
    is None where they were chosen one by one.
    """

    noun: Noun
    action: Action
    ids: tuple[str, ...]
    query: str | None
    until: datetime
    selection: Any
    which: str
    back: str


@blueprint.post("")
@access.allow(OPERATORS)
@db.connection()
def preview() -> BaseResponse:
    """What it will touch, and what will happen."""
    asked = _read()
    if asked.query is None and not asked.ids:
        toasts.show("Nothing was chosen. Tick what you mean, and press the button again.")
        return render.go_to(asked.back)
    return _page(asked, ReasonForm(formdata=None))


@blueprint.post("/start")
@access.allow(OPERATORS)
@db.connection()
def start() -> BaseResponse:
    """Start the job, and go to its page."""
    asked, form = _read(), ReasonForm()
    if _needs_word(asked) and text(form.word.data).strip() != RELEASE_WORD:
        form.complain("word", f"Type {RELEASE_WORD}, in capitals, if you mean it.")
        return _page(asked, form)
    service = bulk_messages if asked.noun.word == MESSAGES else bulk_dead_letters
    try:
        job = service.start(
            access.current_workspace_id(),
            asked.action,
            asked.selection,
            reason=text(form.reason.data),
            words=asked.which,
            by=access.actor(),
        )
    except InvalidFields as error:
        form.show(error)
        return _page(asked, form)
    except Conflict as error:
        form.problem = error.detail
        return _page(asked, form, status=409)
    return render.go_to(url_for("jobs.show", job_id=job.id))


def _read() -> Request:
    """What was sent. Raises InvalidRequest, and Forbidden where it is for an admin to do."""
    fields = request.form
    noun = NOUNS.get(fields.get("noun", ""))
    if noun is None:
        raise InvalidRequest(f"noun: must be one of {', '.join(NOUNS)}.")
    try:
        action: Action = noun.actions(fields.get("action", ""))
    except ValueError:
        words = ", ".join(noun.actions)
        raise InvalidRequest(f"action: must be one of {words}.") from None
    if access.current_workspace().role not in bulk_words.WORDS[action].roles:
        raise Forbidden(f"{bulk_words.title(action)}: only an admin of this workspace may do this.")
    selection = fields.get("selection")
    if selection not in {"ids", "matching"}:
        raise InvalidRequest("selection: must be ids or matching.")
    until = read_until(fields.get("until"))
    back = access.safe_path(fields.get("back")) or render.previous_path()
    if selection == "ids":
        ids = tuple(dict.fromkeys(fields.getlist("id")))
        which = bulk_words.which(noun.word, None, ids_count=len(ids))
        chosen = noun.selection(ids=ids)
        back = back or url_for(noun.list_endpoint)
        return Request(noun, action, ids, None, until, chosen, which, back)
    query = fields.get("query", "").removeprefix("?")
    form = noun.read(MultiDict(parse_qsl(query, keep_blank_values=True)), now=until)
    if form.errors:
        name, complaint = next(iter(form.errors.items()))
        raise InvalidRequest(f"{name}: {complaint}. Mend the filter of the list, and try again.")
    ends = [until, form.filter_.until] if form.filter_.until else [until]
    chosen = noun.selection(filter_=replace(form.filter_, until=min(ends)))
    which = bulk_words.which(noun.word, form.values)
    back = back or f"{url_for(noun.list_endpoint)}?{form.query()}"
    return Request(noun, action, (), query, until, chosen, which, back)


def read_until(given: str | None) -> datetime:
    """The moment that a preview has fixed; now, where this is the preview."""
    now = clock.now()
    if not given:
        return now
    try:
        until = datetime.fromisoformat(given)
    except ValueError:
        until = None
    if until is None or until.tzinfo is None:
        raise InvalidRequest("until: is not what the preview has sent. Look at it again.")
    return min(until, now)


def _page(asked: Request, form: ReasonForm, *, status: int | None = None) -> BaseResponse:
    """The preview; with what is wrong with the reason, where that is why it is shown again."""
    is_wrong = bool(form.problem or form.reason.errors or form.word.errors)
    words = bulk_words.WORDS[asked.action]
    cut = None
    look: Any = None
    has_restored = False
    try:
        look = _look(asked)
        has_restored = _has_restored(asked)
    except Unavailable as error:
        cut = error.detail
    return render.page(
        "pages/bulk.html",
        status=status or (422 if is_wrong else 503 if cut else 200),
        asked=asked,
        words=words,
        title=bulk_words.title(asked.action),
        look=look,
        cut=cut,
        is_messages=asked.noun.word == MESSAGES,
        skipped=[] if look is None else list(look.skipped.items()),
        breakdowns=[] if look is None else _breakdowns(look),
        cautions=[
            *(bulk_words.cautions(look) if isinstance(look, bulk_messages.Preview) else []),
            *([bulk_words.RESTORED] if has_restored else []),
        ],
        release_word=RELEASE_WORD if has_restored and asked.query is not None else None,
        tried=bulk_words.tried(look) if isinstance(look, bulk_dead_letters.Preview) else None,
        button=look and bulk_words.button(asked.action, look.going_count, has_more=look.has_more),
        form=form,
        reason_max_chars=jobs.REASON_MAX_CHARS,
        status_badges=badges.STATUS,
        outcome_badges=letter_words.OUTCOME,
        provider_name=letter_words.provider,
    )


def _has_restored(asked: Request) -> bool:
    """Whether some of it may have been sent after the backup that was restored."""
    if asked.noun.word != MESSAGES or asked.action is not bulk_messages.Action.RELEASE:
        return False
    return bulk_messages.has_restored(access.current_workspace_id(), asked.selection)


def _needs_word(asked: Request) -> bool:
    """Those that were chosen one by one were looked at one by one."""
    return asked.query is not None and _has_restored(asked)


def _look(asked: Request) -> bulk_messages.Preview | bulk_dead_letters.Preview:
    workspace_id = access.current_workspace_id()
    if asked.noun.word == MESSAGES:
        return bulk_messages.preview(workspace_id, asked.action, asked.selection)  # type: ignore[arg-type]
    return bulk_dead_letters.preview(
        workspace_id,
        asked.action,  # type: ignore[arg-type]
        asked.selection,
        by=access.actor(),
    )


def _breakdowns(
    look: bulk_messages.Preview | bulk_dead_letters.Preview,
) -> list[tuple[str, list[tuple[str, int]]]]:
    """What there is of each kind: a title, and (words, how many)."""
    if isinstance(look, bulk_messages.Preview):
        found = [
            ("By status", [(status.value, n) for status, n in look.by_status.items()]),
            ("By error class", [(name.replace("_", " "), n) for name, n in look.by_class.items()]),
            ("By recipients' domain", list(look.by_domain.items())),
        ]
    else:
        providers = look.by_provider.items()
        found = [
            ("By state", [(status.value.replace("_", " "), n) for status, n in
                          look.by_status.items()]),
            ("By provider", [(letter_words.provider(name), n) for name, n in providers]),
            ("By error", list(look.by_error.items())),
        ]  # fmt: skip
    return [(title, rows) for title, rows in found if rows]
