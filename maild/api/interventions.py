"""/v1/messages/retry, cancel, hold, release, resolve: what a person does to messages by hand."""

from maild.api import schemas
from maild.api.auth import OPERATORS, Caller
from maild.api.endpoint import endpoint
from maild.api.errors import bad_field
from maild.domain.states import Status
from maild.services import addresses, interventions
from maild.services.interventions import Result
from maild.services.message_log import Filter


@endpoint(
    "POST",
    "/v1/messages/retry",
    summary="Queue failed and unknown messages again, with all their attempts",
    allow=OPERATORS,
    body=schemas.RetryIn,
    answer=schemas.RetryOut,
)
def retry_messages(caller: Caller, body: schemas.RetryIn) -> schemas.RetryOut:
    """Give exactly one of `message_ids`, `limit` and `filter`. Only failed and unknown messages are
    retried, and every check is made again before they are sent. With `dry_run` nothing is changed.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    retried = interventions.retry(
        workspace_id,
        message_ids=body.message_ids,
        limit=body.limit,
        filter_=_filter(body.filter) if body.filter else None,
        dry_run=body.dry_run,
        by=caller.actor,
        reason=body.reason,
    )
    result = retried.result
    return schemas.RetryOut(
        workspace_id=workspace_id,
        requested=len(result.outcomes),
        retried=result.done_count,
        skipped=result.skipped_count,
        failed=result.failed_count,
        replay_source=retried.source,
        dry_run=retried.is_dry_run,
        truncated=retried.is_truncated,
        outcomes=_outcomes(retried.shown),
    )


@endpoint(
    "POST",
    "/v1/messages/cancel",
    summary="Withdraw messages that wait or are held",
    allow=OPERATORS,
    body=schemas.CancelIn,
    answer=schemas.InterventionOut,
)
def cancel_messages(caller: Caller, body: schemas.CancelIn) -> schemas.InterventionOut:
    """Works on queued and held messages. What a worker holds already is skipped, and says so."""
    workspace_id = caller.workspace_id(body.workspace_id)
    result = interventions.cancel(
        workspace_id, body.message_ids, by=caller.actor, reason=body.reason
    )
    return _answer(workspace_id, result)


@endpoint(
    "POST",
    "/v1/messages/hold",
    summary="Keep waiting messages back until they are released",
    allow=OPERATORS,
    body=schemas.HoldIn,
    answer=schemas.InterventionOut,
)
def hold_messages(caller: Caller, body: schemas.HoldIn) -> schemas.InterventionOut:
    """Works on queued messages. They stay held until somebody releases or cancels them, or they
    expire.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    result = interventions.hold(workspace_id, body.message_ids, by=caller.actor, reason=body.reason)
    return _answer(workspace_id, result)


@endpoint(
    "POST",
    "/v1/messages/release",
    summary="Let held messages go",
    allow=OPERATORS,
    body=schemas.ReleaseIn,
    answer=schemas.InterventionOut,
)
def release_messages(caller: Caller, body: schemas.ReleaseIn) -> schemas.InterventionOut:
    """Works on held messages: they are queued again, and due at once."""
    workspace_id = caller.workspace_id(body.workspace_id)
    result = interventions.release(
        workspace_id, body.message_ids, by=caller.actor, reason=body.reason
    )
    return _answer(workspace_id, result)


@endpoint(
    "POST",
    "/v1/messages/resolve",
    summary="Say what became of messages whose outcome is unknown",
    allow=OPERATORS,
    body=schemas.ResolveIn,
    answer=schemas.InterventionOut,
)
def resolve_messages(caller: Caller, body: schemas.ResolveIn) -> schemas.InterventionOut:
    """Works on unknown messages. `sent` ends them, `not_sent` queues them again."""
    workspace_id = caller.workspace_id(body.workspace_id)
    result = interventions.resolve(
        workspace_id,
        body.message_ids,
        was_sent=body.outcome == "sent",
        by=caller.actor,
        reason=body.reason,
    )
    return _answer(workspace_id, result)


def _filter(asked: schemas.RetryFilter) -> Filter:
    if asked.since and asked.until and asked.since >= asked.until:
        raise bad_field("filter.to", "must be later than from")
    return Filter(
        status=Status(asked.status) if asked.status else None,
        stream=asked.stream,
        to_email=_parse_address("filter.to_email", asked.to_email),
        from_email=_parse_address("filter.from_email", asked.from_email),
        subject=asked.subject,
        q=asked.q,
        tag=asked.tag,
        smtp_account=asked.smtp_account,
        error_class=asked.error_class,
        since=asked.since,
        until=asked.until,
    )


def _parse_address(field: str, text: str | None) -> str | None:
    """The address in the normal form in which messages keep theirs."""
    try:
        return addresses.parse(text).text if text else None
    except ValueError as error:
        raise bad_field(field, str(error)) from None


def _answer(workspace_id: int, result: Result) -> schemas.InterventionOut:
    return schemas.InterventionOut(
        workspace_id=workspace_id,
        requested=len(result.outcomes),
        done=result.done_count,
        skipped=result.skipped_count,
        failed=result.failed_count,
        outcomes=_outcomes(result.outcomes),
    )


def _outcomes(outcomes: list[interventions.Outcome]) -> list[schemas.OutcomeOut]:
    return [
        schemas.OutcomeOut(message_id=o.message_id, status=o.status, error=o.error)
        for o in outcomes
    ]
