"""One message: where it stands and why, what happened, what is in it, and what one can do now. What
is done stands in `message_actions`.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, request, url_for

from maild import clock, db
from maild.domain.states import UNFINISHED, EventType, Status
from maild.errors import NotFound
from maild.models import Freeze, Incident, Message, MessageBody
from maild.services import (
    bundles,
    decisions,
    freezes,
    incidents,
    messages,
    originals,
    policies,
    suppression_lists,
    timeline,
    verbs,
    webhook_endpoints,
)
from maild.services.bundles import Form
from maild.web import access, badges, explanation, headers, message_words, render, story, why
from maild.web.explanation import Case
from maild.web.message_words import Act

SHOWN_CHARS = 65_536
"""A page shows this much of a text; a browser chokes on ten megabytes of it."""
ROLES = ("To", "Cc", "Bcc")
REPORT_WAIT = timedelta(hours=1)
"""For so long the page of a sent message looks whether its report has come."""
REPORT_SOON = timedelta(minutes=1)
"""In this time it looks as often as before: most reports come then, and somebody may be waiting."""
LATE_REPORT_WAIT = timedelta(hours=6)
"""So long it goes on looking now and then, where a provider that reports is behind it."""
_UNFINISHED_POLL, _SENT_POLL, _LATE_POLL = "2s", "10s", "60s"

blueprint = Blueprint("messages", __name__, url_prefix="/ui/messages")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why what somebody wanted to do was not done. With an act, its dialog is open again, with the
    reason that was typed; without one, `text` stands on top.
    """

    text: str
    act: Act | None = None
    reason: str = ""
    title: str = "Nothing was done"


@blueprint.get("/<uuid:message_id>")
@db.connection()
def show(message_id: uuid.UUID) -> Response:
    """The page; for htmx the drawer, or the story alone, which asks for itself again for as long as
    it may change.
    """
    message = messages.get(access.current_workspace_id(), message_id)
    return page(message)


def page(message: Message, *, trouble: Trouble | None = None, status: int = 200) -> Response:
    """All of a message, or what has changed of it."""
    now = clock.now()
    max_attempts = policies.get(message.workspace_id).stream(message.stream).max_attempts
    poll = _poll(message, now)
    incident = incidents.find_of_message(message.workspace_id, message.id)
    mark = _mark(message, max_attempts, now, poll, incident)
    if render.has_seen(mark):
        return render.nothing_new()
    attempts, events = timeline.list_attempts(message), timeline.list_events(message)
    records = decisions.list_records(attempts, events)
    grounds = decisions.find_grounds(message, records)
    is_resent = any(event.type == EventType.RESENT for event in events)
    suppression = suppression_lists.find_in_force(
        message.workspace_id, message.to_email, stream=message.stream
    )
    has_ill_fate = message.status in {Status.BOUNCED, Status.COMPLAINED}
    case = Case(
        max_attempts,
        now,
        attempts=attempts,
        records=records,
        grounds=grounds,
        is_resent=is_resent,
        events=events,
        suppression=suppression if has_ill_fate else None,
    )
    freeze = _in_force(grounds.freeze(message.freeze_id), now)
    is_story = render.wants_partial() and "seen" in request.args
    return render.page_or_partial(
        "pages/message.html",
        "partials/story.html" if is_story else "partials/message_drawer.html",
        status=status,
        message=message,
        shown_chars=SHOWN_CHARS,
        mark=mark,
        poll=poll,
        max_attempts=max_attempts,
        attempt_badges=badges.ATTEMPT,
        entries=story.tell(attempts, events),
        excuses=explanation.excuse(message, attempts),
        explanation=explanation.explain(message, case),
        why=why.tell(message, records, grounds, now=now),
        offers=message_words.offers(
            message,
            freeze=freeze,
            is_resent=is_resent,
            suppression=suppression,
            has_content=messages.find_pruned_at(message) is None,
        ),
        freeze=freeze,
        suppression=suppression,
        incident=incident,
        line_max_chars=incidents.LINE_MAX_CHARS,
        note_max_chars=incidents.NOTE_MAX_CHARS,
        trouble=trouble,
        back=_back(message),
        reason_max_chars=verbs.REASON_MAX_CHARS,
        **({} if is_story else _facts(message)),
    )


def _poll(message: Message, now: datetime) -> str | None:
    """How often the story is asked for again; None where it is over. What was sent may yet be
    reported as delivered, or as come back.
    """
    if message.status in UNFINISHED:
        return _UNFINISHED_POLL
    age = now - message.updated_at
    if message.status is not Status.SENT or age >= LATE_REPORT_WAIT:
        return None
    if age < REPORT_WAIT:
        return _UNFINISHED_POLL if age < REPORT_SOON else _SENT_POLL
    account = message.smtp_account_name or ""
    reports = webhook_endpoints.list_of_account(message.workspace_id, account)
    return _LATE_POLL if reports else None


def _mark(
    message: Message,
    max_attempts: int,
    now: datetime,
    poll: str | None,
    incident: Incident | None,
) -> str:
    """What a story shows that may change: the message, its time, the policy, its freeze, the
    incident that it belongs to, and whether it goes on asking.
    """
    is_due = message.next_attempt_at is not None and message.next_attempt_at <= now
    freeze = None
    if message.freeze_id is not None:
        row = freezes.get(message.workspace_id, message.freeze_id)
        freeze = row.expires_at, row.lifted_at, row.expires_at <= now
    return render.digest(
        message.updated_at, is_due, max_attempts, freeze, poll, incident and incident.id
    )


def _in_force(freeze: Freeze | None, now: datetime) -> Freeze | None:
    is_over = freeze is None or freeze.lifted_at is not None or freeze.expires_at <= now
    return None if is_over else freeze


def _back(message: Message) -> str:
    """Where whoever acts on it goes on: what lies below the drawer, or its own page."""
    if render.wants_partial():
        return render.current_path()
    here = url_for("messages.show", message_id=message.id)
    return access.safe_path(request.form.get("back")) or here


def _facts(message: Message) -> dict[str, Any]:
    """What the page shows beside the story, which does not change."""
    body, attachments = messages.get_body(message), messages.list_attachments(message)
    related = [(_role(other, body), other) for other in messages.list_related(message)]
    return {
        "body": body,
        "attachments": attachments,
        "head": originals.get_head(message, body, attachments),
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


@blueprint.get("/<uuid:message_id>/raw")
@db.connection()
def raw(message_id: uuid.UUID) -> Response:
    """The message as it goes over the wire, as a file for a mail program."""
    message = messages.get(access.current_workspace_id(), message_id)
    return _file(originals.get_raw(message), "message/rfc822", f"message-{message.id}.eml")


@blueprint.get("/<uuid:message_id>/bundle")
@db.connection()
def bundle(message_id: uuid.UUID) -> Response:
    """The evidence of what became of it, as GET /v1/incidents/bundle gives it; with `format=zip`
    for people.
    """
    form = Form.ZIP if request.args.get("format") == Form.ZIP else Form.JSON
    found = bundles.of_message(access.current_workspace_id(), message_id)
    file = bundles.render(found, form)
    return _file(file.content, file.content_type, file.name)


def _file(content: bytes | str, content_type: str, name: str) -> Response:
    response = Response(content, content_type=content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
