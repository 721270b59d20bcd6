"""/v1/messages: submit, read, search, follow. What a person does to them is in `interventions`."""

from datetime import UTC, datetime
from typing import Any

from flask import Response, after_this_request, request

from maild.api import message_requests, schemas
from maild.api.auth import EVERYBODY, SUBMITTERS, Caller, Role
from maild.api.endpoint import endpoint
from maild.api.errors import bad_field, bad_query, from_body
from maild.api.query import check_period, parse_address, parse_cursor
from maild.domain import ids
from maild.domain.limits import Usage
from maild.domain.policy import Check, Decision, Verdict
from maild.errors import (
    BlockedRecipientDomain,
    ForbiddenFromDomain,
    IdempotencyConflict,
    InvalidRequest,
    MaildError,
    MissingMergeFields,
    NotFound,
    RateLimited,
)
from maild.models import Attempt, Event, Message, MessageBody
from maild.services import decisions, message_log, messages, templated_messages, timeline
from maild.services.acceptance import Accepted
from maild.services.decisions import Record
from maild.services.rejections import rate_headers
from maild.services.submissions import NewMessage, Submitter
from maild.services.templated_messages import Order

IDEMPOTENCY_KEY = "Idempotency-Key"
IDEMPOTENCY_KEY_MAX_CHARS = 256
INCLUDABLE = frozenset({"body", "decision", "events"})
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
    raises=(
        BlockedRecipientDomain,
        ForbiddenFromDomain,
        IdempotencyConflict,
        MissingMergeFields,
        RateLimited,
    ),
    takes_idempotency_key=True,
)
def submit_message(caller: Caller, body: schemas.MessageIn) -> schemas.MessageOut:
    """201 means that the message is stored durably, not that it has been sent. Each address of `cc`
    and `bcc` becomes a message of its own; the answer is that of the To, and `related_ids` are the
    others. A recipient who is suppressed is no error: the status is `suppressed` then. With an
    `Idempotency-Key` the same request may be made again without a second message.
    """
    workspace_id, by = caller.workspace_id(body.workspace_id), _submitter(caller, body)
    body_text = body.body_text
    if (order := message_requests.find_order(body)) is not None:
        accepted, sent = templated_messages.submit(workspace_id, order, by=by)
        body_text = sent.body_text
    else:
        accepted = messages.submit(workspace_id, message_requests.new_message(body), by=by)
    _add_headers(accepted.usage, is_replayed=accepted.is_replayed)
    message, *related = accepted.messages
    # As it was stored a moment ago: nothing to validate.
    return schemas.MessageOut.model_construct(
        **_fields(message), body_text=body_text, related_ids=[other.id for other in related]
    )


@endpoint(
    "POST",
    "/v1/messages/validate",
    summary="What would become of a message, and why; nothing is stored or counted",
    allow=SUBMITTERS,
    body=schemas.MessageIn,
    answer=schemas.ValidateOut,
    raises=(MissingMergeFields,),
)
def validate_message(caller: Caller, body: schemas.MessageIn) -> schemas.ValidateOut:
    """Makes every check of a submission for each recipient and tells the decision. Nothing is
    stored, counted or sent.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    by = Submitter(api_key_id=caller.key_id)
    if (order := message_requests.find_order(body)) is not None:
        asked = templated_messages.ask(workspace_id, order, by=by)
    else:
        asked = messages.ask(workspace_id, message_requests.new_message(body), by=by)
    _, worst = max(asked, key=lambda one: _BADNESS.index(one[1].verdict))
    is_rejected = worst.verdict is Verdict.REJECT
    return schemas.ValidateOut(
        workspace_id=workspace_id,
        verdict=worst.verdict,
        code=_CODES[worst.last.check] if is_rejected else None,
        recipients=[
            schemas.RecipientDecision(
                to_email=recipient,
                decision=_decision(decisions.of_asking(decision)),
                send_at=_send_at(decision),
            )
            for recipient, decision in asked
        ],
    )


_BADNESS = (Verdict.PASS, Verdict.WAIT, Verdict.STOP, Verdict.REJECT)
_CODES = {
    Check.FROM_DOMAIN: ForbiddenFromDomain.code,
    Check.RECIPIENT_DOMAIN: BlockedRecipientDomain.code,
    Check.WORKSPACE_LIMIT: RateLimited.code,
    Check.DOMAIN_LIMIT: RateLimited.code,
}


def _send_at(decision: Decision) -> datetime | None:
    if decision.verdict not in (Verdict.PASS, Verdict.WAIT):
        return None
    at = datetime.fromtimestamp(decision.due_at, UTC)
    untils = (check.evidence.get("until") for check in decision.checks)
    return max([at, *(datetime.fromisoformat(until) for until in untils if until)])


@endpoint(
    "POST",
    "/v1/messages/batch",
    summary="Submit up to 500 messages at once; each is accepted or rejected on its own",
    allow=SUBMITTERS,
    body=schemas.BatchIn,
    answer=schemas.BatchOut,
    takes_idempotency_key=True,
)
def submit_batch(caller: Caller, body: schemas.BatchIn) -> schemas.BatchOut:
    """Each entry is accepted or rejected on its own, in the order of the request: see `results`.
    With an `Idempotency-Key` each entry is remembered by its place, so that the same batch may be
    sent again and only what is missing is accepted.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    by = _submitter(caller)
    problems: dict[int, MaildError] = {}
    news: dict[int, tuple[NewMessage, Submitter]] = {}
    orders: dict[int, tuple[Order, Submitter]] = {}
    for index, entry in enumerate(body.messages):
        if isinstance(entry, schemas.MessageIn):
            if entry.workspace_id not in {None, workspace_id}:
                problems[index] = bad_field("workspace_id", f"must be the batch's, {workspace_id}")
                continue
            try:
                order = message_requests.find_order(entry)
            except InvalidRequest as error:
                problems[index] = error
                continue
            if order is not None:
                orders[index] = order, _of_entry(by, index, entry)
            else:
                news[index] = message_requests.new_message(entry), _of_entry(by, index, entry)
        else:
            problems[index] = from_body(entry, schemas.MessageIn)
    prepared = templated_messages.prepare_many(workspace_id, list(orders.values()))
    for index, one in zip(orders, prepared, strict=True):
        if isinstance(one, MaildError):
            problems[index] = one
        else:
            news[index] = one, orders[index][1]
    if orders:  # in the order of the request again
        news = dict(sorted(news.items()))
    outcomes = messages.submit_many(workspace_id, list(news.values()))
    results = problems | dict(zip(news, outcomes, strict=True))
    accepted = [one for one in results.values() if isinstance(one, Accepted)]
    usages = [one.usage for one in accepted if one.usage is not None]
    _add_headers(
        min(usages, key=lambda usage: usage.remaining, default=None),
        is_replayed=bool(accepted) and all(one.is_replayed for one in accepted),
    )
    return schemas.BatchOut(
        workspace_id=workspace_id,
        accepted=len(accepted),
        rejected=len(results) - len(accepted),
        results=[_batch_result(index, results[index]) for index in range(len(results))],
    )


def _batch_result(
    index: int, result: Accepted | MaildError
) -> schemas.BatchAccepted | schemas.BatchRejected:
    if isinstance(result, Accepted):
        message, *related = result.messages
        return schemas.BatchAccepted(
            index=index,
            id=message.id,
            status=message.status,
            related_ids=[other.id for other in related],
        )
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
    query=schemas.MessageQuery,
    answer=schemas.MessageDetail,
)
def get_message(
    caller: Caller, message_id: str, query: schemas.MessageQuery
) -> schemas.MessageDetail:
    """The message as it stands. `include` adds its content, the decisions about it and its events.
    A key of the role sender sees its own messages only.
    """
    parts = _parse_include(query.include)
    message = _find(caller, message_id, query.workspace_id)
    body = messages.get_body(message)
    more: dict[str, Any] = {}
    if "body" in parts:
        more["body"] = _body(body, messages.list_attachments(message))
    if parts & {"decision", "events"}:
        events = timeline.list_events(message)
        if "events" in parts:
            more["events"] = [_event(event) for event in events]
        if "decision" in parts:
            records = decisions.list_records(timeline.list_attempts(message), events)
            more["decision"] = [_decision(record) for record in records]
    return schemas.MessageDetail(**_fields(message), **_text(message, body), **more)


@endpoint(
    "GET",
    "/v1/messages/logs",
    summary="The log: messages newest first, filtered, in pages",
    allow=EVERYBODY,
    query=schemas.LogQuery,
    answer=schemas.LogPage,
)
def list_messages(caller: Caller, query: schemas.LogQuery) -> schemas.LogPage:
    """All filters must hold. Go on with `next_cursor` until it is null. A key of the role sender
    sees its own messages only.
    """
    workspace_id = caller.workspace_id(query.workspace_id)
    check_period(query.since, query.until)
    page = message_log.list_page(
        workspace_id,
        filter_=message_log.Filter(
            status=query.status,
            stream=query.stream,
            to_email=parse_address("to_email", query.to_email),
            from_email=parse_address("from_email", query.from_email),
            subject=query.subject,
            q=query.q,
            tag=query.tag,
            smtp_account=query.smtp_account,
            error_class=query.error_class,
            since=query.since,
            until=query.until,
            api_key_id=_own_only(caller),
        ),
        limit=query.limit,
        older_than=parse_cursor(query.cursor),
    )
    return schemas.LogPage(
        workspace_id=workspace_id,
        **{"from": query.since, "to": query.until},
        count=len(page.messages),
        messages=[summarise(message) for message in page.messages],
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
def get_message_timeline(caller: Caller, query: schemas.TimelineQuery) -> schemas.TimelineOut:
    """Each attempt with the server's reply and the milliseconds of every step, each event, and why
    it was accepted, sent or stopped.
    """
    message = _find(caller, query.message_id, query.workspace_id)
    attempts, events = timeline.list_attempts(message), timeline.list_events(message)
    return schemas.TimelineOut(
        message=schemas.MessageOut(
            **_fields(message), **_text(message, messages.get_body(message))
        ),
        attempts=[_attempt(attempt) for attempt in attempts],
        events=[_event(event) for event in events],
        decision=[_decision(record) for record in decisions.list_records(attempts, events)],
    )


def _submitter(caller: Caller, body: schemas.MessageIn | None = None) -> Submitter:
    """With what a request submits. Raises InvalidRequest for an Idempotency-Key that is none."""
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is None:
        return Submitter(api_key_id=caller.key_id)
    is_plain = key.isascii() and key.isprintable()  # RFC 9110 5.5: the others mean nothing certain
    if not is_plain or not 1 <= len(key) <= IDEMPOTENCY_KEY_MAX_CHARS:
        raise bad_query(
            IDEMPOTENCY_KEY,
            f"must be 1 to {IDEMPOTENCY_KEY_MAX_CHARS} printable ASCII characters",
        )
    return Submitter(
        caller.key_id, key, message_requests.hash_of(body) if body is not None else b""
    )


def _of_entry(by: Submitter, index: int, entry: schemas.MessageIn) -> Submitter:
    if by.idempotency_key is None:
        return by
    return by.of_entry(index, message_requests.hash_of(entry))


def _add_headers(usage: Usage | None, *, is_replayed: bool) -> None:
    """How the tightest limit stands, and whether this is the answer of an earlier request."""
    headers = rate_headers(usage) if usage is not None else {}
    if is_replayed:
        headers["Idempotent-Replayed"] = "true"

    @after_this_request
    def add(response: Response) -> Response:
        response.headers.update(headers)
        return response


def _own_only(caller: Caller) -> int | None:
    """The key whose messages the caller may read; None: all of the workspace's."""
    return caller.key_id if caller.role is Role.SENDER else None


def _find(caller: Caller, message_id: str, workspace_id: int | None) -> Message:
    parsed = ids.parse_id(message_id)
    if parsed is None:
        raise NotFound("There is no such message.")
    return messages.get(caller.workspace_id(workspace_id), parsed, api_key_id=_own_only(caller))


def _parse_include(text: str | None) -> set[str]:
    parts = {part.strip() for part in text.split(",")} if text else set()
    if unknown := parts - INCLUDABLE:
        raise bad_query("include", f"does not know {', '.join(sorted(unknown))!r}")
    return parts


def _text(message: Message, body: MessageBody) -> dict[str, Any]:
    return {
        "body_text": body.body_text,
        "body_pruned_at": body.pruned_at,
        "related_ids": messages.list_related_ids(message),
    }


def _body(body: MessageBody, attachments: list[Any]) -> schemas.BodyOut:
    return schemas.BodyOut(
        from_name=body.from_name,
        reply_to=body.reply_to,
        cc=body.visible_cc or [],
        headers=body.headers,
        body_text=body.body_text,
        body_html=body.body_html,
        attachments=[
            schemas.AttachmentOut(
                filename=a.filename, content_type=a.content_type, size_bytes=a.size_bytes
            )
            for a in attachments
        ],
    )


def _decision(record: Record) -> schemas.DecisionOut:
    return schemas.DecisionOut(
        at=record.at,
        stage=record.stage,
        attempt_no=record.attempt_no,
        policy_version=record.policy_version,
        verdict=record.verdict,
        checks=[
            schemas.CheckOut(check=c.check, verdict=c.verdict, **c.evidence) for c in record.checks
        ],
    )


def summarise(message: Message) -> schemas.MessageSummary:
    """A message as lists have it."""
    return schemas.MessageSummary(**_fields(message))


def _fields(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "workspace_id": message.workspace_id,
        "from_email": message.from_email,
        "to_email": message.to_email,
        "subject": message.subject,
        "status": message.status,
        "stream": message.stream,
        "topic": message.topic,
        "tags": message.tags,
        "submission_id": message.submission_id or message.id,
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
        "pinned_smtp_account": message.pinned_account or None,
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
