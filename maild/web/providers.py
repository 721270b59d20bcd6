"""Providers: the workspace's SMTP accounts in the order in which mail takes them, how each does,
and activating, pausing, moving and deleting them. Adding and changing them is in `provider_forms`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import StringField

from maild import config, db
from maild.domain.role import ADMINS
from maild.domain.smtp_presets import of_host
from maild.domain.traffic import Span
from maild.errors import Conflict, InvalidFields, NotFound, QueuedInSandbox
from maild.models import ProviderCheck, WebhookEndpoint, WebhookSecret
from maild.models.smtp_account import ENVIRONMENT
from maild.services import (
    account_health,
    analytics,
    provider_checks,
    provider_histories,
    providers,
    smtp_accounts,
    webhook_endpoints,
    webhook_secrets,
)
from maild.services.account_health import AccountHealth
from maild.services.webhook_endpoints import State
from maild.web import (
    access,
    breaker_chart,
    charts,
    provider_parts,
    provider_words,
    render,
    story,
    toasts,
)
from maild.web.badges import Badge
from maild.web.charts import Series
from maild.web.forms import Form, text

HISTORY_DAYS = {"24h": 1, "7d": 7}
EVENTS_SHOWN = 30

blueprint = Blueprint("providers", __name__, url_prefix="/ui/providers")


class ReasonForm(Form):
    reason = StringField("Reason")


@dataclass(frozen=True, slots=True)
class Card:
    """An account in the list. `place` is its place among those that stand by, from 1."""

    found: AccountHealth
    role: Badge
    health: Badge
    webhook: Badge | None
    check: ProviderCheck | None
    share: float | None
    place: int | None
    is_last: bool
    provider: str | None


@blueprint.get("")
@db.connection()
def index() -> Response:
    """The list, which asks for itself again every few seconds."""
    workspace_id = access.current_workspace_id()
    accounts = account_health.in_line(account_health.list_all(workspace_id))
    course = provider_words.course(providers.list_routes([workspace_id])[workspace_id])
    cards = _cards(workspace_id, accounts, course.account_id)
    mark = render.digest(course, [_facts(card) for card in cards])
    if render.has_seen(mark):
        return render.nothing_new()
    return render.page_or_partial(
        "pages/providers.html",
        "partials/providers.html",
        cards=cards,
        course=course,
        mark=mark,
        has_own=len(cards) > 1,
        has_fail_over=config.current().auto_failover.enabled,
        accounts_max=smtp_accounts.ACCOUNTS_MAX,
        admin_lock=provider_parts.admin_lock(),
    )


@blueprint.get("/<int:account_id>")
@db.connection()
def show(account_id: int) -> BaseResponse:
    """One account: how it does, how it did, and its limits. How it does asks for itself again."""
    if not render.wants_partial():
        return _page(account_id)
    found = account_health.get(access.current_workspace_id(), account_id)
    mark = _mark(found)
    if render.has_seen(mark):
        return render.nothing_new()
    health = provider_words.HEALTH[found.word]
    return render.page("partials/provider_health.html", found=found, health=health, mark=mark)


@blueprint.post("/<int:account_id>/move")
@access.allow(ADMINS)
@db.connection()
def move(account_id: int) -> BaseResponse:
    """Give an account another place in the line; the toast takes it back."""
    workspace_id, place = access.current_workspace_id(), request.form.get("place", type=int)
    if place is None:
        raise NotFound("There is no such place in the line.")
    name = smtp_accounts.get(workspace_id, account_id).name
    try:
        before = smtp_accounts.move(workspace_id, account_id, place=place, by=access.actor())
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
        return _back_to_list(account_id)
    if before != place:
        undo = (url_for("providers.move", account_id=account_id), {"place": before})
        toasts.show(f"“{name}” has another place in the line.", kind="ok", undo=undo)
    return _back_to_list(account_id)


@blueprint.post("/<int:account_id>/activate")
@access.allow(ADMINS)
@db.connection()
def activate(account_id: int) -> BaseResponse:
    """Let mail take this account first; the toast takes it back."""
    workspace_id = access.current_workspace_id()
    name = smtp_accounts.name_of(workspace_id, account_id)
    try:
        before = smtp_accounts.activate(workspace_id, name=name, by=access.actor())
    except QueuedInSandbox as error:
        return _page(account_id, refusal=error)
    if before != name:
        told = f"Mail goes through {provider_words.called(name)} first from now on."
        url = _url_to_activate(workspace_id, before)
        toasts.show(told, kind="ok", undo=(url, {}))
    return _back(account_id)


@blueprint.post("/<int:account_id>/pause")
@access.allow(ADMINS)
@db.connection()
def pause(account_id: int) -> BaseResponse:
    """Let no mail through an account, for a reason; the toast takes it back."""
    form, workspace_id = ReasonForm(), access.current_workspace_id()
    name = smtp_accounts.name_of(workspace_id, account_id)
    try:
        smtp_accounts.pause(
            workspace_id, name=name, reason=text(form.reason.data).strip(), by=access.actor()
        )
    except InvalidFields as error:
        form.show(error)
        return _page(account_id, pause_form=form)
    url = url_for("providers.resume", account_id=account_id)
    toasts.show(f"“{name}” is paused. Nothing goes through it.", kind="ok", undo=(url, {}))
    return _back(account_id)


@blueprint.post("/<int:account_id>/resume")
@access.allow(ADMINS)
@db.connection()
def resume(account_id: int) -> BaseResponse:
    """Let mail through a paused account again; the toast takes it back."""
    workspace_id = access.current_workspace_id()
    row = smtp_accounts.get(workspace_id, account_id)
    smtp_accounts.resume(workspace_id, name=row.name, by=access.actor())
    if row.paused_at is not None:
        undo = (
            url_for("providers.pause", account_id=account_id),
            {"reason": row.pause_reason or "Paused again"},
        )
        toasts.show(f"Mail may go through “{row.name}” again.", kind="ok", undo=undo)
    return _back(account_id)


@blueprint.post("/<int:account_id>/delete")
@access.allow(ADMINS)
@db.connection()
def delete(account_id: int) -> BaseResponse:
    """Forget an account; its password cannot be brought back."""
    workspace_id = access.current_workspace_id()
    row = smtp_accounts.get(workspace_id, account_id)
    try:
        smtp_accounts.delete(workspace_id, name=row.name, by=access.actor())
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
        return _back(account_id)
    toasts.show(f"“{row.name}” is deleted.", kind="ok")
    return redirect(url_for("providers.index"), 303)


def _url_to_activate(workspace_id: int, name: str) -> str:
    account_id = ENVIRONMENT
    if name != smtp_accounts.DEFAULT_ACCOUNT:
        account_id = smtp_accounts.find(workspace_id, name=name).id
    return url_for("providers.activate", account_id=account_id)


def _back(account_id: int) -> BaseResponse:
    return redirect(url_for("providers.show", account_id=account_id), 303)


def _back_to_list(account_id: int) -> BaseResponse:
    return redirect(url_for("providers.index", _anchor=f"account-{account_id}"), 303)


def _page(
    account_id: int,
    *,
    pause_form: ReasonForm | None = None,
    refusal: QueuedInSandbox | None = None,
) -> BaseResponse:
    span = request.args.get("span", "24h")
    if span not in HISTORY_DAYS:
        span = "24h"
    context = provider_parts.head(account_id, tab="account")
    found, workspace_id = context["found"], access.current_workspace_id()
    history = provider_histories.read(workspace_id, found, days=HISTORY_DAYS[span])
    traffic = analytics.summarise_span(workspace_id, span=Span.DAY)
    return render.page(
        "pages/provider.html",
        status=refusal.status if refusal else 422 if pause_form else 200,
        **context,
        problem=refusal.detail if refusal else "",
        problem_link=provider_parts.link_to(refusal) if refusal else None,
        mark=_mark(found),
        pause_form=pause_form or ReasonForm(formdata=None),
        is_pause_open=pause_form is not None,
        span=span,
        spans=tuple(HISTORY_DAYS),
        chart=breaker_chart.draw(history, days=HISTORY_DAYS[span]),
        mode_badges=provider_words.MODES,
        entries=story.tell([], history.events[:EVENTS_SHOWN])[::-1],
        has_more=len(history.events) > EVENTS_SHOWN,
        tries=_draw_tries(account_id),
        traffic=next((one for one in traffic.accounts if one.name == found.account.name), None),
        security_words=provider_words.SECURITY,
        check=provider_checks.find_latest(workspace_id, account_id),
    )


def _mark(found: AccountHealth) -> str:
    return render.digest(_health_facts(found))


def _draw_tries(account_id: int) -> charts.Columns | None:
    """Tries of the last 24 hours; those of the environment's account are of all workspaces
    together, and nobody else's business.
    """
    if account_id == ENVIRONMENT:
        return None
    hours = provider_histories.list_hours(account_id)
    return charts.columns(
        "Tries an hour, last 24 hours",
        [f"{hour.at:%H:00}" for hour in hours],
        [
            Series("good", "ok", [hour.try_count - hour.fault_count for hour in hours]),
            Series("faults of the path", "bad", [hour.fault_count for hour in hours]),
        ],
    )


def _cards(workspace_id: int, accounts: Sequence[AccountHealth], used_id: int | None) -> list[Card]:
    endpoints = webhook_endpoints.list_all(workspace_id)
    valid = webhook_secrets.find_valid(endpoints)
    checks = provider_checks.latest_of_each(workspace_id)
    traffic = analytics.summarise_span(workspace_id, span=Span.DAY)
    shares = {one.name: one.share for one in traffic.accounts}
    line = [
        one.account.id
        for one in accounts
        if not one.account.is_active and one.account.id != ENVIRONMENT
    ]
    cards = []
    for found in accounts:
        account = found.account
        preset = of_host(account.host)
        place = line.index(account.id) + 1 if account.id in line else None
        cards.append(
            Card(
                found,
                provider_parts.role_of(found, used_id),
                provider_words.HEALTH[found.word],
                _webhook(account.name, endpoints, valid),
                checks.get(account.id),
                shares.get(account.name),
                place,
                is_last=place == len(line),
                provider=preset.title if preset else None,
            )
        )
    return cards


def _webhook(
    name: str,
    endpoints: Sequence[WebhookEndpoint],
    valid: dict[int, list[WebhookSecret]],
) -> Badge | None:
    """How the endpoints of an account do: as the one that does worst; None without any."""
    states = {
        webhook_endpoints.state_of(endpoint, valid[endpoint.id])
        for endpoint in endpoints
        if endpoint.smtp_account_name == name
    }
    return next((provider_words.WEBHOOKS[state] for state in State if state in states), None)


def _facts(card: Card) -> tuple[object, ...]:
    """All of a card that may change while it is looked at."""
    account, check = card.found.account, card.check
    told = [
        getattr(account, name)
        for name in (
            "id", "name", "host", "port", "from_email", "is_active", "max_connections",
            "max_per_second", "priority",
        )
    ]  # fmt: skip
    return (
        told, _health_facts(card.found), card.role, card.webhook, card.share, card.place,
        card.is_last, check and (check.id, check.finished_at, check.is_valid),
    )  # fmt: skip


def _health_facts(found: AccountHealth) -> tuple[object, ...]:
    """What the sentences about an account's health are made of."""
    account, freeze = found.account, found.freeze
    return (
        found.word, found.breaker, found.last_fault_at, found.try_count, found.fault_count,
        account.paused_at, account.pause_reason,
        freeze and (freeze.id, freeze.expires_at, freeze.reason),
    )  # fmt: skip
