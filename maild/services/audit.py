"""The audit log: who did what, to what, from where; append-only, and chained by hashes.

`record` belongs into the transaction of what it tells of: neither is there without the other.
Writers of one workspace wait for each other from then on until they commit, so it comes last.

Each entry's hash covers the one before it, so the newest hash, the head, vouches for all of them.
Whoever can write to the database can also make a new chain: a head that is kept elsewhere tells.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from maild.db import database
from maild.domain.actor import Actor
from maild.domain.storable import clean_json
from maild.models import AuditCut, AuditEntry, AuditHead, Workspace
from maild.services import message_log, workspaces

FIRST_HASH = bytes(32)
"""What the first entry of a workspace follows."""
BATCH = 500
"""As many entries are in memory at once while they are verified."""

_NEXT = """
INSERT INTO audit_heads AS h (workspace_id, seq, hash) VALUES (%(workspace)s, 1, %(first)s)
ON CONFLICT (workspace_id) DO UPDATE SET seq = h.seq + 1
RETURNING seq, hash, clock_timestamp()
"""
_BEYOND = """
SELECT min(seq) FROM audit_entries e WHERE workspace_id = %(workspace)s AND seq > coalesce((
    SELECT seq FROM audit_heads h WHERE h.workspace_id = e.workspace_id), 0)
"""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a workspace's log: how many entries it has, and the hash of the newest."""

    seq: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash.hex()}"


def parse_head(text: str) -> Head:
    """The head that `str(head)` wrote. Raises ValueError for anything else."""
    seq, _, digest = text.partition(":")
    if not re.fullmatch(r"\d{1,18}", seq, re.ASCII) or not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ValueError("must be a number, a colon and 64 hexadecimal digits, as verify prints it")
    return Head(int(seq), bytes.fromhex(digest))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of verifying a log. `problem` tells the first place that does not fit, if any."""

    workspace_id: int
    head: Head
    problem: str | None = None
    cut: AuditCut | None = None
    """Up to where the log was cut off, if it was: what is left was verified from there on."""
    is_kept_cut: bool = False
    """The head that was kept elsewhere is of an entry that is cut off: nothing is left to compare
    it with.
    """


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries: all that are told must be so. `since` is inclusive, `until` exclusive."""

    action: str | None = None
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, newest first, and the number after which the next page begins, if there is one."""

    entries: list[AuditEntry]
    older: int | None


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
    and never a secret. What PostgreSQL cannot keep of a text is replaced: an entry fails nobody.
    """
    seq, previous_hash, at = database.execute_sql(
        _NEXT, {"workspace": workspace_id, "first": FIRST_HASH}
    ).fetchone()
    entry = AuditEntry(
        workspace=workspace_id,
        seq=seq,
        at=at,
        actor=clean_json(actor.name),
        actor_ip=clean_json(actor.ip),
        request_id=clean_json(actor.request_id),
        action=clean_json(action),
        target=clean_json(target),
        before=clean_json(before),
        after=clean_json(after),
        reason=clean_json(reason),
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
        "before": _canonical(entry.before),
        "after": _canonical(entry.after),
        "reason": entry.reason,
        "previous_hash": bytes(entry.previous_hash).hex(),
    }
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).digest()


def list_page(
    workspace_id: int,
    *,
    filter_: Filter | None = None,
    limit: int = 50,
    older_than: int | None = None,
) -> Page:
    """One page. Raises NotFound, for the workspace, and Unavailable where it takes too long."""
    f = filter_ or Filter()
    query = AuditEntry.select().where(AuditEntry.workspace == workspace_id)
    if older_than is not None:
        query = query.where(AuditEntry.seq < older_than)
    if f.action is not None:
        query = query.where(AuditEntry.action == f.action)
    if f.actor is not None:
        query = query.where(AuditEntry.actor == f.actor)
    if f.since is not None:
        query = query.where(AuditEntry.at >= f.since)
    if f.until is not None:
        query = query.where(AuditEntry.at < f.until)
    with message_log.bounded():
        rows = list(query.order_by(AuditEntry.seq.desc()).limit(limit + 1))
        if not rows:
            workspaces.require(workspace_id)
    has_more, rows = len(rows) > limit, rows[:limit]
    return Page(rows, rows[-1].seq if has_more else None)


def list_workspace_ids() -> list[int]:
    """Every workspace, for verifying all of them."""
    return [workspace.id for workspace in Workspace.select().order_by(Workspace.id)]


def get_head(workspace_id: int) -> Head:
    """The end of a workspace's log as it is kept, not checked. Raises NotFound."""
    row = AuditHead.get_or_none(AuditHead.workspace == workspace_id)
    if row is None:
        workspaces.require(workspace_id)
    return Head(row.seq, bytes(row.hash)) if row else Head(0, FIRST_HASH)


def verify(workspace_id: int, *, kept: Head | None = None) -> Verdict:
    """Go through the whole log and compare it with its head, and with an earlier head that was
    `kept` elsewhere. Entries that are written meanwhile do no harm. Raises NotFound.
    """
    while True:
        cut = find_cut(workspace_id)
        # The head first: all that it vouches for is committed with it, and never changes.
        head = get_head(workspace_id)
        problem = _find_problem(workspace_id, head, kept, cut)
        now = find_cut(workspace_id) if problem else cut
        # What is missing may have been cut off meanwhile, for it was old: then once more.
        if (now and now.seq) == (cut and cut.seq):
            is_kept_cut = kept is not None and cut is not None and kept.seq < cut.seq
            return Verdict(workspace_id, head, problem, cut, is_kept_cut)


def find_cut(workspace_id: int) -> AuditCut | None:
    """Up to where a workspace's log was cut off; None: it is there from its first entry on."""
    found: AuditCut | None = AuditCut.get_or_none(AuditCut.workspace == workspace_id)
    return found


def _find_problem(
    workspace_id: int, head: Head, kept: Head | None, cut: AuditCut | None
) -> str | None:
    if kept and kept.seq > head.seq:
        return f"the log ends at entry {head.seq}, and there was an entry {kept.seq}: it was cut"
    last = Head(cut.seq, bytes(cut.hash)) if cut else Head(0, FIRST_HASH)
    if kept and kept.seq == last.seq and last.seq and kept.hash != last.hash:
        return f"entry {last.seq} is not the one whose hash was kept: the log was rewritten"
    for entry in _stream(workspace_id, upto=head.seq):
        problem = _compare(entry, last)
        if problem:
            return problem
        last = Head(entry.seq, bytes(entry.hash))
        if kept and kept.seq == last.seq and kept.hash != last.hash:
            return f"entry {last.seq} is not the one whose hash was kept: the log was rewritten"
    return _compare_end(workspace_id, last, head)


def _compare(entry: AuditEntry, last: Head) -> str | None:
    """What is wrong with the entry that follows `last`."""
    if entry.seq != last.seq + 1:
        return f"entry {last.seq + 1} is missing: the next one is {entry.seq}"
    if bytes(entry.previous_hash) != last.hash:
        return (
            f"entry {entry.seq} does not follow entry {last.seq}: one of them was replaced, or they"
            " were reordered"
        )
    if hash_of(entry) != bytes(entry.hash):
        return f"entry {entry.seq} does not fit its hash: it was changed"
    return None


def _compare_end(workspace_id: int, last: Head, head: Head) -> str | None:
    if last.seq != head.seq:
        return f"the log was cut off after entry {last.seq}: there were {head.seq} entries"
    if last.hash != head.hash:
        return f"entry {last.seq}, the newest, is not the one that the head names: it was replaced"
    beyond = database.execute_sql(_BEYOND, {"workspace": workspace_id}).fetchone()[0]
    return f"entry {beyond} lies behind the end of the log: it was put there" if beyond else None


def _stream(workspace_id: int, *, upto: int) -> Iterator[AuditEntry]:
    """The entries in order, a batch at a time."""
    query = AuditEntry.select().where(AuditEntry.workspace == workspace_id, AuditEntry.seq <= upto)
    query = query.order_by(AuditEntry.seq).limit(BATCH)
    batch = list(query)
    while batch:
        yield from batch
        batch = list(query.where(AuditEntry.seq > batch[-1].seq))


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _canonical(value: Any) -> Any:
    """JSON with one way to write each number. jsonb keeps a number as a decimal: 1e20 comes back
    as a whole number, and -0.0 without its sign.
    """
    return json.loads(json.dumps(value), parse_float=_number)


def _number(text: str) -> int | float:
    exact = Decimal(text)
    return int(exact) if exact == exact.to_integral_value() else float(text)
