"""/v1/suppressions: who must not be mailed, why, and what that has stopped; files in and out."""

from typing import Any

from flask import Response

from maild.api import schemas
from maild.api.auth import ADMINS, READERS, Caller
from maild.api.endpoint import endpoint
from maild.api.query import parse_address, parse_cursor, parse_serial_cursor
from maild.domain import serial_cursor
from maild.domain.states import Stream
from maild.domain.suppression import SuppressionState
from maild.models import Suppression
from maild.services import (
    suppression_exports,
    suppression_imports,
    suppression_lists,
    suppressions,
)
from maild.services.suppression_lists import Filter


@endpoint(
    "POST",
    "/v1/suppressions",
    summary="Stop all mail to an address, or that of one stream",
    allow=ADMINS,
    body=schemas.SuppressionIn,
    answer=schemas.SuppressionSaved,
    status=201,
)
def add_suppression(caller: Caller, body: schemas.SuppressionIn) -> schemas.SuppressionSaved:
    """An address that is suppressed already is answered with the suppression that is in force.
    Messages that wait for it are stopped before they are sent.
    """
    row = suppressions.add(
        caller.workspace_id(body.workspace_id),
        body.email,
        reason=body.reason,
        source=suppressions.API,
        stream=body.stream,
        class_=body.class_,
        expires_at=body.expires_at,
        by=caller.actor,
    )
    return schemas.SuppressionSaved(**_fields(row))


@endpoint(
    "GET",
    "/v1/suppressions",
    summary="Who must not be mailed and why, newest first, in pages",
    allow=READERS,
    query=schemas.SuppressionQuery,
    answer=schemas.SuppressionPage,
)
def list_suppressions(caller: Caller, query: schemas.SuppressionQuery) -> schemas.SuppressionPage:
    """Those in force unless `state` says otherwise."""
    workspace_id = caller.workspace_id(query.workspace_id)
    page = suppression_lists.list_page(
        workspace_id,
        filter_=_filter(query, email=parse_address("email", query.email)),
        limit=query.limit,
        older_than=parse_serial_cursor(query.cursor),
    )
    return schemas.SuppressionPage(
        workspace_id=workspace_id,
        count=len(page.suppressions),
        suppressions=[schemas.SuppressionOut(**_fields(row)) for row in page.suppressions],
        next_cursor=serial_cursor.write(page.older) if page.older else None,
    )


@endpoint(
    "GET",
    "/v1/suppressions/blocked",
    summary="The messages that one suppression has stopped, newest first, in pages",
    allow=READERS,
    query=schemas.BlockedQuery,
    answer=schemas.BlockedPage,
)
def list_blocked_messages(caller: Caller, query: schemas.BlockedQuery) -> schemas.BlockedPage:
    """What was held back by one suppression, to be looked at before it is removed."""
    workspace_id = caller.workspace_id(query.workspace_id)
    page = suppression_lists.list_blocked(
        workspace_id,
        query.suppression_id,
        limit=query.limit,
        older_than=parse_cursor(query.cursor),
    )
    return schemas.BlockedPage(
        workspace_id=workspace_id,
        suppression=schemas.SuppressionOut(**_fields(page.suppression)),
        count=len(page.messages),
        messages=[
            schemas.BlockedMessage(
                id=message.id,
                from_email=message.from_email,
                to_email=message.to_email,
                subject=message.subject,
                stream=message.stream,
                status=message.status,
                created_at=message.created_at,
                updated_at=message.updated_at,
            )
            for message in page.messages
        ],
        next_cursor=str(page.older) if page.older else None,
    )


@endpoint(
    "DELETE",
    "/v1/suppressions",
    summary="Let an address be mailed again; tells which messages were held back",
    allow=ADMINS,
    body=schemas.SuppressionRemoval,
    answer=schemas.SuppressionRemoved,
)
def remove_suppression(
    caller: Caller, body: schemas.SuppressionRemoval
) -> schemas.SuppressionRemoved:
    """`reason` is kept. Messages that were held back stay so: send them again with `POST
    /v1/messages/resend`.
    """
    removal = suppressions.remove(
        caller.workspace_id(body.workspace_id),
        body.email,
        reason=body.reason,
        stream=body.stream,
        by=caller.actor,
    )
    return schemas.SuppressionRemoved(
        **_fields(removal.suppression),
        blocked_count=removal.blocked_count,
        has_more_blocked=removal.has_more_blocked,
        blocked_ids=removal.blocked_ids,
        remaining=[schemas.SuppressionOut(**_fields(row)) for row in removal.remaining],
    )


@endpoint(
    "POST",
    "/v1/suppressions/import",
    summary="Suppress the addresses of a CSV file, all at once; it removes and weakens nothing",
    allow=ADMINS,
    body=schemas.SuppressionImport,
    answer=schemas.SuppressionImported,
)
def import_suppressions(
    caller: Caller, body: schemas.SuppressionImport
) -> schemas.SuppressionImported:
    """Try it with `dry_run` first. Lines that cannot be read are rejected one by one, with why."""
    workspace_id = caller.workspace_id(body.workspace_id)
    result = suppression_imports.import_csv(
        workspace_id,
        body.csv,
        default_reason=body.default_reason,
        class_=body.class_,
        dry_run=body.dry_run,
        by=caller.actor,
    )
    return schemas.SuppressionImported(
        workspace_id=workspace_id,
        dry_run=body.dry_run,
        rows=result.row_count,
        imported=result.imported_count,
        existing=result.existing_count,
        extended=result.extended_count,
        duplicate=result.duplicate_count,
        rejected=result.rejected_count,
        rejections=[
            schemas.Rejection(line=rejection.number, error=rejection.error)
            for rejection in result.rejections
        ],
        ignored_columns=result.ignored_columns,
    )


@endpoint(
    "GET",
    "/v1/suppressions/export",
    summary="All suppressions as a CSV file, which an import takes again",
    allow=READERS,
    query=schemas.SuppressionFilter,
    answer="text/csv",
    connects=False,  # it reads portion by portion, long after the view has answered
)
def export_suppressions(caller: Caller, query: schemas.SuppressionFilter) -> Response:
    """The file streams, however long it is. An import takes it as it is."""
    workspace_id = caller.workspace_id(query.workspace_id)
    rows = suppression_lists.export(workspace_id, filter_=_filter(query))
    response = Response(
        suppression_exports.write_suppressions(rows),
        content_type="text/csv; charset=utf-8; header=present",
    )
    response.headers["Content-Disposition"] = 'attachment; filename="suppressions.csv"'
    return response


def _filter(query: schemas.SuppressionFilter, *, email: str | None = None) -> Filter:
    is_for_all = query.stream == "all"
    return Filter(
        email=email,
        source=query.source,
        class_=query.class_,
        stream=None if is_for_all or query.stream is None else Stream(query.stream),
        is_for_all_streams=is_for_all,
        state=None if query.state == "all" else SuppressionState(query.state),
    )


def _fields(row: Suppression) -> dict[str, Any]:
    return {
        "id": row.id,
        "workspace_id": row.workspace_id,
        "email": row.email,
        "stream": row.stream,
        "reason": row.reason,
        "class_": row.class_,
        "source": row.source,
        "message_id": row.message_id,
        "created_by": row.created_by,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "state": suppression_lists.state_of(row),
        "removed_at": row.removed_at,
        "removed_by": row.removed_by,
        "removal_reason": row.removal_reason,
    }
