"""Provider events: applying what was read, once each, and listing what came in.

`apply_due` takes what waits, in the order in which it came, and is retried by itself with backoff
where the cause passes; after WEBHOOK_APPLY_MAX_ATTEMPTS an event is a dead letter, which a person
has replayed (`dead_letters`). What applying means, `feedback` knows.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import peewee

from maild import config, db, log, metrics
from maild.db import database
from maild.domain.provider_event import ProviderEventType, ReportStatus, from_report
from maild.domain.storable import clean_text
from maild.models import ProviderEvent, WebhookPayload
from maild.services import feedback, message_log, payloads, report_watch, workspaces
from maild.services.feedback import Effects, Report
from maild.services.report_watch import Heard

logger = log.get(__name__)

BATCH = 200
RAW_SHOWN_MAX_BYTES = 64 * 1024
"""So much of a payload is shown in a list."""
TOO_EARLY = "The message is being sent right now; this is tried again in a moment."
STILL_SENDING = "The message was being sent at every try. Replay it once the message is sent."


@dataclass(frozen=True, slots=True)
class Applied:
    """An event's row, and what became of it."""

    row: ProviderEvent
    effects: Effects


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events: all that are told must be so. `since` is inclusive, `until` exclusive.

    `is_linked`: whether a message was found.
    """

    status: ReportStatus | None = None
    provider: str | None = None
    event_type: str | None = None
    email: str | None = None
    is_linked: bool | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An event as a list shows it: its row, and the text that it was read from."""

    row: ProviderEvent
    raw: str


@dataclass(frozen=True, slots=True)
class Page:
    """Events, newest first; `older` is the id to go on from, where there are more."""

    entries: list[Entry]
    older: int | None


def apply_due(*, limit: int = BATCH) -> int:
    """Apply what waits; how many events were there. In the caller's transaction, which holds
    `locks.REPORTS`.
    """
    # Found by the time, as the index of what waits has it: that is small, however long the history.
    due = (
        ProviderEvent.select(ProviderEvent.id)
        .where(
            ProviderEvent.status == ReportStatus.RECEIVED,
            ProviderEvent.next_attempt_at <= peewee.fn.now(),
        )
        .order_by(ProviderEvent.next_attempt_at, ProviderEvent.payload, ProviderEvent.position)
        .limit(limit)
    )
    rows = list(
        ProviderEvent.select(ProviderEvent, WebhookPayload.created_at, WebhookPayload.endpoint_id)
        .join(WebhookPayload)
        .where(ProviderEvent.id << due)
        .order_by(ProviderEvent.payload, ProviderEvent.position)  # as they came
        .for_update(of=ProviderEvent)
    )
    applied = apply(rows)
    report_watch.learn(
        Heard(
            endpoint_id=one.row.payload.endpoint_id,
            received_at=one.row.payload.created_at,
            is_delivery=one.row.event_type == ProviderEventType.DELIVERED,
            sent_at=one.effects.sent_at,
        )
        for one in applied
        if one.row.payload.endpoint_id is not None
    )
    return len(rows)


def apply(rows: Sequence[ProviderEvent], *, done: ReportStatus | None = None) -> list[Applied]:
    """Apply these events, which the caller has locked, in its transaction, and write down what
    became of each; `done` is what those are called then that could be applied.

    One that fails does not keep the others from being applied.
    """
    if not rows:
        return []
    before = [(row.attempt_count, row.effects) for row in rows]
    try:
        with database.atomic():
            all_effects = feedback.carry_out([_report(row) for row in rows])
            applied = [
                Applied(row, effects) for row, effects in zip(rows, all_effects, strict=True)
            ]
            for one in applied:
                _settle(one, done)
            _write([one.row for one in applied])
        for row in rows:
            metrics.PROVIDER_EVENTS.labels(row.provider, _result(row.status)).inc()
        return applied
    except Exception as error:
        if db.is_away(error):
            raise
        for row, (attempt_count, effects_before) in zip(rows, before, strict=True):
            row.attempt_count, row.effects = attempt_count, effects_before
        if len(rows) > 1:
            return [one for row in rows for one in apply([row], done=done)]
        logger.exception("provider_event.not_applied", report_id=rows[0].id)
        effects = Effects(error=f"Applying it failed: {type(error).__name__}")
        _fail(rows[0], str(effects.error))
        _write(rows)
        metrics.PROVIDER_EVENTS.labels(rows[0].provider, _result(rows[0].status)).inc()
        return [Applied(rows[0], effects)]


def _result(status: ReportStatus) -> str:
    """What became of an event, for /metrics: one that is still `received` is tried again."""
    return "retried" if status is ReportStatus.RECEIVED else status.value


def _report(row: ProviderEvent) -> Report:
    return Report(
        id=row.id,
        workspace_id=row.workspace_id,
        provider=row.provider,
        smtp_account_name=row.smtp_account_name,
        email=row.email,
        received_at=row.payload.created_at,
        event=from_report(row.report),
        is_last_try=_is_last_try(row),
    )


def _is_last_try(row: ProviderEvent) -> bool:
    return bool(row.attempt_count + 1 >= config.current().webhooks.apply_max_attempts)


def _settle(one: Applied, done: ReportStatus | None) -> None:
    """What became of an event, in its row."""
    row, effects = one.row, one.effects
    # What an earlier try has done is still what the event has done.
    before: dict[str, Any] = row.effects or {}
    done_before = {name: value for name, value in before.items() if value == feedback.ADDED}
    row.effects = effects.told() | done_before  # type: ignore[assignment]
    row.message_id = effects.message_id
    if effects.is_too_early and _is_last_try(row):
        _bury(row, STILL_SENDING)
    elif effects.is_too_early:
        _fail(row, TOO_EARLY)
    elif effects.error:
        _bury(row, effects.error)
    else:
        applied = done or ReportStatus.APPLIED
        row.status = ReportStatus.IGNORED if effects.is_nothing else applied
        row.attempt_count += 1
        row.next_attempt_at = row.last_error = None


def _fail(row: ProviderEvent, why: str) -> None:
    """Try an event again later; or keep it as a dead letter, where it was tried often enough."""
    if _is_last_try(row):
        _bury(row, why)
        return
    row.attempt_count += 1
    row.status = ReportStatus.RECEIVED
    row.last_error = clean_text(why)
    row.next_attempt_at = payloads.backoff_seconds(row.attempt_count)  # seconds, for `_WRITE`


def _bury(row: ProviderEvent, why: str) -> None:
    row.attempt_count += 1
    row.status = ReportStatus.DEAD_LETTER
    row.last_error = clean_text(why)[: payloads.ERROR_MAX_CHARS]
    row.next_attempt_at = None
    logger.warning(
        "provider_event.dead_letter",
        workspace_id=row.workspace_id,
        provider=row.provider,
        report_id=row.id,
        error=row.last_error,
    )


_WRITE = """
UPDATE provider_events AS p SET
    status = v.status, attempt_count = v.attempt_count, last_error = v.last_error,
    next_attempt_at = now() + v.delay * interval '1 second', message_id = v.message_id,
    effects = v.effects, updated_at = now()
FROM json_to_recordset(%s) AS v (
    id bigint, status text, attempt_count int, last_error text, delay float8, message_id uuid,
    effects jsonb)
WHERE p.id = v.id
"""


def _write(rows: Sequence[ProviderEvent]) -> None:
    values = [
        {
            "id": row.id,
            "status": row.status,
            "attempt_count": row.attempt_count,
            "last_error": row.last_error,
            "delay": row.next_attempt_at,
            "message_id": row.message_id and str(row.message_id),
            "effects": row.effects,
        }
        for row in rows
    ]
    database.execute_sql(_WRITE, (json.dumps(values),))


def list_page(
    workspace_id: int,
    *,
    filter_: Filter | None = None,
    limit: int = 50,
    older_than: int | None = None,
) -> Page:
    """One page. Raises NotFound (the workspace), Unavailable where the search takes too long."""
    # A payload may hold a thousand events: it is not read once for each of them.
    has_own_part = ProviderEvent.report.has_key("raw")
    shown = peewee.fn.substr(WebhookPayload.body, 1, RAW_SHOWN_MAX_BYTES)
    query = (
        ProviderEvent.select(
            ProviderEvent, peewee.Case(None, [(has_own_part, None)], shown).alias("shown")
        )
        .join(WebhookPayload)
        .where(*_conditions(workspace_id, filter_ or Filter()))
    )
    if older_than is not None:
        query = query.where(ProviderEvent.id < older_than)
    with message_log.bounded():
        rows = list(query.order_by(ProviderEvent.id.desc()).limit(limit + 1))
        if not rows:
            workspaces.require(workspace_id)
    has_more, rows = len(rows) > limit, rows[:limit]
    return Page(
        entries=[Entry(row, _raw_of(row)) for row in rows],
        older=rows[-1].id if has_more else None,
    )


def _raw_of(row: Any) -> str:
    """What an event was read from: its part of the payload, or the beginning of all of it."""
    report: dict[str, Any] = row.report or {}
    raw = report.get("raw")
    if raw is not None:
        return raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False)
    return clean_text(bytes(row.shown).decode(errors="replace"))


def _conditions(workspace_id: int, filter_: Filter) -> list[Any]:
    conditions: list[Any] = [ProviderEvent.workspace == workspace_id]
    for field, value in (
        (ProviderEvent.status, filter_.status),
        (ProviderEvent.provider, filter_.provider),
        (ProviderEvent.event_type, filter_.event_type),
        (ProviderEvent.email, filter_.email),
    ):
        if value is not None:
            conditions.append(field == value)
    if filter_.is_linked is not None:
        conditions.append(ProviderEvent.message_id.is_null(not filter_.is_linked))
    if filter_.since is not None:
        conditions.append(ProviderEvent.created_at >= filter_.since)
    if filter_.until is not None:
        conditions.append(ProviderEvent.created_at < filter_.until)
    return conditions
