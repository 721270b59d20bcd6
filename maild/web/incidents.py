"""Incidents: the inbox, and the page of each with what was seen, what was done and what can be
done. What people do to one is in `incident_actions`, and what can be done about it in `remedies`.
"""

from flask import Blueprint, Response, request, url_for

from maild import db
from maild.domain import ids
from maild.errors import InvalidRequest
from maild.services import (
    bundles,
    incident_inbox,
    incident_messages,
    notification_channels,
    smtp_accounts,
)
from maild.services.bundles import Form
from maild.services.incident_inbox import Page
from maild.web import access, incident_filter, incident_pages, incident_parts, paging, render
from maild.web.incident_filter import FilterForm

PAGE_CARDS = 20
PAGE_ROWS = 50

blueprint = Blueprint("incidents", __name__, url_prefix="/ui/incidents")


@blueprint.get("")
@db.connection()
def index() -> Response:
    """The inbox, worst first, as the filter in the URL asks for it; its first page looks again
    every few seconds.
    """
    form = incident_filter.read(request.args, email=access.visitor().email)
    after = paging.older_than()
    page = None if form.errors else _read(form, after)
    is_live = page is not None and after is None
    mark = _mark(page) if page and is_live else None
    if mark and render.has_seen(mark):
        return render.nothing_new()
    signals = incident_inbox.list_signals(page.incidents) if page else {}
    return render.page_or_partial(
        "pages/incidents.html",
        "partials/incidents_answer.html",
        status=422 if form.errors else 200,
        form=form,
        cards=None
        if page is None
        else [incident_parts.card_of(one, signals[one.id]) for one in page.incidents],
        older=paging.mark(page.older) if page else None,
        mark=mark,
        is_newest=after is None,
        statuses=list(incident_filter.STATUSES.items()),
        kinds=incident_filter.kind_choices(),
        severities=incident_filter.severity_choices(),
        accounts=_list_accounts(),
        back=_back(form),
        me=access.visitor().email,
        is_told=notification_channels.has_active(access.current_workspace_id()),
    )


@blueprint.get("/<int:incident_id>")
@db.connection()
def show(incident_id: int) -> Response:
    """One incident: all of its page, or for htmx what has changed of it."""
    return incident_pages.page(incident_parts.find(incident_id))


@blueprint.get("/<int:incident_id>/messages")
@db.connection()
def list_messages(incident_id: int) -> Response:
    """All messages that it touches, newest first."""
    incident = incident_parts.find(incident_id)
    text = request.args.get("before", "")
    before = ids.parse_id(text)
    if text and before is None:
        raise InvalidRequest("before: is not the id of a message. Start from the newest.")
    page = incident_messages.list_page(incident, limit=PAGE_ROWS, before=before)
    return render.page(
        "pages/incident_messages.html",
        incident=incident,
        messages=page.messages,
        older=page.older,
        is_newest=before is None,
    )


@blueprint.get("/<int:incident_id>/bundle")
@db.connection()
def bundle(incident_id: int) -> Response:
    """The evidence, as GET /v1/incidents/bundle gives it; with `format=zip` for people."""
    incident = incident_parts.find(incident_id)
    form = Form.ZIP if request.args.get("format") == Form.ZIP else Form.JSON
    file = bundles.render(bundles.of_incident(incident.workspace_id, incident.id), form)
    response = Response(file.content, content_type=file.content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
    return response


def _read(form: FilterForm, after: int | None) -> Page:
    return incident_inbox.list_page(
        access.current_workspace_id(), filter_=form.filter_, limit=PAGE_CARDS, after=after
    )


def _mark(page: Page) -> str:
    return render.digest([incident_parts.facts(one) for one in page.incidents], page.older is None)


def _back(form: FilterForm) -> str:
    """Where whoever acts on a card goes on."""
    here = url_for("incidents.index")
    query = form.query()
    return f"{here}?{query}" if query else here


def _list_accounts() -> list[tuple[str, str]]:
    names = [one.name for one in smtp_accounts.list_all(access.current_workspace_id())]
    return [(name, name) for name in (*names, smtp_accounts.DEFAULT_ACCOUNT)]
