"""The audit log: who did what, to what, from where; append-only, and chained by hashes.

`record` belongs into the transaction of what it tells of: neither is there without the other.
Writers of one workspace wait for each other from then on until they commit, so it comes last.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from maild.db import database
from maild.domain.actor import Actor
from maild.models import AuditEntry, AuditHead

FIRST_HASH = bytes(32)
"""What the first entry of a workspace follows."""

_NEXT = """
INSERT INTO audit_heads AS h (workspace_id, seq, hash) VALUES (%(workspace)s, 1, %(first)s)
ON CONFLICT (workspace_id) DO UPDATE SET seq = h.seq + 1
RETURNING seq, hash, clock_timestamp()
"""


def record(
    workspace_id: int,
    actor: Actor,
    *,
    action: str,
    target: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    """Add an entry, in the caller's transaction. `before` and `after` hold what changed, as JSON,
    and never a secret.
    """
    seq, previous_hash, at = database.execute_sql(
        _NEXT, {"workspace": workspace_id, "first": FIRST_HASH}
    ).fetchone()
    entry = AuditEntry(
        workspace=workspace_id,
        seq=seq,
        at=at,
        actor=actor.name,
        actor_ip=actor.ip,
        request_id=actor.request_id,
        action=action,
        target=target,
        before=before,
        after=after,
        reason=reason,
        previous_hash=bytes(previous_hash),
    )
    entry.hash = hash_of(entry)
    entry.save(force_insert=True)
    AuditHead.update(hash=entry.hash).where(AuditHead.workspace == workspace_id).execute()


def hash_of(entry: AuditEntry) -> bytes:
    """SHA-256 over the entry's fields as canonical JSON, the hash before it included."""
    fields = {
        "workspace_id": entry.workspace_id,
        "seq": entry.seq,
        "at": _instant(entry.at),
        "actor": entry.actor,
        "actor_ip": entry.actor_ip,
        "request_id": entry.request_id,
        "action": entry.action,
        "target": entry.target,
        "before": entry.before,
        "after": entry.after,
        "reason": entry.reason,
        "previous_hash": bytes(entry.previous_hash).hex(),
    }
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).digest()


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
