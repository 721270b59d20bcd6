"""Remedies of an incident: first what one will touch and what will happen, then a reason, and then
it is done, at once or by a job. Which there are is told by `remedy_words`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import StringField

from maild import clock, config, db
from maild.domain.role import OPERATORS
from maild.errors import Conflict, Forbidden, InvalidFields, NotFound, Unavailable
from maild.models import Incident, Job
from maild.models.smtp_account import ENVIRONMENT
from maild.services import (
    account_health,
    incident_remedies,
    job_kinds,
    jobs,
    providers,
    smtp_accounts,
)
from maild.services.account_health import AccountHealth
from maild.services.incident_remedies import Outlook
from maild.web import (
    access,
    incident_parts,
    provider_parts,
    provider_words,
    remedy_words,
    render,
    toasts,
)
from maild.web.bulk import read_until
from maild.web.bulk_words import count
from maild.web.forms import Form, text
from maild.web.remedy_words import WORDS, Remedy

blueprint = Blueprint(
    "remedies", __name__, url_prefix="/ui/incidents/<int:incident_id>/remedies/<remedy>"
)

assert job_kinds.ALL  # importing them registered them

_OF_ACCOUNTS = frozenset({Remedy.PAUSE, Remedy.RESUME, Remedy.SWITCH})
_FORESEE: dict[Remedy, Callable[[Incident], Outlook]] = {
    Remedy.RETRY: incident_remedies.foresee_retry,
    Remedy.SEND: incident_remedies.foresee_send,
    Remedy.UNSUPPRESS: incident_remedies.foresee_unsuppress,
}
_START: dict[Remedy, Callable[..., Job]] = {
    Remedy.RETRY: incident_remedies.retry,
    Remedy.SEND: incident_remedies.send,
    Remedy.UNSUPPRESS: incident_remedies.unsuppress,
}


class ReasonForm(Form):
    reason = StringField("Reason")


@dataclass(frozen=True, slots=True)
class Asked:
    """A remedy of an incident; `found` is the account that it is about, where it is about one."""

    incident: Incident
    remedy: Remedy
    found: AccountHealth | None = None


@blueprint.get("")
@access.allow(OPERATORS)
@db.connection()
def preview(incident_id: int, remedy: str) -> BaseResponse:
    """What it will touch, and what will happen."""
    asked = _read(incident_id, remedy)
    form = ReasonForm(formdata=None, reason=remedy_words.reason(asked.incident))
    return _page(asked, form)


@blueprint.post("")
@access.allow(OPERATORS)
@db.connection()
def carry_out(incident_id: int, remedy: str) -> BaseResponse:
    """Do it: go to the page of its job, or back to the incident."""
    asked, form = _read(incident_id, remedy), ReasonForm()
    try:
        return _carry_out(asked, text(form.reason.data).strip())
    except InvalidFields as error:
        form.show(error)
        return _page(asked, form, status=422)
    except Conflict as error:
        form.problem, form.link = error.detail, provider_parts.link_to(error)
        return _page(asked, form, status=409)


def _read(incident_id: int, word: str) -> Asked:
    """Raises NotFound, and Forbidden where it is for an admin to do."""
    incident = incident_parts.find(incident_id)
    if word not in set(Remedy):
        raise NotFound("There is no such remedy.")
    remedy = Remedy(word)
    if access.current_workspace().role not in WORDS[remedy].roles:
        raise Forbidden(f"{WORDS[remedy].title} Only an admin of this workspace may do this.")
    if remedy not in _OF_ACCOUNTS:
        return Asked(incident, remedy)
    account_id = request.values.get("account", type=int)
    for found in account_health.list_all(incident.workspace_id):
        is_meant = found.account.id == account_id
        if is_meant and (account_id != ENVIRONMENT or remedy is Remedy.SWITCH):
            return Asked(incident, remedy, found)
    raise NotFound(smtp_accounts.NO_SUCH)


def _carry_out(asked: Asked, reason: str) -> BaseResponse:
    incident, by = asked.incident, access.actor()
    back = url_for("incidents.show", incident_id=incident.id)
    if asked.found is None:
        until = read_until(request.form.get("until"))
        job = _START[asked.remedy](
            incident.workspace_id, incident.id, until=until, reason=reason, by=by
        )
        return render.go_to(url_for("jobs.show", job_id=job.id))
    account = asked.found.account
    name = account.name
    called = provider_words.called(account.name)
    if asked.remedy is Remedy.PAUSE:
        incident_remedies.pause(incident.workspace_id, incident.id, name=name, reason=reason, by=by)
        told = f"{called} is paused. Nothing goes through it."
        undo: toasts.Undo | None = (url_for("providers.resume", account_id=account.id), {})
    elif asked.remedy is Remedy.RESUME:
        incident_remedies.resume(
            incident.workspace_id, incident.id, name=name, reason=reason, by=by
        )
        told = f"Mail may go through {called} again."
        again = {"reason": account.pause_reason or "Paused again"}
        undo = url_for("providers.pause", account_id=account.id), again
    else:
        before = incident_remedies.switch(
            incident.workspace_id, incident.id, name=name, reason=reason, by=by
        )
        told = f"Mail goes through {called} first from now on."
        undo = _undo_switch(incident.workspace_id, before, account.name)
    toasts.show(told, kind="ok", undo=undo)
    return render.go_to(back)


def _undo_switch(workspace_id: int, before: str, name: str) -> toasts.Undo | None:
    if before == name:
        return None
    account_id = ENVIRONMENT
    if before != smtp_accounts.DEFAULT_ACCOUNT:
        account_id = smtp_accounts.find(workspace_id, name=before).id
    return url_for("providers.activate", account_id=account_id), {}


def _page(asked: Asked, form: ReasonForm, *, status: int = 200) -> BaseResponse:
    words = WORDS[asked.remedy]
    until = clock.now()
    look = cut = None
    if asked.found is None:
        try:
            look = _FORESEE[asked.remedy](asked.incident)
        except Unavailable as error:
            cut, status = error.detail, 503
    return render.page(
        "pages/remedy.html",
        status=status,
        incident=asked.incident,
        remedy=asked.remedy.value,
        words=words,
        look=look,
        until=until.isoformat(),
        cut=cut,
        found=asked.found,
        health=asked.found and provider_words.HEALTH[asked.found.word],
        happens=[words.happens] if asked.found is None else _foresee_account(asked),
        caution=_caution(asked, look),
        button=_button(asked, look),
        form=form,
        back=url_for("incidents.show", incident_id=asked.incident.id),
        reason_max_chars=jobs.REASON_MAX_CHARS,
    )


def _button(asked: Asked, look: Outlook | None) -> str:
    words = WORDS[asked.remedy].button
    if asked.found is not None:
        return words.format(asked.found.account.name)
    if look is None:
        return ""
    noun = ("suppression", "suppressions") if asked.remedy is Remedy.UNSUPPRESS else (
        "message", "messages")  # fmt: skip
    return words.format(f"all these {noun[1]}" if look.has_more else count(look.going_count, *noun))


def _caution(asked: Asked, look: Outlook | None) -> str | None:
    """What to think of first."""
    if look is not None and look.unknown_count:
        return (
            f"{count(look.unknown_count, 'message has', 'messages have')} an unknown outcome: what"
            " has arrived after all arrives twice. Ask the provider first where that matters."
        )
    if asked.remedy is Remedy.SEND and asked.incident.smtp_account:
        return (
            "If the cause is not over, they are put off again, and have an attempt less. Look first"
            f" how {provider_words.called(asked.incident.smtp_account)} does."
        )
    return None


def _foresee_account(asked: Asked) -> list[str]:
    """What will happen, a sentence each."""
    found, workspace_id = asked.found, asked.incident.workspace_id
    assert found is not None
    if asked.remedy is Remedy.SWITCH:
        accounts = account_health.list_all(workspace_id)
        active = next(one for one in accounts if one.account.is_active)
        return provider_words.on_activating(
            found, active.account, has_fail_over=config.current().auto_failover.enabled
        )
    told = [WORDS[asked.remedy].happens]
    if asked.remedy is Remedy.PAUSE:
        route = providers.list_routes([workspace_id])[workspace_id]
        told.append(provider_words.without(route, found.account.id))
        if pinned := smtp_accounts.count_pinned(found.account):
            told.append(
                f"{count(pinned, 'queued message', 'queued messages')} may go through it alone, and"
                + (" waits." if pinned == 1 else " wait.")
            )
    return told
