"""/v1/messages: submit, read, search, follow. What a person does to them is in `interventions`."""

from typing import Any

from maild.api import schemas
from maild.api.auth import EVERYBODY, SUBMITTERS, Caller
from maild.api.endpoint import endpoint
from maild.api.errors import bad_field, bad_query, from_body
from maild.domain import cursor, ids
from maild.domain.mime import Attachment
from maild.errors import MaildError, NotFound
from maild.models import Attempt, Event, Message
from maild.services import addresses, message_log, messages, timeline
from maild.services.messages import NewMessage

ENTRY_ERRORS_MAX = 10
"""As many complaints are told of one entry of a batch."""


@endpoint(
    "POST",
    "/v1/messages",
    summary="Submit a message; 201 means that it is stored durably",
    allow=SUBMITTERS,
    body=schemas.MessageIn,
    answer=schemas.MessageOut,
    status=201,
    connects=False,  # whoever stores for the others does
)
def submit_message(caller: Caller, body: schemas.MessageIn) -> schemas.MessageOut:
    message = messages.accept(caller.workspace_id(body.workspace_id), _new_message(body))
    # As it was stored a moment ago: nothing to validate.
    return schemas.MessageOut.model_construct(**_fields(message), body_text=body.body_text)


@endpoint(
    "POST",
    "/v1/messages/batch",
    summary="Submit up to 500 messages at once; each is accepted or rejected on its own",
    allow=SUBMITTERS,
    body=schemas.BatchIn,
    answer=schemas.BatchOut,
)
def submit_batch(caller: Caller, body: schemas.BatchIn) -> schemas.BatchOut:
    workspace_id = caller.workspace_id(body.workspace_id)
    problems: dict[int, MaildError] = {}
    news: dict[int, NewMessage] = {}
    for index, entry in enumerate(body.messages):
        if isinstance(entry, schemas.MessageIn):
            if entry.workspace_id in {None, workspace_id}:
                news[index] = _new_message(entry)
            else:
                problems[index] = bad_field("workspace_id", f"must be the batch's, {workspace_id}")
        else:
            problems[index] = from_body(entry, schemas.MessageIn)
    outcomes = messages.accept_many(workspace_id, list(news.values()))
    results = problems | dict(zip(news, outcomes, strict=True))
    rejected = sum(isinstance(result, MaildError) for result in results.values())
    return schemas.BatchOut(
        workspace_id=workspace_id,
        accepted=len(results) - rejected,
        rejected=rejected,
        results=[_batch_result(index, results[index]) for index in range(len(results))],
    )


def _batch_result(
    index: int, result: Message | MaildError
) -> schemas.BatchAccepted | schemas.BatchRejected:
    if isinstance(result, Message):
        return schemas.BatchAccepted(index=index, id=result.id, status=result.status)
    return schemas.BatchRejected(
        index=index,
        error=result.detail,
        code=result.code,
        errors=[
            schemas.FieldProblem(field=e.field, message=e.message)
            for e in result.errors[:ENTRY_ERRORS_MAX]
        ],
    )


@endpoint(
    "GET",
    "/v1/messages/<message_id>",
    summary="One message",
    allow=EVERYBODY,
    query=schemas.WorkspaceQuery,
    answer=schemas.MessageOut,
)
def get_message(
    caller: Caller, message_id: str, query: schemas.WorkspaceQuery
) -> schemas.MessageOut:
    return _with_text(_find(caller, message_id, query.workspace_id))


@endpoint(
    "GET",
    "/v1/messages/logs",
    summary="The log: messages newest first, filtered, in pages",
    allow=EVERYBODY,
    query=schemas.LogQuery,
    answer=schemas.LogPage,
)
def list_log(caller: Caller, query: schemas.LogQuery) -> schemas.LogPage:
    workspace_id = caller.workspace_id(query.workspace_id)
    if query.since and query.until and query.since >= query.until:
        raise bad_query("to", "must be later than from")
    page = message_log.list_page(
        workspace_id,
        filter_=message_log.Filter(
            status=query.status,
            stream=query.stream,
            to_email=_parse_address("to_email", query.to_email),
            from_email=_parse_address("from_email", query.from_email),
            subject=query.subject,
            q=query.q,
            tag=query.tag,
            smtp_account=query.smtp_account,
            error_class=query.error_class,
            since=query.since,
            until=query.until,
        ),
        limit=query.limit,
        older_than=_parse_cursor(query.cursor),
    )
    return schemas.LogPage(
        workspace_id=workspace_id,
        **{"from": query.since, "to": query.until},
        count=len(page.messages),
        messages=[schemas.MessageSummary(**_fields(message)) for message in page.messages],
        next_cursor=str(page.older) if page.older else None,
    )


@endpoint(
    "GET",
    "/v1/messages/timeline",
    summary="Everything that happened to a message: attempts and events, in order",
    allow=EVERYBODY,
    query=schemas.TimelineQuery,
    answer=schemas.TimelineOut,
)
def get_timeline(caller: Caller, query: schemas.TimelineQuery) -> schemas.TimelineOut:
    message = _find(caller, query.message_id, query.workspace_id)
    return schemas.TimelineOut(
        message=_with_text(message),
        attempts=[_attempt(attempt) for attempt in timeline.list_attempts(message)],
        events=[_event(event) for event in timeline.list_events(message)],
    )


def _new_message(body: schemas.MessageIn) -> NewMessage:
    return NewMessage(
        from_email=body.from_email,
        to_email=body.to_email,
        subject=body.subject,
        body_text=body.body_text,
        body_html=body.body_html,
        from_name=body.from_name,
        reply_to=body.reply_to,
        headers=tuple(body.headers.items()),
        attachments=tuple(
            Attachment(a.filename, a.content_type, a.content_base64, a.content_id)
            for a in body.attachments
        ),
        stream=body.stream,
        tags=tuple(body.tags),
        metadata=body.metadata,
        scheduled_at=body.scheduled_at,
        expires_at=body.expires_at,
    )


def _find(caller: Caller, message_id: str, workspace_id: int | None) -> Message:
    parsed = ids.parse_id(message_id)
    if parsed is None:
        raise NotFound("There is no such message.")
    return messages.get(caller.workspace_id(workspace_id), parsed)


def _parse_address(field: str, text: str | None) -> str | None:
    """The address in the normal form in which messages keep theirs."""
    try:
        return addresses.parse(text).text if text else None
    except ValueError as error:
        raise bad_query(field, str(error)) from None


def _parse_cursor(text: str | None) -> cursor.Cursor | None:
    try:
        return cursor.parse(text) if text else None
    except ValueError as error:
        raise bad_query("cursor", str(error)) from None


def _with_text(message: Message) -> schemas.MessageOut:
    return schemas.MessageOut(**_fields(message), body_text=messages.get_body(message).body_text)


def _fields(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "workspace_id": message.workspace_id,
        "from_email": message.from_email,
        "to_email": message.to_email,
        "subject": message.subject,
        "status": message.status,
        "stream": message.stream,
        "tags": message.tags,
        "metadata": message.metadata,
        "attempt_count": message.attempt_count,
        "excused_count": message.excused_count,
        "next_attempt_at": message.next_attempt_at,
        "scheduled_at": message.scheduled_at,
        "expires_at": message.expires_at,
        "hold_reason": message.hold_reason,
        "last_error": message.last_error,
        "error_class": message.error_class,
        "smtp_account": message.smtp_account_name,
        "message_id_header": message.message_id_header,
        "created_at": message.created_at,
        "updated_at": message.updated_at,
    }


def _attempt(attempt: Attempt) -> schemas.AttemptOut:
    return schemas.AttemptOut(
        attempt_no=attempt.attempt_no,
        status=attempt.status,
        smtp_account=attempt.smtp_account_name,
        remote=attempt.remote,
        started_at=attempt.started_at,
        finished_at=attempt.finished_at,
        duration_ms=attempt.duration_ms,
        success=attempt.is_success,
        excused=attempt.is_excused,
        stage=attempt.stage,
        smtp_code=attempt.smtp_code,
        enhanced_code=attempt.enhanced_code,
        response=attempt.response,
        error_class=attempt.error_class,
        timings=attempt.timings,
    )


def _event(event: Event) -> schemas.EventOut:
    return schemas.EventOut(
        id=event.id, type=event.type, data=event.data, created_at=event.created_at
    )
