"""/v1/audit: who did what in a workspace. It is only read here; services write it."""

from maild.api import schemas
from maild.api.auth import ADMINS, Caller
from maild.api.endpoint import endpoint
from maild.api.query import check_period, parse_serial_cursor
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
def list_audit_entries(caller: Caller, query: schemas.AuditQuery) -> schemas.AuditPage:
    """Each entry has the hash of the one before: none can be changed or left out unseen."""
    workspace_id = caller.workspace_id(query.workspace_id)
    check_period(query.since, query.until)
    page = audit.list_page(
        workspace_id,
        filter_=audit.Filter(
            action=query.action, actor=query.actor, since=query.since, until=query.until
        ),
        limit=query.limit,
        older_than=parse_serial_cursor(query.cursor),
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
