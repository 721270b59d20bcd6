"""One message: where it stands and why, what happened, and what is in it."""

import uuid
from datetime import datetime
from typing import Any

from flask import Blueprint, Response

from maild import clock, db
from maild.domain.states import EventType, Status
from maild.errors import NotFound
from maild.models import Message, MessageBody, Suppression
from maild.services import (
    decisions,
    freezes,
    messages,
    policies,
    suppression_lists,
    timeline,
)
from maild.web import access, badges, explanation, headers, render, story, why
from maild.web.explanation import Case

SHOWN_CHARS = 65_536
"""A page shows this much of a text; a browser chokes on ten megabytes of it."""
ROLES = ("To", "Cc", "Bcc")

blueprint = Blueprint("messages", __name__, url_prefix="/ui/messages")


@blueprint.get("/<uuid:message_id>")
@db.connection()
def show(message_id: uuid.UUID) -> Response:
    """The page; while the message is unfinished, its story asks for itself again."""
    message = messages.get(access.current_workspace_id(), message_id)
    now = clock.now()
    max_attempts = policies.get(message.workspace_id).stream(message.stream).max_attempts
    mark = _mark(message, max_attempts, now)
    if render.has_seen(mark):
        return render.nothing_new()
    attempts, events = timeline.list_attempts(message), timeline.list_events(message)
    records = decisions.list_records(attempts, events)
    grounds = decisions.find_grounds(message, records)
    case = Case(
        max_attempts,
        now,
        attempts=attempts,
        records=records,
        grounds=grounds,
        is_resent=any(event.type == EventType.RESENT for event in events),
        events=events,
        suppression=_find_suppression(message),
    )
    return render.page_or_partial(
        "pages/message.html",
        "partials/story.html",
        message=message,
        shown_chars=SHOWN_CHARS,
        mark=mark,
        max_attempts=max_attempts,
        attempt_badges=badges.ATTEMPT,
        entries=story.tell(attempts, events),
        excuses=explanation.excuse(message, attempts),
        explanation=explanation.explain(message, case),
        why=why.tell(message, records, grounds, now=now),
        **({} if render.wants_partial() else _facts(message)),
    )


def _mark(message: Message, max_attempts: int, now: datetime) -> str:
    """What a story shows that may change: the message, its time, the policy, and its freeze."""
    is_due = message.next_attempt_at is not None and message.next_attempt_at <= now
    freeze = None
    if message.freeze_id is not None:
        row = freezes.get(message.workspace_id, message.freeze_id)
        freeze = row.expires_at, row.lifted_at, row.expires_at <= now
    return render.digest(message.updated_at, is_due, max_attempts, freeze)


def _find_suppression(message: Message) -> Suppression | None:
    """What keeps more mail from the recipient, where the message's own fate asks for it."""
    if message.status not in {Status.BOUNCED, Status.COMPLAINED}:
        return None
    return suppression_lists.find_in_force(
        message.workspace_id, message.to_email, stream=message.stream
    )


def _facts(message: Message) -> dict[str, Any]:
    """What the page shows beside the story, which does not change."""
    body = messages.get_body(message)
    related = [(_role(other, body), other) for other in messages.list_related(message)]
    return {
        "body": body,
        "attachments": messages.list_attachments(message),
        "api_key": messages.find_api_key(message),
        "role": _role(message, body) if related else None,
        "related": sorted(related, key=lambda one: (ROLES.index(one[0]), one[1].to_email)),
    }


def _role(message: Message, body: MessageBody) -> str:
    """In which line of its submission the recipient stands: one of ROLES."""
    if message.id == message.submission_id:
        return "To"
    copies = {address.lower() for address in body.visible_cc or ()}
    return "Cc" if message.to_email.lower() in copies else "Bcc"


@blueprint.get("/<uuid:message_id>/preview")
@db.connection()
def preview(message_id: uuid.UUID) -> Response:
    """The HTML as its sender wrote it, under a policy that lets it only look like itself."""
    message = messages.get(access.current_workspace_id(), message_id)
    html = messages.get_body(message).body_html
    if not html:
        raise NotFound("This message has no HTML part.")
    response = Response(html, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = headers.PREVIEW_CSP
    return response


@blueprint.get("/<uuid:message_id>/text")
@db.connection()
def text(message_id: uuid.UUID) -> Response:
    """The whole text, as plain text."""
    message = messages.get(access.current_workspace_id(), message_id)
    body = messages.get_body(message).body_text
    if not body:
        raise NotFound("This message has no text part.")
    return Response(body, content_type="text/plain; charset=utf-8")
