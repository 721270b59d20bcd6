"""/v1/audit: who did what in a workspace. It is only read here; services write it."""

from maild.api import schemas
from maild.api.auth import ADMINS, Caller
from maild.api.endpoint import endpoint
from maild.api.errors import bad_query
from maild.domain import serial_cursor
from maild.models import AuditEntry
from maild.services import audit


@endpoint(
    "GET",
    "/v1/audit",
    summary="The audit log: who did what, newest first, filtered, in pages",
    allow=ADMINS,
    query=schemas.AuditQuery,
    answer=schemas.AuditPage,
)
def list_audit(caller: Caller, query: schemas.AuditQuery) -> schemas.AuditPage:
    workspace_id = caller.workspace_id(query.workspace_id)
    if query.since and query.until and query.since >= query.until:
        raise bad_query("to", "must be later than from")
    try:
        older_than = serial_cursor.parse(query.cursor) if query.cursor else None
    except ValueError as error:
        raise bad_query("cursor", str(error)) from None
    page = audit.list_page(
        workspace_id,
        filter_=audit.Filter(
            action=query.action, actor=query.actor, since=query.since, until=query.until
        ),
        limit=query.limit,
        older_than=older_than,
    )
    return schemas.AuditPage(
        workspace_id=workspace_id,
        **{"from": query.since, "to": query.until},
        count=len(page.entries),
        entries=[_entry(entry) for entry in page.entries],
        next_cursor=None if page.older is None else serial_cursor.write(page.older),
    )


def _entry(entry: AuditEntry) -> schemas.AuditEntryOut:
    return schemas.AuditEntryOut(
        seq=entry.seq,
        at=entry.at,
        actor=entry.actor,
        actor_ip=entry.actor_ip,
        request_id=entry.request_id,
        action=entry.action,
        target=entry.target,
        before=entry.before,
        after=entry.after,
        reason=entry.reason,
        previous_hash=bytes(entry.previous_hash).hex(),
        hash=bytes(entry.hash).hex(),
    )
