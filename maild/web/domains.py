"""Sending domains: the list with how each stands, and a page of each with what to paste."""

from flask import Blueprint, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import StringField

from maild import clock, db
from maild.domain.role import ADMINS, OPERATORS
from maild.errors import Conflict, InvalidFields, InvalidRequest, NotFound, RateLimited
from maild.models import Domain
from maild.services import dkim_keys, domain_checks, domain_rules, domains, workers
from maild.web import access, domain_signing, domain_words, provider_parts, render, toasts
from maild.web.forms import Form, text

PAGE_ROWS = 50
_ID_MAX = 2**31 - 1

blueprint = Blueprint("domains", __name__, url_prefix="/ui/domains")


class DomainForm(Form):
    domain = StringField("Domain")
    dkim_selector = StringField("DKIM selector")


class SelectorForm(Form):
    dkim_selector = StringField("DKIM selector")


@blueprint.get("")
@db.connection()
def index() -> BaseResponse:
    """The domains by name, and those that mail comes from without being here."""
    return _list(DomainForm(formdata=None, domain=request.args.get("domain")))


@blueprint.post("")
@access.allow(ADMINS)
@db.connection()
def add() -> BaseResponse:
    """Have a domain looked after."""
    form = DomainForm()
    try:
        row = domains.add(
            access.current_workspace_id(),
            text(form.domain.data),
            dkim_selector=form.dkim_selector.data,
            by=access.actor(),
        )
    except InvalidFields as error:
        form.show(error)
        return _list(form, status=422)
    except Conflict as error:
        form.complain("domain", error.detail)
        return _list(form, status=409)
    toasts.show(f"{row.name} is looked after from now on.", kind="ok")
    return render.go_to(url_for("domains.show", domain_id=row.id))


@blueprint.get("/<int:domain_id>")
@db.connection()
def show(domain_id: int) -> BaseResponse:
    """A domain; while it is being checked the page asks for what was found."""
    row = _find(domain_id)
    mark = _mark(row)
    if render.has_seen(mark):
        return render.nothing_new()
    return _page(row, SelectorForm(formdata=None, dkim_selector=row.dkim_selector or ""))


@blueprint.post("/<int:domain_id>/check")
@access.allow(OPERATORS)
@db.connection()
def check(domain_id: int) -> BaseResponse:
    """Have it checked by a worker now."""
    row = _find(domain_id)
    try:
        domain_checks.count_call(row.workspace_id)
        domains.ask_again(row.workspace_id, row.id)
    except RateLimited as error:
        toasts.show(error.detail, kind="bad")
    return render.go_to(url_for("domains.show", domain_id=domain_id))


@blueprint.post("/<int:domain_id>/selector")
@access.allow(ADMINS)
@db.connection()
def select(domain_id: int) -> BaseResponse:
    """Say under which selector its key stands."""
    row, form = _find(domain_id), SelectorForm()
    try:
        domains.select_key(
            row.workspace_id, row.id, dkim_selector=form.dkim_selector.data, by=access.actor()
        )
    except InvalidFields as error:
        form.show(error)
        return _page(row, form, status=422)
    return render.go_to(url_for("domains.show", domain_id=domain_id))


@blueprint.post("/<int:domain_id>/accept")
@access.allow(ADMINS)
@db.connection()
def accept(domain_id: int) -> BaseResponse:
    """Take the records as they are for what they should be."""
    row = _find(domain_id)
    domains.accept(row.workspace_id, row.id, by=access.actor())
    toasts.show("Changes are measured against the present records from now on.", kind="ok")
    return render.go_to(url_for("domains.show", domain_id=domain_id))


@blueprint.post("/<int:domain_id>/remove")
@access.allow(ADMINS)
@db.connection()
def remove(domain_id: int) -> BaseResponse:
    """Look after it no more; the toast brings it back."""
    row = _find(domain_id)
    domains.remove(row.workspace_id, row.id, by=access.actor())
    again = {"domain": row.name, "dkim_selector": row.dkim_selector or ""}
    told = f"{row.name} is looked after no more. Mail from it goes out as before."
    if row.name in dkim_keys.list_unlisted(row.workspace_id):
        told += " maild signs it still: its keys are told of below."
    toasts.show(told, kind="ok", undo=(url_for("domains.add"), again))
    return render.go_to(url_for("domains.index"))


def _list(form: DomainForm, *, status: int = 200) -> BaseResponse:
    workspace_id = access.current_workspace_id()
    after = _after()
    page = domains.list_page(workspace_id, limit=PAGE_ROWS, after=after)
    return render.page(
        "pages/domains.html",
        status=status,
        rows=[(row, domain_words.ready(row), domain_words.checks(row)) for row in page.domains],
        form=form,
        suggestions=domains.suggest(workspace_id) if after is None else [],
        unlisted=dkim_keys.list_unlisted(workspace_id) if after is None else [],
        after=page.after,
        is_first=after is None,
        now=clock.now(),
        admin_lock=provider_parts.admin_lock(),
    )


def _page(row: Domain, form: SelectorForm, *, status: int = 200) -> BaseResponse:
    is_waiting = row.due_at <= clock.now()
    return render.page_or_partial(
        "pages/domain.html",
        "partials/domain.html",
        status=status,
        row=row,
        form=form,
        ready=domain_words.ready(row),
        is_no_name=domain_words.is_no_name(row),
        checks=domain_words.checks(row),
        rules=[(rule, domain_words.STATES[rule.state]) for rule in domain_rules.list_rules(row)],
        history=domain_words.changes(domains.list_history(row)),
        is_waiting=is_waiting,
        is_lonely=is_waiting and not workers.list_alive(),
        mark=_mark(row),
        admin_lock=provider_parts.admin_lock(),
        operator_lock=provider_parts.operator_lock(),
        **domain_signing.describe(row.id, row.name),
    )


def _find(domain_id: int) -> Domain:
    """Raises NotFound."""
    if domain_id > _ID_MAX:
        raise NotFound(domains.NO_SUCH)
    return domains.get(access.current_workspace_id(), domain_id)


def _mark(row: Domain) -> str:
    return render.digest(row.id, row.checked_at, row.due_at <= clock.now(), row.dkim_selector)


def _after() -> str | None:
    """Raises InvalidRequest."""
    given = request.args.get("after")
    try:
        return domains.parse_name(given) if given else None
    except ValueError as error:
        raise InvalidRequest(f"after: {error}. Start again from the first of the list.") from None
