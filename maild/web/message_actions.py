"""What a person does to one message: retry it, hold it, let it go, and the like.

A form says in which state the message was shown. If it is in another one by now, nothing is done,
and whoever sent the form is told who was quicker, and how it stands.
"""

import uuid
from collections.abc import Callable
from typing import Any

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild import db
from maild.domain.role import ADMINS, OPERATORS
from maild.domain.states import Status
from maild.errors import InvalidFields
from maild.models import Message
from maild.services import interventions, messages, resending, suppressions, timeline
from maild.services.interventions import Result
from maild.web import access, message_words, toasts
from maild.web import messages as message_pages
from maild.web.message_words import Act
from maild.web.messages import Trouble

_TAKEN_BACK = "taken back right after it was done"

blueprint = Blueprint("message_actions", __name__, url_prefix="/ui/messages/<uuid:message_id>")


@blueprint.post("/retry")
@access.allow(OPERATORS)
@db.connection()
def retry(message_id: uuid.UUID) -> BaseResponse:
    """Queue it again. One whose outcome is unknown is resolved as not sent with that."""

    def do(message: Message, reason: str | None) -> Result:
        if message.status is Status.UNKNOWN:
            return _resolve(message, reason, was_sent=False)
        return interventions.retry(
            message.workspace_id, message_ids=[str(message.id)], by=access.actor(), reason=reason
        ).result

    return _act(message_id, Act.RETRY, do)


@blueprint.post("/sent")
@access.allow(OPERATORS)
@db.connection()
def assume_sent(message_id: uuid.UUID) -> BaseResponse:
    """Resolve an unknown outcome as sent."""
    return _act(message_id, Act.ASSUME_SENT, lambda m, why: _resolve(m, why, was_sent=True))


@blueprint.post("/hold")
@access.allow(OPERATORS)
@db.connection()
def hold(message_id: uuid.UUID) -> BaseResponse:
    """Keep it back until somebody releases it."""
    return _act(
        message_id,
        Act.HOLD,
        lambda m, why: interventions.hold(
            m.workspace_id, [str(m.id)], by=access.actor(), reason=why or ""
        ),
    )


@blueprint.post("/release")
@access.allow(OPERATORS)
@db.connection()
def release(message_id: uuid.UUID) -> BaseResponse:
    """Let a held one go."""
    return _act(
        message_id,
        Act.RELEASE,
        lambda m, why: interventions.release(
            m.workspace_id, [str(m.id)], by=access.actor(), reason=why
        ),
    )


@blueprint.post("/cancel")
@access.allow(OPERATORS)
@db.connection()
def cancel(message_id: uuid.UUID) -> BaseResponse:
    """Withdraw it for good."""
    return _act(
        message_id,
        Act.CANCEL,
        lambda m, why: interventions.cancel(
            m.workspace_id, [str(m.id)], by=access.actor(), reason=why
        ),
    )


@blueprint.post("/resend")
@access.allow(OPERATORS)
@db.connection()
def resend(message_id: uuid.UUID) -> BaseResponse:
    """Accept a copy of it, and go there."""
    message = messages.get(access.current_workspace_id(), message_id)
    if not _is_as_shown(message):
        return _tell_meanwhile(message)
    reason = _reason()
    try:
        [outcome] = resending.resend(
            message.workspace_id, [str(message.id)], by=access.actor(), reason=reason
        )
    except InvalidFields as error:
        return _refuse(message, Act.RESEND, error)
    if outcome.new_message is None:
        return _tell_why_not(message, outcome.error or "it cannot be sent again")
    toasts.show("This is the copy. It goes out like new mail.", kind="ok")
    return redirect(url_for("messages.show", message_id=outcome.new_message.id), 303)


@blueprint.post("/suppress")
@access.allow(ADMINS)
@db.connection()
def suppress(message_id: uuid.UUID) -> BaseResponse:
    """Stop all mail to its recipient."""
    message, reason = messages.get(access.current_workspace_id(), message_id), _reason()
    try:
        added = suppressions.suppress(
            message.workspace_id,
            message.to_email,
            reason=reason or "",
            source=suppressions.CONSOLE,
            message_id=message.id,
            by=access.actor(),
        )
    except InvalidFields as error:
        return _refuse(message, Act.SUPPRESS, error)
    row = added.suppression
    if added.is_new:
        undo: toasts.Undo = (
            url_for("suppressions.remove", suppression_id=row.id),
            {"reason": _TAKEN_BACK},
        )
        toasts.show(f"{row.email} is suppressed from now on.", kind="ok", undo=undo)
    else:
        toasts.show(f"{row.email} was suppressed already. What holds longer counts.")
    return _go_back(message)


def _act(
    message_id: uuid.UUID, act: Act, do: Callable[[Message, str | None], Result]
) -> BaseResponse:
    """Do it, if the message still is as it was shown."""
    message = messages.get(access.current_workspace_id(), message_id)
    if not _is_as_shown(message):
        return _tell_meanwhile(message)
    reason = _reason()
    if reason is None and message_words.find(act, message.status).needs_reason:
        return _ask_for_reason(message, act)
    try:
        [outcome] = do(message, reason).outcomes
    except InvalidFields as error:
        return _refuse(message, act, error)
    now = messages.get(message.workspace_id, message.id)
    if outcome.error is not None:
        if now.status is not message.status:
            return _tell_meanwhile(now)
        return _tell_why_not(now, outcome.error)
    toasts.show(message_words.DONE[act], kind="ok", undo=_undo(act, now))
    return _go_back(now)


def _resolve(message: Message, reason: str | None, *, was_sent: bool) -> Result:
    return interventions.resolve(
        message.workspace_id,
        [str(message.id)],
        was_sent=was_sent,
        by=access.actor(),
        reason=reason or "",
    )


def _undo(act: Act, message: Message) -> toasts.Undo | None:
    """The form that takes it back: of a hold and a release, each is the other's."""
    endpoints = {Act.HOLD: "message_actions.release", Act.RELEASE: "message_actions.hold"}
    if act not in endpoints:
        return None
    fields: dict[str, Any] = {
        "reason": _TAKEN_BACK,
        "seen_status": message.status.value,
        "seen_at": message.updated_at.isoformat(),
        "back": _back_path(message),
    }
    return url_for(endpoints[act], message_id=message.id), fields


def _is_as_shown(message: Message) -> bool:
    """Whether it is in the state in which its form showed it. A message that waits may have been
    tried since; all others are changed by a person or a report only.
    """
    if request.form.get("seen_status") != message.status.value:
        return False
    is_same = request.form.get("seen_at") == message.updated_at.isoformat()
    return is_same or message.status is Status.QUEUED


def _reason() -> str | None:
    return request.form.get("reason", "").strip() or None


def _tell_meanwhile(message: Message) -> BaseResponse:
    events = timeline.list_events(message)
    text = message_words.meanwhile(message, events)
    trouble = Trouble(text, title="It is not as you saw it any more")
    return message_pages.page(message, trouble=trouble, status=409)


def _tell_why_not(message: Message, why: str) -> BaseResponse:
    return message_pages.page(message, trouble=Trouble(f"The message {why}."), status=409)


def _ask_for_reason(message: Message, act: Act) -> BaseResponse:
    return message_pages.page(message, trouble=Trouble("Say why.", act=act), status=422)


def _refuse(message: Message, act: Act, error: InvalidFields) -> BaseResponse:
    """The page again, with what is wrong with the reason, or with something else."""
    of_reason = [one.message for one in error.errors if one.field == "reason"]
    if not of_reason:
        return message_pages.page(message, trouble=Trouble(error.detail), status=422)
    sentence = f"{of_reason[0][:1].upper()}{of_reason[0][1:]}."
    trouble = Trouble(sentence, act=act, reason=request.form.get("reason", ""))
    return message_pages.page(message, trouble=trouble, status=422)


def _back_path(message: Message) -> str:
    here = url_for("messages.show", message_id=message.id)
    return access.safe_path(request.form.get("back")) or here


def _go_back(message: Message) -> BaseResponse:
    return redirect(_back_path(message), 303)
