"""/v1/webhooks: what providers report. The first three routes take it, without an API key: the
token in the address and the signature say whose it is. The others show it, and have it replayed.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from flask import request

from maild import clock
from maild.api import schemas
from maild.api.auth import OPERATORS, READERS, Caller, address_of
from maild.api.endpoint import endpoint, open_endpoint
from maild.api.query import check_period, parse_address, parse_serial_cursor
from maild.domain import serial_cursor
from maild.domain.provider_event import ProviderEventType, ReportStatus
from maild.errors import BadSignature, InvalidFields, NotFound
from maild.services import (
    dead_letters,
    failed_tries,
    intake,
    own_reports,
    provider_events,
    tokens,
)
from maild.services.dead_letters import OutcomeStatus
from maild.services.failed_tries import At
from maild.services.provider_events import Entry, Filter
from maild.transports.webhooks.base import Request


@open_endpoint(
    "POST",
    "/v1/webhooks/events",
    summary="Report events in maild's own format, or in a provider's; one or up to 1,000",
    takes="application/json",
    shape=schemas.ReportedEvents,
    answer=schemas.EventsTaken,
    status=202,
    raises=(BadSignature, InvalidFields),
)
def report_events() -> schemas.EventsTaken:
    """One object, or an array of 1,000 at most, signed with the instance's secret; 404 while
    WEBHOOKS_ENABLED is false. What cannot be applied is kept as a dead letter.
    """
    with _failures_counted():
        taken = own_reports.take(_request(intake.BODY_MAX_BYTES))
    answer = schemas.EventsTaken(
        status="accepted",
        processed_count=taken.processed,
        rejected_count=len(taken.rejected),
        dead_lettered_count=len(taken.dead_letters),
        duplicate_count=taken.duplicate,
        total_count=taken.total,
        errors=[schemas.EntryError(index=e.index, error=e.error) for e in taken.errors] or None,
    )
    if taken.total == 1:
        if taken.duplicate:
            answer.outcome = "duplicate"
        else:
            answer.outcome = "dead_letter" if taken.dead_letters else "processed"
        if taken.first is not None:
            answer.workspace_id, answer.email = taken.first.workspace_id, taken.first.email
            answer.event_type = _type(taken.first.event_type)
            answer.type = taken.type_ or answer.event_type
    return answer


@open_endpoint(
    "POST",
    "/v1/webhooks/providers/<provider>/<token>",
    summary="Report events in a provider's own format, with its own signature",
    takes="*/*",
    answer=schemas.WebhookTaken,
    status=202,
    raises=(BadSignature,),
)
def report_provider_events(provider: str, token: str) -> schemas.WebhookTaken:
    """The body is the provider's own and is checked by the provider's own signature. The address is
    the `url` of a webhook endpoint. The payload is stored before the answer, and applied a moment
    later.
    """
    with _failures_counted(token):
        intake.take_native(provider, token, _request(intake.BODY_MAX_BYTES))
    return schemas.WebhookTaken()


@open_endpoint(
    "GET",
    "/v1/webhooks/providers/<provider>/<token>",
    summary="Whether this is an endpoint; some providers ask before they save its address",
    takes=None,
    answer=schemas.WebhookReady,
    status=200,
)
def check_webhook_endpoint(provider: str, token: str) -> schemas.WebhookReady:
    """For providers that ask before they save an address. A token that is no endpoint's is 404."""
    with _failures_counted(token):
        intake.check_endpoint(provider, token)
    return schemas.WebhookReady()


@open_endpoint(
    "POST",
    "/v1/webhooks/dsn/<token>",
    summary="Report a bounce mail (RFC 3464) or an abuse report (RFC 5965), raw",
    takes="message/rfc822",
    answer=schemas.WebhookTaken,
    status=202,
)
def report_bounce_mail(token: str) -> schemas.WebhookTaken:
    """The body is the whole mail as it came. The address is the `url` of a webhook endpoint for
    `dsn`.
    """
    with _failures_counted(token):
        intake.take_mail(token, _request(intake.MAIL_MAX_BYTES))
    return schemas.WebhookTaken()


@contextlib.contextmanager
def _failures_counted(token: str | None = None) -> Iterator[None]:
    """Count what fails by its address, and look up no unknown `token` for who fails too often.
    Raises TooManyRequests.
    """
    address = address_of(request)
    proof = None if token is None else tokens.hash_of(token)
    if proof is not None:
        failed_tries.check(At.WEBHOOK, address, proof)
    try:
        yield
    except (BadSignature, NotFound):
        failed_tries.count(At.WEBHOOK, address)
        raise
    if proof is not None:
        failed_tries.remember(proof)


def _request(max_bytes: int) -> Request:
    """The request as it came; one byte more than allowed where it is too large."""
    return Request(
        body=request.stream.read(max_bytes + 1),
        content_type=request.headers.get("Content-Type", ""),
        headers={name.lower(): value for name, value in request.headers.items()},
        received_at=clock.now(),
    )


@endpoint(
    "GET",
    "/v1/webhooks/logs",
    summary="What providers have reported, newest first, in pages",
    allow=READERS,
    query=schemas.WebhookLogQuery,
    answer=schemas.WebhookLogPage,
)
def list_provider_events(caller: Caller, query: schemas.WebhookLogQuery) -> schemas.WebhookLogPage:
    """Those that were applied, and dead letters with the reason; each with its raw payload."""
    check_period(query.since, query.until)
    workspace_id = caller.workspace_id(query.workspace_id)
    page = provider_events.list_page(
        workspace_id,
        filter_=Filter(
            status=query.status,
            provider=query.provider,
            event_type=query.type,
            email=parse_address("email", query.email),
            is_linked=query.linked,
            since=query.since,
            until=query.until,
        ),
        limit=query.limit,
        older_than=parse_serial_cursor(query.cursor),
    )
    return schemas.WebhookLogPage(
        workspace_id=workspace_id,
        since=query.since,
        until=query.until,
        status=query.status,
        count=len(page.entries),
        events=[_describe(entry) for entry in page.entries],
        next_cursor=serial_cursor.write(page.older) if page.older else None,
    )


@endpoint(
    "POST",
    "/v1/webhooks/replay",
    summary="Read and apply dead letters again, or say what that would do",
    allow=OPERATORS,
    body=schemas.ReplayIn,
    answer=schemas.ReplayOut,
)
def replay_provider_events(caller: Caller, body: schemas.ReplayIn) -> schemas.ReplayOut:
    """The raw payload is read again with today's parser. Give `event_ids` or `limit`; with
    `dry_run` nothing is changed.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    result = dead_letters.replay(
        workspace_id,
        event_ids=None if body.event_ids is None else [str(each) for each in body.event_ids],
        limit=body.limit,
        dry_run=body.dry_run,
        by=caller.actor,
    )
    return schemas.ReplayOut(
        workspace_id=workspace_id,
        requested=len(result.outcomes),
        replayed=result.count(OutcomeStatus.REPLAYED),
        failed=result.count(OutcomeStatus.FAILED),
        skipped=result.count(OutcomeStatus.SKIPPED),
        duplicate=result.count(OutcomeStatus.DUPLICATE),
        waiting=result.count(OutcomeStatus.WAITING),
        replay_source=result.source,
        dry_run=result.is_dry_run,
        effects=result.summary,
        outcomes=[
            schemas.ReplayOutcomeOut(
                event_id=outcome.event_id,
                status=outcome.status,
                attempt_count=outcome.attempt_count,
                error=outcome.error,
                effects=list(outcome.effects),
            )
            for outcome in result.outcomes
        ],
    )


@endpoint(
    "POST",
    "/v1/webhooks/dismiss",
    summary="Let dead letters be that nothing will mend; they can be replayed all the same",
    allow=OPERATORS,
    body=schemas.DismissIn,
    answer=schemas.DismissOut,
)
def dismiss_provider_events(caller: Caller, body: schemas.DismissIn) -> schemas.DismissOut:
    """They leave the list of dead letters and are kept."""
    workspace_id = caller.workspace_id(body.workspace_id)
    outcomes = dead_letters.dismiss(
        workspace_id,
        [str(each) for each in body.event_ids],
        reason=body.reason,
        by=caller.actor,
    )
    counts = Counter(outcome.status for outcome in outcomes)
    return schemas.DismissOut(
        workspace_id=workspace_id,
        requested=len(outcomes),
        dismissed=counts[OutcomeStatus.DISMISSED],
        skipped=counts[OutcomeStatus.SKIPPED],
        failed=counts[OutcomeStatus.FAILED],
        outcomes=[
            schemas.DismissOutcomeOut(
                event_id=outcome.event_id, status=outcome.status, error=outcome.error
            )
            for outcome in outcomes
        ],
    )


def _type(word: str | None) -> ProviderEventType | None:
    return None if word is None else ProviderEventType(word)


def _describe(entry: Entry) -> schemas.ProviderEventOut:
    row = entry.row
    report: dict[str, Any] = row.report or {}
    return schemas.ProviderEventOut(
        id=row.id,
        workspace_id=row.workspace_id,
        provider=row.provider,
        smtp_account=row.smtp_account_name,
        event_type=_type(row.event_type),
        email=row.email,
        reason=report.get("mta_response") or report.get("description"),
        reject_reason=report.get("reject_reason"),
        status=row.status,
        attempt_count=row.attempt_count,
        last_error=row.last_error,
        next_attempt_at=row.next_attempt_at if row.status is ReportStatus.RECEIVED else None,
        message_id=row.message_id,
        provider_message_id=report.get("message_id"),
        provider_event_id=report.get("event_id"),
        duplicate_of=row.duplicate_of,
        effects=row.effects,
        raw_payload=entry.raw,
        occurred_at=row.occurred_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
