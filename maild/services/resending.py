"""Sending again what has ended: a new message, copied from an old one, and accepted like any other.

All checks are made anew, so that a recipient who is still suppressed stays unmailed. The old
message keeps its state and tells of the copy; the copy tells of the old one. Queueing the same
message again is `interventions.retry`.
"""

import dataclasses
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import peewee

from maild.db import database
from maild.domain import ids, submission
from maild.domain.actor import Actor
from maild.domain.mime import Attachment
from maild.domain.states import EventType, Status
from maild.errors import FieldError, InvalidFields, MaildError
from maild.models import Event, Message, MessageAttachment, MessageBody, SmtpAccount
from maild.models.smtp_account import DEFAULT_ACCOUNT
from maild.services import audit, messages, workspaces
from maild.services.submissions import NewMessage, Submitter

IDS_MAX = 100
TOTAL_MAX_BYTES = 50 * 1024 * 1024
"""Of all the messages of one call together: their contents are in memory at once."""
REASON_MAX_CHARS = 500

NOT_FOUND = "not found"

_NOT_ENDED = {
    Status.QUEUED: "is still queued",
    Status.SENDING: "is being sent right now",
    Status.HELD: "is held: release it instead",
    Status.UNKNOWN: "may have been sent: resolve it first",
}
_FIELDS = frozenset(field.name for field in dataclasses.fields(NewMessage))


class OutcomeStatus(StrEnum):
    """What became of one message of the request."""

    RESENT = "resent"
    SKIPPED = "skipped"
    """It is there, and no copy was made; `error` says why."""
    FAILED = "failed"
    """There is no such message in this workspace."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`message_id` is as it was given, which need not be an id at all."""

    message_id: str
    status: OutcomeStatus
    new_message: Message | None = None
    error: str | None = None


def resend(
    workspace_id: int, message_ids: Sequence[str], *, by: Actor, reason: str | None = None
) -> list[Outcome]:
    """Accept a copy of each of these messages, if it has ended and was not resent before.

    Tells of each message once, in the order of the request. Raises InvalidFields, NotFound (the
    workspace); nothing is sent again then.
    """
    _check(message_ids, reason)
    wanted = list(dict.fromkeys(message_ids))
    parsed = {text: ids.parse_id(text) for text in wanted}
    with database.atomic():
        workspaces.require(workspace_id)
        found = _find(workspace_id, [i for i in parsed.values() if i])
        outcomes = _copy_all(workspace_id, found, by=by, reason=reason)
    return [
        dataclasses.replace(outcomes[message_id], message_id=text)
        if message_id in outcomes
        else Outcome(text, OutcomeStatus.FAILED, error=NOT_FOUND)
        for text, message_id in parsed.items()
    ]


def _copy_all(
    workspace_id: int, found: list[Message], *, by: Actor, reason: str | None
) -> dict[uuid.UUID | None, Outcome]:
    copies = find_copies(found)
    contents = _contents(
        [m for m in found if m.status not in _NOT_ENDED and m.id not in copies],
    )
    outcomes: dict[uuid.UUID | None, Outcome] = {}
    for message in found:
        if message.status in _NOT_ENDED:
            why = _NOT_ENDED[message.status]
        elif message.id in copies:  # whoever presses twice sends once
            why = f"was resent already, as {copies[message.id]}"
        elif message.id not in contents:
            why = messages.why_no_content(message)
        else:
            continue
        outcomes[message.id] = Outcome(str(message.id), OutcomeStatus.SKIPPED, error=why)
    going = [message for message in found if message.id not in outcomes]
    if not going:
        return outcomes
    made: list[tuple[Message, Message]] = []
    # Of the same key: its freezes hold the copies too, and its holder may look at them.
    settled = messages.submit_many(
        workspace_id,
        [(contents[old.id], Submitter(api_key_id=old.api_key_id)) for old in going],
    )
    for old, one in zip(going, settled, strict=True):
        if isinstance(one, MaildError):
            outcomes[old.id] = Outcome(str(old.id), OutcomeStatus.SKIPPED, error=one.detail)
        else:
            [new] = one.messages
            outcomes[old.id] = Outcome(str(old.id), OutcomeStatus.RESENT, new_message=new)
            made.append((old, new))
    if made:
        _tell(workspace_id, made, by=by, reason=reason)
    return outcomes


def _tell(
    workspace_id: int, made: list[tuple[Message, Message]], *, by: Actor, reason: str | None
) -> None:
    why = {"by": by.name} if reason is None else {"by": by.name, "reason": reason}
    rows: list[dict[str, Any]] = []
    for old, new in made:
        for message, type_, data in (
            (old, EventType.RESENT, {"new_message_id": str(new.id)}),
            (new, EventType.COPIED, {"old_message_id": str(old.id)}),
        ):
            row = {"workspace": workspace_id, "message": message.id, "type": type_.value}
            # The copy was accepted within this transaction, later than its now().
            at = peewee.fn.clock_timestamp()
            rows.append({**row, "data": {**data, **why}, "created_at": at})
    Event.insert_many(rows).execute()
    audit.record(
        workspace_id,
        by,
        action="messages.resent",
        target="messages",
        after={"messages": {str(old.id): str(new.id) for old, new in made}},
        reason=reason,
    )


def _find(workspace_id: int, message_ids: list[uuid.UUID]) -> list[Message]:
    """What is there of these, kept from others who resend it just now. Raises InvalidFields."""
    if not message_ids:
        return []
    found = list(
        Message.select()
        .where(Message.workspace == workspace_id, Message.id << message_ids)
        .order_by(Message.id)
        .for_update("FOR NO KEY UPDATE")  # type: ignore[arg-type]
    )
    if sum(message.size_bytes for message in found) > TOTAL_MAX_BYTES:
        megabytes = TOTAL_MAX_BYTES // (1024 * 1024)
        raise _invalid("message_ids", f"are together larger than {megabytes} MB; resend fewer")
    return found


def find_copies(found: Sequence[Message]) -> dict[uuid.UUID, str]:
    """The ids of the copies that were made of these before."""
    if not found:
        return {}
    events = Event.select(Event.message, Event.data).where(
        Event.message << [message.id for message in found], Event.type == EventType.RESENT
    )
    return {
        event.message_id: event.data["new_message_id"]
        for event in events
        if event.message_id is not None
    }


def _contents(olds: list[Message]) -> dict[uuid.UUID, NewMessage]:
    """Each old message as a new one, by its id; those without content are not among them."""
    # The recipients of one submission share the content of its first message.
    places = {message.id: message.submission_id or message.id for message in olds}
    if not places:
        return {}
    wanted = list(set(places.values()))
    files: dict[uuid.UUID, list[Attachment]] = {}
    for file in (
        MessageAttachment.select()
        .where(MessageAttachment.message << wanted)
        .order_by(MessageAttachment.message, MessageAttachment.position)
    ):
        attachment = Attachment(
            file.filename, file.content_type, bytes(file.content), file.content_id
        )
        files.setdefault(file.message_id, []).append(attachment)
    # After the files: where the content is still there then, all of them were.
    bodies = {
        body.message_id: body
        for body in MessageBody.select().where(
            MessageBody.message << wanted, MessageBody.pruned_at.is_null()
        )
    }
    accounts = _find_accounts(olds)
    return {
        message.id: _copy(message, bodies[place], files.get(place, []), accounts)
        for message in olds
        if (place := places[message.id]) in bodies
    }


def _find_accounts(olds: list[Message]) -> set[str]:
    """Of the SMTP accounts that these were pinned to, the names of those that are still there."""
    names = {message.pinned_account for message in olds} - {""}
    if not names - {DEFAULT_ACCOUNT}:
        return names
    query = SmtpAccount.select(SmtpAccount.name).where(
        SmtpAccount.workspace == olds[0].workspace_id, SmtpAccount.name << list(names)
    )
    return {DEFAULT_ACCOUNT, *(row.name for row in query)}


def _copy(
    message: Message, body: MessageBody, files: list[Attachment], accounts: Collection[str]
) -> NewMessage:
    """The one place where a message becomes a new one.

    It goes to its one recipient, at once, and has a whole lifetime: no schedule, no end, and no
    other recipients in its header lines. It goes through the same account alone, if that is one of
    `accounts`.
    """
    values = {
        "from_email": message.from_email,
        "to_email": message.to_email,
        "subject": message.subject,
        "body_text": body.body_text,
        "body_html": body.body_html,
        "from_name": body.from_name,
        "reply_to": body.reply_to,
        "headers": tuple((name, value) for name, value in body.headers),
        "attachments": tuple(files),
        "stream": message.stream,
        "topic": message.topic,
        "tags": tuple(message.tags),
        "metadata": message.metadata,
        "smtp_account": message.pinned_account if message.pinned_account in accounts else None,
    }
    return NewMessage(**{name: value for name, value in values.items() if name in _FIELDS})


def _check(message_ids: Sequence[str], reason: str | None) -> None:
    if not 1 <= len(message_ids) <= IDS_MAX:
        raise _invalid("message_ids", f"must have 1 to {IDS_MAX} entries")
    if reason is None:
        return
    if not reason.strip():
        raise _invalid("reason", "must not be empty")
    for name, message in submission.check_line("reason", reason, max_chars=REASON_MAX_CHARS):
        raise _invalid(name, message)


def _invalid(field: str, message: str) -> InvalidFields:
    return InvalidFields(f"{field}: {message}", errors=[FieldError(field, message)])
