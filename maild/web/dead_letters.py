"""What providers have reported, dead letters first: the list, one of them with what it was read
from, what a replay would do, and replaying or dismissing it.
"""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import StringField

from maild import clock, db
from maild.domain.provider_event import ProviderEventType
from maild.domain.role import OPERATORS
from maild.errors import InvalidFields, NotFound, SearchTooLong
from maild.models import ProviderEvent
from maild.services import dead_letter_lists, dead_letters, webhook_endpoints
from maild.services.dead_letter_lists import Letter, Page, State
from maild.services.dead_letters import Outcome, OutcomeStatus
from maild.web import access, dead_letter_filter, letter_words, paging, render, toasts
from maild.web.dead_letter_filter import FilterForm
from maild.web.forms import Form, text

PAGE_ROWS = 50
_ID_MAX = 2**63 - 1

blueprint = Blueprint("dead_letters", __name__, url_prefix="/ui/webhooks")


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of the list. `effects` is what the event has done, in words."""

    row: ProviderEvent
    state: State
    is_replayable: bool
    effects: str


class DismissForm(Form):
    reason = StringField("Reason")


@blueprint.get("")
@db.connection()
def index() -> Response:
    """The list, newest first, as the filter in the URL asks for it; its first page looks again
    every few seconds.
    """
    form = dead_letter_filter.read(request.args, now=clock.now())
    older_than = paging.older_than()
    page, cut = (None, None) if form.errors else _read(form, older_than)
    is_live = page is not None and older_than is None and form.filter_.until is None
    mark = _mark(page) if page and is_live else None
    if mark and render.has_seen(mark):
        return render.nothing_new()
    return render.page_or_partial(
        "pages/dead_letters.html",
        "partials/letters_answer.html",
        status=422 if form.errors else 200,
        form=form,
        cut=cut,
        letters=None if page is None else [_tell(row) for row in page.events],
        older=paging.mark(page.older) if page else None,
        mark=mark,
        is_newest=older_than is None,
        states=dead_letter_filter.state_choices(),
        providers=dead_letter_filter.provider_choices(),
        event_types=[(kind.value, kind.value) for kind in ProviderEventType],
        endpoints=_list_endpoints(),
        can_act=form.filter_.state is None or form.filter_.state in dead_letter_lists.REPLAYABLE,
        badges=letter_words.BADGES,
        provider_name=letter_words.provider,
    )


@blueprint.get("/<int:event_id>")
@db.connection()
def show(event_id: int) -> Response:
    """One event: its page, or for htmx the drawer."""
    return _page(_find(event_id))


@blueprint.get("/<int:event_id>/trial")
@access.allow(OPERATORS)
@db.connection()
def trial(event_id: int) -> Response:
    """What a replay would do now. It is done, told, and taken back."""
    letter = _find(event_id)
    [outcome] = dead_letters.replay(
        letter.row.workspace_id, event_ids=[str(event_id)], dry_run=True, by=access.actor()
    ).outcomes
    if render.wants_partial():
        return render.page(
            "partials/letter_trial.html", letter=letter, trial=outcome, **_trial_words(outcome)
        )
    return _page(letter, trial=outcome)


@blueprint.get("/<int:event_id>/payload")
@db.connection()
def payload(event_id: int) -> Response:
    """All of what came, as it came, to be saved: a browser shall not make anything of it."""
    _check(event_id)
    body = dead_letter_lists.get_payload(access.current_workspace_id(), event_id)
    response = Response(body, content_type="text/plain; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="report-{event_id}.txt"'
    return response


@blueprint.post("/<int:event_id>/replay")
@access.allow(OPERATORS)
@db.connection()
def replay(event_id: int) -> BaseResponse:
    """Read and apply it again. Who was shown another state than it is in is told so instead."""
    letter = _find(event_id)
    if not _is_as_shown(letter):
        return _tell_meanwhile(letter)
    [outcome] = dead_letters.replay(
        letter.row.workspace_id, event_ids=[str(event_id)], by=access.actor()
    ).outcomes
    if outcome.status is OutcomeStatus.SKIPPED:
        return _tell_meanwhile(_find(event_id), why=letter_words.outcome(outcome)[0])
    words, kind = letter_words.outcome(outcome)
    toasts.show(words, kind=kind)
    return _back(event_id)


@blueprint.post("/<int:event_id>/dismiss")
@access.allow(OPERATORS)
@db.connection()
def dismiss(event_id: int) -> BaseResponse:
    """Let it be; the toast takes it back."""
    letter, form = _find(event_id), DismissForm()
    if not _is_as_shown(letter):
        return _tell_meanwhile(letter)
    try:
        [outcome] = dead_letters.dismiss(
            letter.row.workspace_id,
            [str(event_id)],
            reason=text(form.reason.data).strip(),
            by=access.actor(),
        )
    except InvalidFields as error:
        form.show(error)
        return _page(letter, dismiss_form=form)
    if outcome.status is not OutcomeStatus.DISMISSED:
        return _tell_meanwhile(_find(event_id))
    undo = (url_for("dead_letters.restore", event_id=event_id), {"back": _back_path(event_id)})
    toasts.show("Dismissed. It stays under “dismissed”.", kind="ok", undo=undo)
    return _back(event_id)


@blueprint.post("/<int:event_id>/restore")
@access.allow(OPERATORS)
@db.connection()
def restore(event_id: int) -> BaseResponse:
    """Take a dismissal back."""
    letter = _find(event_id)
    if dead_letters.restore(letter.row.workspace_id, [str(event_id)], by=access.actor()):
        toasts.show("It is a dead letter again.", kind="ok")
        return _back(event_id)
    return _tell_meanwhile(_find(event_id))


def _read(form: FilterForm, older_than: int | None) -> tuple[Page | None, str | None]:
    """The page; or why the search for it was cut off."""
    workspace_id = access.current_workspace_id()
    try:
        page = dead_letter_lists.list_page(
            workspace_id, filter_=form.filter_, limit=PAGE_ROWS, older_than=older_than
        )
    except SearchTooLong as error:
        return None, error.detail
    return page, None


def _tell(row: ProviderEvent) -> Listed:
    state = dead_letter_lists.state_of(row)
    return Listed(
        row=row,
        state=state,
        is_replayable=state in dead_letter_lists.REPLAYABLE,
        effects=". ".join(effect.text for effect in letter_words.effects(row.effects)),
    )


def _mark(page: Page) -> str:
    """What the list shows that may change. A page that has no rows has a mark as well."""
    rows = [(row.id, row.status, row.updated_at, row.attempt_count) for row in page.events]
    return render.digest(rows)


def _list_endpoints() -> list[tuple[str, str]]:
    return [
        (
            str(one.id),
            f"{letter_words.provider(one.provider)} on “{one.smtp_account_name}” ({one.id})",
        )
        for one in webhook_endpoints.list_all(access.current_workspace_id())
    ]


def _check(event_id: int) -> None:
    """Raises NotFound for a number that no event can have."""
    if event_id > _ID_MAX:
        raise NotFound(dead_letter_lists.NO_SUCH)


def _find(event_id: int) -> Letter:
    _check(event_id)
    return dead_letter_lists.get(access.current_workspace_id(), event_id)


def _page(
    letter: Letter, *, trial: Outcome | None = None, dismiss_form: DismissForm | None = None
) -> Response:
    report: dict[str, Any] = letter.row.report or {}
    return render.page_or_partial(
        "pages/dead_letter.html",
        "partials/letter_drawer.html",
        status=422 if dismiss_form else 200,
        letter=letter,
        badge_of_letter=letter_words.BADGES[letter.state],
        stands=letter_words.where_it_stands(letter),
        title=_title(letter),
        provider_name=letter_words.provider,
        raw=letter_words.payload(letter),
        done=letter_words.effects(letter.row.effects),
        report=report,
        can_replay=letter_words.can_replay(letter),
        is_dead=letter.state is State.DEAD_LETTER,
        is_dismissed=letter.state is State.DISMISSED,
        dismiss_form=dismiss_form or DismissForm(formdata=None),
        is_dismissing=dismiss_form is not None,
        back=_shown_path(letter),
        reason_max_chars=dead_letters.REASON_MAX_CHARS,
        shown_max_bytes=dead_letter_lists.SHOWN_MAX_BYTES,
        trial=trial,
        **_trial_words(trial),
    )


def _trial_words(trial: Outcome | None) -> dict[str, Any]:
    if trial is None:
        return {"trial_badge": None, "trial_effects": []}
    found = [
        effect for told in trial.effects for effect in letter_words.effects(told, is_done=False)
    ]
    return {"trial_badge": letter_words.OUTCOME[trial.status], "trial_effects": found}


def _title(letter: Letter) -> str:
    kind = "Dead letter" if letter.state is State.DEAD_LETTER else "Report"
    return f"{kind} {letter.row.id}"


def _shown_path(letter: Letter) -> str:
    """Where whoever acts on it goes on: the list below the drawer, or its own page."""
    if render.wants_partial():
        return render.current_path()
    return _back_path(letter.row.id)


def _is_as_shown(letter: Letter) -> bool:
    """Whether it still is in the state in which the form showed it."""
    return request.form.get("seen", letter.state.value) == letter.state.value


def _tell_meanwhile(letter: Letter, *, why: str | None = None) -> BaseResponse:
    toasts.show(why or letter_words.meanwhile(letter.state), kind="bad")
    return render.go_to(url_for("dead_letters.show", event_id=letter.row.id))


def _back_path(event_id: int) -> str:
    here = url_for("dead_letters.show", event_id=event_id)
    return access.safe_path(request.form.get("back")) or here


def _back(event_id: int) -> BaseResponse:
    return render.go_to(_back_path(event_id))
