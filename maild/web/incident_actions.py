"""What people do to an incident: look after it, give it to somebody, write a note, say how bad it
is, resolve, reopen and merge it; and opening one from a message.

A form says which version of the incident it was made for. If somebody was quicker, nothing is done,
and whoever sent the form is shown what has happened meanwhile, with what they typed.
"""

import uuid
from collections.abc import Callable
from typing import Any

from flask import Blueprint, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild import db
from maild.domain.incident import Severity
from maild.domain.role import OPERATORS
from maild.errors import Conflict, InvalidFields
from maild.models import Incident
from maild.services import incidents, messages
from maild.web import access, incident_parts, incident_words, render, toasts
from maild.web import incident_pages as pages
from maild.web.incident_pages import Act, Trouble

_ID_MAX = 2**31 - 1
_TAKEN_BACK = "Taken back right after it was done."

blueprint = Blueprint("incident_actions", __name__, url_prefix="/ui/incidents")


@blueprint.post("/<int:incident_id>/acknowledge")
@access.allow(OPERATORS)
@db.connection()
def acknowledge(incident_id: int) -> BaseResponse:
    """Say that somebody looks after it."""
    return _act(incident_id, None, incidents.acknowledge, lambda _: "Acknowledged.")


@blueprint.post("/<int:incident_id>/take")
@access.allow(OPERATORS)
@db.connection()
def take(incident_id: int) -> BaseResponse:
    """Give it to oneself."""
    before = incident_parts.find(incident_id).assigned_to or ""
    return _act(
        incident_id,
        None,
        incidents.assign,
        lambda _: "It is yours.",
        to=access.visitor().email,
        undo=("incident_actions.assign", {"to": before}),
    )


@blueprint.post("/<int:incident_id>/assign")
@access.allow(OPERATORS)
@db.connection()
def assign(incident_id: int) -> BaseResponse:
    """Give it to a member, or to nobody; the toast takes it back."""
    before = incident_parts.find(incident_id).assigned_to or ""

    def told(incident: Incident) -> str:
        return f"Assigned to {incident.assigned_to}." if incident.assigned_to else "Nobody has it."

    return _act(
        incident_id,
        Act.ASSIGN,
        incidents.assign,
        told,
        to=_typed("to") or None,
        undo=("incident_actions.assign", {"to": before}),
    )


@blueprint.post("/<int:incident_id>/note")
@access.allow(OPERATORS)
@db.connection()
def note(incident_id: int) -> BaseResponse:
    """Write something down."""
    return _act(incident_id, Act.NOTE, incidents.note, lambda _: "Noted.", text=_typed("text"))


@blueprint.post("/<int:incident_id>/severity")
@access.allow(OPERATORS)
@db.connection()
def severity(incident_id: int) -> BaseResponse:
    """Say how bad it is; the toast takes it back."""
    incident, word = incident_parts.find(incident_id), _typed("severity")
    if word not in set(Severity):
        trouble = Trouble("Choose one of these.", act=Act.SEVERITY)
        return pages.page(incident, trouble=trouble, status=422)
    return _act(
        incident_id,
        Act.SEVERITY,
        incidents.set_severity,
        lambda now: f"It is {incident_words.SEVERITY[now.severity].word} now.",
        severity=Severity(word),
        undo=("incident_actions.severity", {"severity": incident.severity.value}),
    )


@blueprint.post("/<int:incident_id>/resolve")
@access.allow(OPERATORS)
@db.connection()
def resolve(incident_id: int) -> BaseResponse:
    """Say that it is over, and what it was; the toast reopens it."""
    return _act(
        incident_id,
        Act.RESOLVE,
        incidents.resolve,
        lambda _: "Resolved. If it comes back, it reopens by itself.",
        cause=_typed("cause"),
        undo=("incident_actions.reopen", {"reason": _TAKEN_BACK}),
    )


@blueprint.post("/<int:incident_id>/reopen")
@access.allow(OPERATORS)
@db.connection()
def reopen(incident_id: int) -> BaseResponse:
    """It is not over after all."""
    return _act(
        incident_id,
        Act.REOPEN,
        incidents.reopen,
        lambda _: "It is open again.",
        reason=_typed("reason"),
    )


@blueprint.post("/<int:incident_id>/merge")
@access.allow(OPERATORS)
@db.connection()
def merge(incident_id: int) -> BaseResponse:
    """Make it part of another one, and go there."""
    into_id = request.form.get("into", type=int)
    if into_id is None or not 0 < into_id <= _ID_MAX:
        trouble = Trouble("Choose the incident that it is part of.", act=Act.MERGE)
        return pages.page(incident_parts.find(incident_id), trouble=trouble, status=422)
    return _act(
        incident_id,
        Act.MERGE,
        incidents.merge,
        lambda _: f"Incident {incident_id} is part of this one now.",
        into_id=into_id,
    )


@blueprint.post("/of-message/<uuid:message_id>")
@access.allow(OPERATORS)
@db.connection()
def open_by_hand(message_id: uuid.UUID) -> BaseResponse:
    """Open an incident of a message, or go to the one that it belongs to."""
    message = messages.get(access.current_workspace_id(), message_id)
    try:
        incident = incidents.open_by_hand(
            message.workspace_id,
            message.id,
            title=_typed("title") or None,
            note=_typed("note") or None,
            by=access.actor(),
        )
    except InvalidFields as error:
        toasts.show(f"No incident was opened: {error.detail}", kind="bad")
        return render.go_to(url_for("messages.show", message_id=message.id))
    toasts.show("This is the incident of that message.", kind="ok")
    return render.go_to(url_for("incidents.show", incident_id=incident.id))


def _act(
    incident_id: int,
    act: Act | None,
    do: Callable[..., Incident],
    told: Callable[[Incident], str],
    *,
    undo: tuple[str, dict[str, Any]] | None = None,
    **given: Any,
) -> BaseResponse:
    """Do it, if the incident still is as it was shown, and go back with a word about it."""
    incident = incident_parts.find(incident_id)
    version = request.form.get("version", type=int)
    try:
        now = do(incident.workspace_id, incident.id, version=version, by=access.actor(), **given)
    except InvalidFields as error:
        words = " ".join(f"{one.message[:1].upper()}{one.message[1:]}." for one in error.errors)
        trouble = Trouble(words or error.detail, act=act)
        return pages.page(incident_parts.find(incident_id), trouble=trouble, status=422)
    except Conflict as error:
        trouble = Trouble(error.detail, act=act, is_conflict=True)
        return pages.page(incident_parts.find(incident_id), trouble=trouble, status=409)
    way_back: toasts.Undo | None = None
    if undo is not None and now.version != incident.version:
        endpoint, fields = undo
        url = url_for(endpoint, incident_id=now.id)
        way_back = url, {**fields, "version": now.version, "back": _back_path(now.id)}
    toasts.show(told(now), kind="ok", undo=way_back)
    return render.go_to(_back_path(now.id))


def _typed(name: str) -> str:
    return request.form.get(name, "").strip()


def _back_path(incident_id: int) -> str:
    here = url_for("incidents.show", incident_id=incident_id)
    return access.safe_path(request.form.get("back")) or here
