"""Reports in maild's own format: checked as all are (`intake`), stored entry by entry, and read at
once, since their sender is told what became of each.

An entry names its workspace, and that workspace alone holds it.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import peewee

from maild import config, db, errors, log, queue
from maild.db import database
from maild.domain.provider_event import GENERIC, ReportStatus
from maild.errors import FieldError, InvalidFields, NotFound, PayloadTooLarge, summarise
from maild.models import ProviderEvent
from maild.models.webhook_endpoint import GENERIC_ENDPOINT_ID
from maild.services import intake, payloads
from maild.services.intake import BODY_MAX_BYTES
from maild.services.workspaces import DEFAULT_WORKSPACE_ID
from maild.transports.webhooks import generic
from maild.transports.webhooks.base import BadSignature, Request, UnreadablePayload

logger = log.get(__name__)

ERRORS_MAX = 20
"""So many are told of one request."""

_TOLD = (
    *(ProviderEvent.id, ProviderEvent.payload, ProviderEvent.workspace, ProviderEvent.status),
    *(ProviderEvent.email, ProviderEvent.event_type, ProviderEvent.last_error),
)
"""What a sender is told of its entries."""
_WORKSPACES = "SELECT id FROM workspaces WHERE id = ANY(%s)"
_LOCK = """
SELECT id FROM webhook_payloads WHERE id = ANY(%s) AND status = 'received' ORDER BY id FOR UPDATE
"""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an entry was not stored, or cannot be read. `index` is its place in the request."""

    index: int
    error: str


@dataclass(slots=True)
class Taken:
    """What became of the entries of a request: `rejected` are not stored, all others are.

    `first` is the event of a request with just one entry, and `type_` the word that it has for it.
    """

    processed: int = 0
    duplicate: int = 0
    dead_letters: list[Refusal] = field(default_factory=list)
    rejected: list[Refusal] = field(default_factory=list)
    first: ProviderEvent | None = None
    type_: str | None = None

    @property
    def total(self) -> int:
        return self.processed + self.duplicate + len(self.dead_letters) + len(self.rejected)

    @property
    def errors(self) -> list[Refusal]:
        """The first of all refusals, in the order of the entries."""
        found = sorted([*self.dead_letters, *self.rejected], key=lambda each: each.index)
        return found[:ERRORS_MAX]


def take(request: Request) -> Taken:
    """Check a request, store its entries durably, and read them.

    Raises NotFound (where WEBHOOKS_ENABLED is false), errors.BadSignature, PayloadTooLarge, and
    InvalidFields where none of the entries belongs to a workspace, so that nothing was stored.
    """
    settings = config.current().webhooks
    if not settings.enabled:
        raise NotFound("Reports in maild's own format are off: set WEBHOOKS_ENABLED=true.")
    if len(request.body) > BODY_MAX_BYTES:
        raise PayloadTooLarge("The request body is larger than 5 MB.")
    try:
        generic.verify(
            request,
            (settings.signing_secret,),
            timestamp_header=settings.timestamp_header,
            signature_header=settings.signature_header,
            max_skew_seconds=settings.max_skew_seconds,
        )
    except BadSignature as error:
        intake.refuse(GENERIC_ENDPOINT_ID, GENERIC, str(error))
        raise errors.BadSignature(f"The signature does not hold: {error}.") from None
    taken = Taken()
    try:
        entries = generic.split(request.body)
    except UnreadablePayload:
        _store(taken, DEFAULT_WORKSPACE_ID, [(0, request.body)])
        if taken.rejected:
            _tell_rejected(taken)
        return taken
    if len(entries) == 1 and isinstance(entries[0], dict):
        given = entries[0].get("type")
        taken.type_ = given if isinstance(given, str) else None
    # One entry alone is kept byte by byte, as it was signed.
    bodies = [request.body] if len(entries) == 1 else [json.dumps(e).encode() for e in entries]
    for workspace_id, group in _group(taken, entries, bodies).items():
        _store(taken, workspace_id, group)
    if taken.rejected:
        _tell_rejected(taken)
    return taken


def _group(
    taken: Taken, entries: Sequence[object], bodies: Sequence[bytes]
) -> dict[int, list[tuple[int, bytes]]]:
    """The entries, with their places, by the workspaces that they name, which are there."""
    grouped: defaultdict[int, list[tuple[int, bytes]]] = defaultdict(list)
    for index, (entry, body) in enumerate(zip(entries, bodies, strict=True)):
        workspace_id = _workspace_of(entry)
        if workspace_id is None:
            taken.rejected.append(Refusal(index, "workspace_id: not a whole number above 0"))
        else:
            grouped[workspace_id].append((index, body))
    with db.connection():
        rows = database.execute_sql(_WORKSPACES, (list(grouped),)).fetchall()
    for workspace_id in set(grouped) - {row[0] for row in rows}:
        _reject(taken, workspace_id, grouped.pop(workspace_id))
    return grouped


def _workspace_of(entry: object) -> int | None:
    """The workspace that an entry names, else the first; None where it names what is none, and so
    belongs to nobody.
    """
    named = entry.get("workspace_id") if isinstance(entry, dict) else None
    if named is None:
        return DEFAULT_WORKSPACE_ID
    is_number = isinstance(named, int) and not isinstance(named, bool)
    return named if is_number and 1 <= named < 2**31 else None


def _reject(taken: Taken, workspace_id: int, group: Sequence[tuple[int, bytes]]) -> None:
    error = f"workspace_id: there is no workspace {workspace_id}"
    taken.rejected += [Refusal(index, error) for index, _ in group]


def _tell_rejected(taken: Taken) -> None:
    first = min(taken.rejected, key=lambda each: each.index)
    logger.warning("webhook.rejected", count=len(taken.rejected), error=first.error)
    if len(taken.rejected) == taken.total:
        found = [FieldError(str(each.index), each.error) for each in taken.errors]
        raise InvalidFields(summarise(found), errors=found)


def _store(taken: Taken, workspace_id: int, group: Sequence[tuple[int, bytes]]) -> None:
    """Store entries of one workspace durably, then read them, so that they are counted."""
    with db.connection():
        try:
            stored = payloads.take_entries(workspace_id, [body for _, body in group])
        except peewee.IntegrityError:  # it was deleted just now
            _reject(taken, workspace_id, group)
            return
        payload_ids = [payload.id for payload in stored]
        with database.atomic():
            locked = database.execute_sql(_LOCK, (payload_ids,)).fetchall()
            ours = {payload_id for (payload_id,) in locked}  # a worker may have read some already
            payloads.read([payload for payload in stored if payload.id in ours])
        queue.enqueue(payloads.HINT)
        events = list(
            ProviderEvent.select(*_TOLD)
            .where(ProviderEvent.payload << payload_ids)
            .order_by(ProviderEvent.id)
        )
    taken.first = taken.first or (events[0] if events else None)
    found: defaultdict[int, list[ProviderEvent]] = defaultdict(list)
    for event in events:
        found[event.payload_id].append(event)
    for (index, _), payload_id in zip(group, payload_ids, strict=True):
        _count(taken, index, found[payload_id])


def _count(taken: Taken, index: int, events: Sequence[ProviderEvent]) -> None:
    """An entry may tell of several recipients, or of nothing, or be read a moment later."""
    dead = [event for event in events if event.status is ReportStatus.DEAD_LETTER]
    if dead:
        taken.dead_letters.append(Refusal(index, str(dead[0].last_error)))
    elif events and all(event.status is ReportStatus.DUPLICATE for event in events):
        taken.duplicate += 1
    else:
        taken.processed += 1
