"""Accepting messages, one or many at once, and reading one back with its content.

Accepting is one transaction (`acceptance`), then a ring at the doorbell. What is accepted is
durable; a Redis that is away changes nothing but how soon a worker looks. What a person does to a
message later is in `interventions`, and the log in `message_log`.
"""

import json
import time
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

import peewee

from maild import clock, log, queue, tracing
from maild.domain.policy import Decision
from maild.domain.submission import RECIPIENTS_MAX
from maild.errors import FieldError, InvalidFields, InvalidRequest, MaildError, NotFound
from maild.models import ApiKey, Message, MessageAttachment, MessageBody
from maild.services import accept_groups, acceptance, metric_counts, submissions, workspaces
from maild.services.acceptance import Accepted, Settled
from maild.services.submissions import NOBODY, NewMessage, Submission, Submitter

RECIPIENTS_AT_ONCE_MAX = 5_000
"""Of all submissions of one call, where they have copies."""
ROWS_BYTES_MAX = 20 * 1024 * 1024
CONTENT_KEPT_AT_LEAST = timedelta(days=1)
DELIVER = "deliver"
"""The hint that wakes delivery."""


def accept(workspace_id: int, new: NewMessage) -> Message:
    """Check a message and store it durably; returns the first recipient's, as it was stored.

    Raises as `submit`.
    """
    return submit(workspace_id, new).messages[0]


def submit(workspace_id: int, new: NewMessage, *, by: Submitter = NOBODY) -> Accepted:
    """Check a submission and store its messages durably, all of them or none.

    Raises InvalidRequest (a required field is missing), InvalidFields, BlockedRecipientDomain,
    ForbiddenFromDomain, RateLimited, IdempotencyConflict, NotFound (the workspace). Nothing is
    stored then.
    """
    began = time.perf_counter()
    try:
        accepted = accept_groups.settle_one(workspace_id, submissions.check(new, by))
    except MaildError as error:
        _count([error], "single", began)
        raise
    _count([accepted], "single", began)
    log.bind(workspace_id=workspace_id, message_id=str(accepted.messages[0].id))
    queue.enqueue(DELIVER)
    return accepted


def _count(settled: Sequence[Settled], kind: str, began: float) -> None:
    metric_counts.count_settled(settled, kind=kind, seconds=time.perf_counter() - began)
    if tracing.is_on():
        done = [one for one in settled if not isinstance(one, MaildError) and not one.is_replayed]
        tracing.note_accepted(message.id for one in done for message in one.messages)


def accept_many(workspace_id: int, news: Sequence[NewMessage]) -> list[Message | MaildError]:
    """As `submit_many`, without keys; for each the first recipient's message, or the error."""
    settled = submit_many(workspace_id, [(new, NOBODY) for new in news])
    return [one if isinstance(one, MaildError) else one.messages[0] for one in settled]


def submit_many(workspace_id: int, news: Sequence[tuple[NewMessage, Submitter]]) -> list[Settled]:
    """Check each submission on its own, and store the good ones durably, all at once.

    Returns for each, in their order, what it came to, or what `submit` would have raised. Raises
    NotFound (the workspace), and InvalidFields where they are too much together; nothing is stored
    then.
    """
    began = time.perf_counter()
    outcomes: list[Settled] = []
    good: list[Submission] = []
    places: list[int] = []
    for place, (new, by) in enumerate(news):
        try:
            good.append(submissions.check(new, by))
            places.append(place)
        except InvalidRequest as error:
            outcomes.append(error)
    if not good:
        workspaces.require(workspace_id)
        return outcomes
    _check_size(good)
    # The bad ones stand in order already; each good one goes between them, to its own place.
    for place, settled in zip(places, acceptance.settle(workspace_id, good), strict=True):
        outcomes.insert(place, settled)
    _count(outcomes, "batch", began)
    queue.enqueue(DELIVER)
    return outcomes


def _check_size(good: Sequence[Submission]) -> None:
    """Each recipient has a row of their own, with the metadata in it: copies can make much of
    little. Raises InvalidFields.
    """
    recipients = sum(len(submission.recipients) for submission in good)
    if recipients == len(good):
        return
    if recipients > RECIPIENTS_AT_ONCE_MAX:
        problem = f"name {recipients} recipients together: {RECIPIENTS_AT_ONCE_MAX} at most"
    elif sum(_row_bytes(one) * len(one.recipients) for one in good) > ROWS_BYTES_MAX:
        problem = "are too much together: each recipient is stored with subject, tags and metadata"
    else:
        return
    raise InvalidFields(f"messages: {problem}", errors=[FieldError("messages", problem)])


def _row_bytes(submission: Submission) -> int:
    new = submission.new
    return len(json.dumps(new.metadata)) + len(new.subject) + sum(map(len, new.tags))


def ask(
    workspace_id: int, new: NewMessage, *, by: Submitter = NOBODY
) -> list[tuple[str, Decision]]:
    """What would become of a submission, for each of its recipients; changes nothing.

    Raises InvalidRequest, InvalidFields, NotFound (the workspace).
    """
    return acceptance.ask(workspace_id, submissions.check(new, by))


def get(workspace_id: int, message_id: uuid.UUID, *, api_key_id: int | None = None) -> Message:
    """One message; with `api_key_id`, one that this key has submitted.

    Raises NotFound, also for another workspace's.
    """
    message: Message | None = Message.get_or_none(
        Message.id == message_id, Message.workspace == workspace_id
    )
    if message is None or api_key_id not in (None, message.api_key_id):
        raise NotFound("There is no such message.")
    return message


def list_related_ids(message: Message) -> list[uuid.UUID]:
    """The ids of the other messages of its submission, the To's first."""
    if message.submission_id is None:
        return []
    query = (
        Message.select(Message.id)
        .where(Message.submission_id == message.submission_id, Message.id != message.id)
        .order_by(Message.id != message.submission_id, Message.id)
    )
    return [row.id for row in query]


def list_related(message: Message) -> list[Message]:
    """The other messages of its submission, the To's first: RECIPIENTS_MAX at most."""
    if message.submission_id is None:
        return []
    query = (
        Message.select()
        .where(
            Message.workspace == message.workspace_id,
            Message.submission_id == message.submission_id,
            Message.id != message.id,
        )
        .order_by(Message.id != message.submission_id, Message.id)
        .limit(RECIPIENTS_MAX)
    )
    return list(query)


def find_api_key(message: Message) -> ApiKey | None:
    """The workspace's key that submitted it; None where it came with none, or the instance's."""
    if message.api_key_id is None:
        return None
    found: ApiKey | None = ApiKey.get_or_none(
        ApiKey.id == message.api_key_id, ApiKey.workspace == message.workspace_id
    )
    return found


def get_body(message: Message) -> MessageBody:
    """The content of a message."""
    body: MessageBody = MessageBody.get_by_id(message.submission_id or message.id)
    return body


def find_pruned_at(message: Message) -> datetime | None:
    """When its content was removed, for it was old; None where it is there."""
    if clock.now() - message.created_at < CONTENT_KEPT_AT_LEAST:
        return None
    found: datetime | None = (
        MessageBody.select(MessageBody.pruned_at)
        .where(MessageBody.message == (message.submission_id or message.id))
        .scalar()
    )
    return found


def why_no_content(message: Message) -> str:
    """Why a message whose content is gone cannot be sent once more."""
    at = find_pruned_at(message)
    if at is None:
        return "its content is no longer kept"
    return f"its content was removed on {at:%Y-%m-%d}, for it was too old to be kept"


def list_attachments(message: Message) -> list[MessageAttachment]:
    """The attachments of a message without their bytes, each with `size_bytes`."""
    query = (
        MessageAttachment.select(
            MessageAttachment.position,
            MessageAttachment.filename,
            MessageAttachment.content_type,
            MessageAttachment.content_id,
            peewee.fn.octet_length(MessageAttachment.content).alias("size_bytes"),
        )
        .where(MessageAttachment.message == (message.submission_id or message.id))
        .order_by(MessageAttachment.position)
    )
    return list(query)
