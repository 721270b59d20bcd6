"""The bundle of a message: all the evidence of what became of it, in one piece, to be kept or
handed on. It holds no secrets: no content, no credentials, and not from where somebody acted.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import peewee

from maild import clock
from maild.domain.provider_event import ReportStatus
from maild.models import Attempt, AuditEntry, Event, Message, ProviderEvent
from maild.services import (
    account_health,
    decisions,
    message_log,
    messages,
    policies,
    suppressions,
    timeline,
)
from maild.services.account_health import AccountHealth
from maild.services.decisions import Record
from maild.services.policies import Version

REPORTS_MAX = 200
AUDIT_MAX = 100


@dataclass(frozen=True, slots=True)
class Bundle:
    """Rows as they were at `generated_at`, lists oldest first.

    `reports` are what providers have reported of the message, and what they reported of its
    recipient within the window and maild could link to no message: REPORTS_MAX of each at most.
    `policy` is the version in force.
    """

    message: Message
    generated_at: datetime
    window_from: datetime
    window_to: datetime
    attempts: list[Attempt]
    events: list[Event]
    decision: list[Record]
    reports: list[ProviderEvent]
    policy: Version
    accounts: list[AccountHealth]
    audit: list[AuditEntry]

    @property
    def failed_attempt_count(self) -> int:
        """Attempts that have ended without success."""
        return sum(one.finished_at is not None and not one.is_success for one in self.attempts)

    @property
    def dead_letter_count(self) -> int:
        return sum(one.status is ReportStatus.DEAD_LETTER for one in self.reports)


def of_message(workspace_id: int, message_id: uuid.UUID) -> Bundle:
    """Raises NotFound, also for another workspace's message."""
    message = messages.get(workspace_id, message_id)
    now = clock.now()
    attempts, events = timeline.list_attempts(message), timeline.list_events(message)
    return Bundle(
        message=message,
        generated_at=now,
        window_from=message.created_at,
        window_to=now,
        attempts=attempts,
        events=events,
        decision=decisions.list_records(attempts, events),
        reports=_list_reports(message, until=now),
        policy=policies.get_in_force(workspace_id),
        accounts=_list_accounts(message, attempts),
        audit=_list_audit(message),
    )


def _list_reports(message: Message, *, until: datetime) -> list[ProviderEvent]:
    own = ProviderEvent.select().where(
        ProviderEvent.workspace == message.workspace_id, ProviderEvent.message_id == message.id
    )
    of_recipient = ProviderEvent.select().where(
        ProviderEvent.workspace == message.workspace_id,
        ProviderEvent.email == suppressions.lower_case(message.to_email),
        ProviderEvent.message_id.is_null(),
        ProviderEvent.created_at.between(message.created_at, until),
    )
    found = [
        row
        for query in (own, of_recipient)
        for row in query.order_by(ProviderEvent.id.desc()).limit(REPORTS_MAX)
    ]
    return sorted(found, key=lambda row: row.id)


def _list_accounts(message: Message, attempts: Sequence[Attempt]) -> list[AccountHealth]:
    """The accounts that the message was tried through, or waits for; all, where it is neither."""
    found = account_health.list_all(message.workspace_id)
    names = {one.smtp_account_name for one in attempts} | {message.pinned_account} - {""}
    return [one for one in found if one.account.name in names] or found


def _list_audit(message: Message) -> list[AuditEntry]:
    """Entries of what people did to it by hand. A job has one for all its messages: the events
    tell of that.
    """
    named = peewee.SQL(
        "(after->'message_ids' ? %s OR after->'messages' ? %s)", (str(message.id),) * 2
    )
    query = (
        AuditEntry.select()
        .where(
            AuditEntry.workspace == message.workspace_id,
            AuditEntry.at >= message.created_at,
            AuditEntry.action.startswith("messages."),
            named,
        )
        .order_by(AuditEntry.seq.desc())
        .limit(AUDIT_MAX)
    )
    with message_log.bounded():
        return list(query)[::-1]


def name_of(bundle: Bundle) -> str:
    """The name of its file."""
    return f"message-{bundle.message.id}.json"


def to_json(bundle: Bundle) -> dict[str, Any]:
    """As plain JSON, in the shape of GET /v1/incidents/bundle."""
    message = bundle.message
    return {
        "workspace_id": message.workspace_id,
        "message_id": str(message.id),
        "generated_at": _time(bundle.generated_at),
        "webhook_window_from": _time(bundle.window_from),
        "webhook_window_to": _time(bundle.window_to),
        "message": _message(message),
        "attempts": [_attempt(one) for one in bundle.attempts],
        "webhook_outcomes": [_report(one) for one in bundle.reports],
        "summary": {
            "attempted_sends": len(bundle.attempts),
            "failed_attempts": bundle.failed_attempt_count,
            "related_webhook_outcomes": len(bundle.reports),
            "dead_letter_webhooks": bundle.dead_letter_count,
        },
        "decision": [_record(one) for one in bundle.decision],
        "events": [_event(one) for one in bundle.events],
        "policy": _policy(bundle),
        "provider_states": [_account(one) for one in bundle.accounts],
        "audit": [_audit_entry(one) for one in bundle.audit],
    }


def _message(message: Message) -> dict[str, Any]:
    return {
        "id": str(message.id),
        "workspace_id": message.workspace_id,
        "submission_id": str(message.submission_id or message.id),
        "message_id_header": message.message_id_header,
        "status": message.status.value,
        "stream": message.stream.value,
        "topic": message.topic,
        "tags": message.tags,
        "metadata": message.metadata,
        "from_email": message.from_email,
        "to_email": message.to_email,
        "subject": message.subject,
        "size_bytes": message.size_bytes,
        "attempt_count": message.attempt_count,
        "excused_count": message.excused_count,
        "smtp_account": message.smtp_account_name,
        "pinned_smtp_account": message.pinned_account or None,
        "last_error": message.last_error,
        "error_class": message.error_class,
        "hold_reason": message.hold_reason,
        "created_at": _time(message.created_at),
        "updated_at": _time(message.updated_at),
        "scheduled_at": _time(message.scheduled_at),
        "next_attempt_at": _time(message.next_attempt_at),
        "expires_at": _time(message.expires_at),
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "attempt_no": attempt.attempt_no,
        "status": attempt.status.value,
        "smtp_account": attempt.smtp_account_name,
        "remote": attempt.remote,
        "started_at": _time(attempt.started_at),
        "finished_at": _time(attempt.finished_at),
        "duration_ms": attempt.duration_ms,
        "success": attempt.is_success,
        "excused": attempt.is_excused,
        "stage": attempt.stage,
        "smtp_code": attempt.smtp_code,
        "enhanced_code": attempt.enhanced_code,
        "response": attempt.response,
        "error_class": attempt.error_class,
        "timings": attempt.timings,
    }


def _report(row: ProviderEvent) -> dict[str, Any]:
    """Without what it was read from: that may hold more than this message."""
    return {
        "id": row.id,
        "provider": row.provider,
        "smtp_account": row.smtp_account_name,
        "event_type": row.event_type,
        "status": row.status.value,
        "email": row.email,
        "message_id": str(row.message_id) if row.message_id else None,
        "attempt_count": row.attempt_count,
        "last_error": row.last_error,
        "occurred_at": _time(row.occurred_at),
        "received_at": _time(row.created_at),
    }


def _record(record: Record) -> dict[str, Any]:
    return {
        "at": _time(record.at),
        "stage": record.stage,
        "attempt_no": record.attempt_no,
        "policy_version": record.policy_version,
        "verdict": record.verdict.value,
        "checks": [
            {"check": one.check.value, "verdict": one.verdict.value, **one.evidence}
            for one in record.checks
        ],
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type,
        "data": event.data,
        "created_at": _time(event.created_at),
    }


def _policy(bundle: Bundle) -> dict[str, Any]:
    version = bundle.policy
    return {
        "accepted_by_version": bundle.message.policy_version,
        "version_in_force": version.rules.version,
        "in_force_since": _time(version.created_at),
        "rules": policies.to_columns(version.rules),
    }


def _account(found: AccountHealth) -> dict[str, Any]:
    breaker = found.breaker
    return {
        "smtp_account": found.account.name,
        "state": found.word.value,
        "is_active": found.account.is_active,
        "pause_reason": found.account.pause_reason,
        "freeze_reason": found.freeze.reason if found.freeze else None,
        "last_fault_at": _time(found.last_fault_at),
        "breaker": {
            "state": breaker.state.value,
            "reason": breaker.reason,
            "error_class": breaker.error_class,
            "opened_at": _time(breaker.opened_at),
            "retry_at": _time(breaker.retry_at),
        },
    }


def _audit_entry(entry: AuditEntry) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "at": _time(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "reason": entry.reason,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")
