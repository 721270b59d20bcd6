"""Freezes: what stands still and what stood still, starting one from any page, extending and
lifting, each with what it does. The bar that every page has is in `freeze_bar`.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild import clock, db
from maild.domain.freeze import MAX_DAYS, FreezeKind, FreezeState
from maild.domain.role import OPERATORS
from maild.errors import Conflict, InvalidFields, MaildError, NotFound, Unavailable
from maild.models import Freeze
from maild.services import freeze_backlogs, freeze_targets, freezes
from maild.services.freeze_backlogs import Backlog
from maild.web import access, freeze_bar, freeze_forms, freeze_words, paging, render, toasts, words
from maild.web.forms import text
from maild.web.freeze_forms import ExtendForm, FreezeForm, LiftForm

PAGE_ROWS = 50
_ID_MAX = 2**31 - 1
NO_SUCH = "There is no such freeze in this workspace."
UNDONE = "Taken back right after it was started."

blueprint = Blueprint("freezes", __name__, url_prefix="/ui/freezes")


@dataclass(frozen=True, slots=True)
class Listed:
    """A freeze in the list. `backlog` is None for one that is over."""

    freeze: Freeze
    name: str
    backlog: Backlog | None
    waiting: str
    ended: str


@blueprint.get("")
@db.connection()
def index() -> Response:
    """What stands still now, or with `state=ended` what stood still."""
    return _list()


@blueprint.get("/bar")
@access.public
def bar() -> BaseResponse:
    """The bar, for a page that has been open for a while; 204 where it shows that already.

    It never takes a page away from whoever types in it: to those who have logged out meanwhile, or
    gone over to another workspace, it has nothing to say.
    """
    with contextlib.suppress(Unavailable):
        visitor = access.find_visitor()
        membership = visitor.workspace if visitor else None
        if membership is None or access.is_another_workspace(membership):
            return render.nothing_new()
        found = freeze_bar.find(membership.id)
        if found is None or render.has_seen(found.mark):
            return render.nothing_new()
        is_news = request.args.get("told") not in (None, found.news_mark)
        return render.page("partials/freeze_bar.html", freeze_bar=found, is_news=is_news)
    return render.nothing_new()


@blueprint.get("/new")
@access.allow(OPERATORS)
@db.connection()
def new() -> Response:
    """The form that starts one: a page, or for htmx the dialog of the page that is open."""
    form = FreezeForm(
        formdata=None,
        what=request.args.get("what") or FreezeKind.WORKSPACE.value,
        target=request.args.get("target"),
        reason=request.args.get("reason"),
        lasts=request.args.get("lasts") or next(iter(freeze_forms.LASTS)),
        until=request.args.get("until") or freeze_forms.default_until(),
    )
    back = render.current_path() if render.wants_partial() else render.previous_path()
    return _form(form, back=access.safe_path(request.args.get("back")) or back)


@blueprint.get("/preview")
@access.allow(OPERATORS)
@db.connection()
def preview() -> Response:
    """What a freeze of this would hold, as a fragment of the form."""
    told = _foresee(request.args.get("what", ""), request.args.get("target", ""))
    return render.page("partials/freeze_preview.html", preview=told)


@blueprint.post("")
@access.allow(OPERATORS)
@db.connection()
def start() -> BaseResponse:
    """Let some mail stand still; the toast takes it back."""
    form = FreezeForm()
    try:
        kind, target = freeze_forms.parse_what(text(form.what.data), text(form.target.data).strip())
        freeze = freezes.start(
            access.current_workspace_id(),
            kind=kind,
            target=target,
            reason=text(form.reason.data).strip(),
            expires_at=freeze_forms.read_end(form, start=clock.now()),
            by=access.actor(),
        )
    except InvalidFields as error:
        freeze_forms.show(form, error)
        return _form(form, back=_back_path(), status=422)
    except NotFound as error:
        form.complain("what", error.detail)
        return _form(form, back=_back_path(), status=422)
    except Conflict as error:
        form.show(error)
        return _form(form, back=_back_path(), status=409)
    back = _back_path() or url_for("freezes.index")
    until = freeze_words.until(freeze.expires_at, now=clock.now())
    undo = (
        url_for("freezes.lift", freeze_id=freeze.id),
        {"reason": UNDONE, "back": back},
    )
    toasts.show(f"{words.start(_name(freeze))} stands still until {until}.", kind="ok", undo=undo)
    return render.go_to(back)


@blueprint.post("/<int:freeze_id>/extend")
@access.allow(OPERATORS)
@db.connection()
def extend(freeze_id: int) -> BaseResponse:
    """Let one last longer, counted from its present end."""
    freeze, form = _find(freeze_id), ExtendForm()
    try:
        extended = freezes.extend(
            freeze,
            expires_at=freeze_forms.read_end(form, start=freeze.expires_at),
            reason=text(form.reason.data).strip(),
            by=access.actor(),
        )
    except InvalidFields as error:
        freeze_forms.show(form, error)
        return _list(wrong=(freeze_id, form))
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
        return render.go_to(url_for("freezes.index"))
    until = freeze_words.until(extended.expires_at, now=clock.now())
    toasts.show(f"{words.start(_name(extended))} stands still until {until} now.", kind="ok")
    return render.go_to(url_for("freezes.index"))


@blueprint.post("/<int:freeze_id>/lift")
@access.allow(OPERATORS)
@db.connection()
def lift(freeze_id: int) -> BaseResponse:
    """End one now; the toast freezes the same again."""
    freeze, form = _find(freeze_id), LiftForm()
    back = _back_path() or url_for("freezes.index")
    if _is_over(freeze):
        return _tell_over(freeze, back)
    try:
        lifted = freezes.lift(freeze, reason=text(form.reason.data).strip(), by=access.actor())
    except InvalidFields as error:
        form.show(error)
        return _list(wrong=(freeze_id, form))
    if lifted.lifted_by != access.actor().name:  # two at once, and this is the second
        return _tell_over(lifted, back)
    again = {
        **freeze_forms.name_what(lifted),
        "reason": lifted.reason,
        "lasts": freeze_forms.UNTIL,
        "until": lifted.expires_at.isoformat(),
        "back": back,
    }
    held = "What it held goes out now."
    if not lifted.has_end:
        held += " What the restore holds stays held."
    toasts.show(
        f"Lifted: {_name(lifted)} may go out again. {held}",
        kind="ok",
        undo=(url_for("freezes.start"), again) if lifted.has_end else None,
    )
    return render.go_to(back)


def _list(*, wrong: tuple[int, ExtendForm | LiftForm] | None = None) -> Response:
    """The list; with `wrong` a form that came back, of the freeze with this id."""
    workspace_id = access.current_workspace_id()
    is_ended = request.args.get("state") == FreezeState.ENDED and wrong is None
    # The freeze whose form came back is on the page, whatever page it was on.
    older_than = wrong[0] + 1 if wrong else paging.older_than()
    page = freezes.list_page(
        workspace_id,
        state=FreezeState.ENDED if is_ended else FreezeState.IN_FORCE,
        limit=PAGE_ROWS,
        older_than=older_than,
    )
    wrong_id, form = wrong or (None, None)
    return render.page(
        "pages/freezes.html",
        status=422 if wrong else 200,
        listed=_listed(workspace_id, page.freezes, is_ended=is_ended),
        is_ended=is_ended,
        older=paging.mark(page.older),
        is_newest=older_than is None,
        wrong_id=wrong_id,
        extend_form=form if isinstance(form, ExtendForm) else None,
        lift_form=form if isinstance(form, LiftForm) else None,
        blank_extend=ExtendForm(formdata=None, until=freeze_forms.default_until()),
        blank_lift=LiftForm(formdata=None),
        max_days=MAX_DAYS,
        reason_max_chars=freezes.REASON_MAX_CHARS,
    )


def _listed(workspace_id: int, found: Sequence[Freeze], *, is_ended: bool) -> list[Listed]:
    names = freeze_targets.list_key_names(workspace_id, found)
    backlogs = {} if is_ended else freeze_backlogs.measure(workspace_id, found)
    rows = []
    for one in found:
        backlog = backlogs.get(one.id)
        rows.append(
            Listed(
                freeze=one,
                name=words.start(freeze_words.name(one.kind, one.target, names.get(one.id))),
                backlog=backlog,
                waiting=freeze_words.waiting(backlog) if backlog else "",
                ended=freeze_words.ended(one),
            )
        )
    return rows


def _form(form: FreezeForm, *, back: str | None, status: int = 200) -> Response:
    workspace_id = access.current_workspace_id()
    form.what.choices = freeze_forms.list_choices(workspace_id)
    what = text(form.what.data)
    return render.page_or_partial(
        "pages/freeze_new.html",
        "partials/freeze_dialog.html",
        status=status,
        form=form,
        back=back,
        preview=_foresee(what, text(form.target.data)),
        max_days=MAX_DAYS,
        reason_max_chars=freezes.REASON_MAX_CHARS,
    )


def _foresee(what: str, target: str) -> str:
    """What would be held at once, as a sentence; or what is missing to tell it."""
    try:
        kind, normal = freeze_forms.parse_what(what, target.strip())
        if normal is None and kind is not FreezeKind.WORKSPACE:
            return "Say which one, and here stands what it would hold."
        count, is_more = freeze_backlogs.foresee(
            access.current_workspace_id(), kind=kind, target=normal
        )
    except (InvalidFields, NotFound) as error:
        return words.start(_complaint(error))
    told = freeze_words.count(count, is_more=is_more, verb="wait")
    if kind is FreezeKind.SMTP_ACCOUNT:
        return (
            "Mail takes another account where one is in order, or stays in the queue. Right now"
            f" {told} that would stay there."
        )
    return f"Right now {told} that it would hold. What comes due later is held as well."


def _complaint(error: MaildError) -> str:
    if error.errors:
        message = error.errors[0].message
        return f"It {message}." if not message.endswith((".", "?")) else f"It {message}"
    return error.detail


def _find(freeze_id: int) -> Freeze:
    """Raises NotFound."""
    if freeze_id > _ID_MAX:
        raise NotFound(NO_SUCH)
    return freezes.get(access.current_workspace_id(), freeze_id)


def _name(freeze: Freeze) -> str:
    names = freeze_targets.list_key_names(freeze.workspace_id, [freeze])
    return freeze_words.name(freeze.kind, freeze.target, names.get(freeze.id))


def _is_over(freeze: Freeze) -> bool:
    return freeze.lifted_at is not None or freeze.expires_at <= clock.now()


def _tell_over(freeze: Freeze, back: str) -> BaseResponse:
    toasts.show(f"It was over already. {freeze_words.ended(freeze)}.", kind="info")
    return render.go_to(back)


def _back_path() -> str | None:
    return access.safe_path(request.form.get("back"))
