"""Checking an SMTP account: the page of its latest check, which tells each step as it ends."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, redirect, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild import clock, db
from maild.domain.role import OPERATORS
from maild.errors import Conflict
from maild.models import ProviderCheck
from maild.services import provider_checks, workers
from maild.web import access, check_words, provider_parts, render, toasts

EXPIRES_SOON_DAYS = 14
"""A certificate that holds no longer than this is a warning."""

NOTHING_FOUND: Mapping[str, Any] = {
    "problem": None,
    "tls": None,
    "auth": None,
    "capabilities": (),
    "certificate": None,
}
"""What a check that is not over, or that failed early, says of the server."""

blueprint = Blueprint("provider_checks", __name__, url_prefix="/ui/providers/<int:account_id>")


@blueprint.get("/check")
@db.connection()
def show(account_id: int) -> BaseResponse:
    """The latest check; while it is under way the page asks for it again."""
    context = describe(account_id)
    if render.has_seen(context["mark"]):
        return render.nothing_new()
    return render.page_or_partial(
        "pages/provider_check.html",
        "partials/provider_check.html",
        **context,
        operator_lock=provider_parts.operator_lock(),
    )


def describe(account_id: int) -> dict[str, Any]:
    """The context of the account's pages, and that of partials/provider_check.html. Raises
    NotFound.
    """
    context = provider_parts.head(account_id, tab="check")
    checks = provider_checks.list_latest(access.current_workspace_id(), account_id)
    check = checks[0] if checks else None
    result = {**NOTHING_FOUND, **(check.result if check else {})}
    is_lonely = _is_lonely(check)
    return {
        **context,
        "check": check,
        "earlier": checks[1:],
        "result": result,
        "lines": check_words.lines(check, context["account"]) if check else [],
        "offers": check_words.offers(result["capabilities"]),
        "other_offers": check_words.others(result["capabilities"]),
        "days_left": _days_left(result),
        "expires_soon_days": EXPIRES_SOON_DAYS,
        "is_lonely": is_lonely,
        "mark": render.digest(check and _facts(check), is_lonely),
    }


@blueprint.post("/check")
@access.allow(OPERATORS)
@db.connection()
def start(account_id: int) -> BaseResponse:
    """Have the account tried by a worker."""
    try:
        provider_checks.start(access.current_workspace_id(), account_id, by=access.actor())
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
    return redirect(url_for("provider_checks.show", account_id=account_id), 303)


def _facts(check: ProviderCheck) -> tuple[object, ...]:
    return check.id, check.started_at, check.finished_at, len(check.steps)


def _is_lonely(check: ProviderCheck | None) -> bool:
    """Whether a check waits, and there is nobody to take it."""
    is_waiting = check is not None and check.started_at is None and check.finished_at is None
    return is_waiting and not workers.list_alive()


def _days_left(result: Mapping[str, Any]) -> int | None:
    certificate = result["certificate"]
    if not certificate:
        return None
    return check_words.days_left(certificate["valid_until"], now=clock.now())
