"""One message: where it stands and why, what happened, and what is in it."""

import uuid
from typing import Any

from flask import Blueprint, Response

from maild import clock, config, db
from maild.errors import NotFound
from maild.services import messages, timeline
from maild.web import access, badges, headers, render, story

SHOWN_CHARS = 65_536
"""A page shows this much of a text; a browser chokes on ten megabytes of it."""

blueprint = Blueprint("messages", __name__, url_prefix="/ui/messages")


@blueprint.get("/<uuid:message_id>")
@db.connection()
def show(message_id: uuid.UUID) -> Response:
    """The page; while the message is unfinished, its story asks for itself again."""
    message = messages.get(access.current_workspace_id(), message_id)
    now = clock.now()
    is_due = message.next_attempt_at is not None and message.next_attempt_at <= now
    mark = render.digest(message.updated_at, is_due)
    if render.has_seen(mark):
        return render.nothing_new()
    attempts = timeline.list_attempts(message)
    content: dict[str, Any] = (
        {}
        if render.wants_partial()
        else {
            "body": messages.get_body(message),
            "attachments": messages.list_attachments(message),
        }
    )
    max_attempts = config.current().max_attempts
    return render.page_or_partial(
        "pages/message.html",
        "partials/story.html",
        message=message,
        shown_chars=SHOWN_CHARS,
        mark=mark,
        max_attempts=max_attempts,
        attempt_badges=badges.ATTEMPT,
        entries=story.tell(attempts, timeline.list_events(message)),
        excuses=story.excuse(message, attempts),
        explanation=story.explain(message, attempts, max_attempts=max_attempts, now=now),
        **content,
    )


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
