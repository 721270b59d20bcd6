"""The parts of a bundle as plain JSON: what is told of each row, and what is not.

Nothing is told of where somebody acted from, nor of what a report was read from, which may hold
more than this message; and of the instance's own SMTP account not in which words a server refused
it, which may have been about another workspace's mail.
"""

from datetime import datetime
from typing import Any

from maild.domain.incident import IncidentKind
from maild.domain.policy import Policy
from maild.domain.smtp_reply import Stage
from maild.models import (
    Attempt,
    AuditEntry,
    Event,
    Incident,
    IncidentEntry,
    IncidentSignal,
    Message,
    PolicyVersion,
    ProviderEvent,
)
from maild.models.smtp_account import DEFAULT_ACCOUNT, ENVIRONMENT
from maild.services import policies
from maild.services.account_health import AccountHealth
from maild.services.decisions import Record

_OF_INSTANCE = frozenset(
    {"smtp_account", "error_class", "retry_in_seconds", "open_seconds", "version", "before"}
)
"""What is told of an event of the whole instance."""
_STAGES = {stage.value: position for position, stage in enumerate(Stage)}


def of_message(message: Message) -> dict[str, Any]:
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
        "created_at": time(message.created_at),
        "updated_at": time(message.updated_at),
        "scheduled_at": time(message.scheduled_at),
        "next_attempt_at": time(message.next_attempt_at),
        "expires_at": time(message.expires_at),
    }


def of_attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "attempt_no": attempt.attempt_no,
        "status": attempt.status.value,
        "smtp_account": attempt.smtp_account_name,
        "remote": attempt.remote,
        "started_at": time(attempt.started_at),
        "finished_at": time(attempt.finished_at),
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


def of_dialogue(attempt: Attempt) -> dict[str, Any]:
    """The steps of its SMTP dialogue, in their order, as far as they are kept: how long each took,
    and of the one that decided what the server replied.
    """
    timings: dict[str, float] = attempt.timings or {}
    names = {*timings, *([attempt.stage] if attempt.stage else [])}
    return {
        "attempt_no": attempt.attempt_no,
        "smtp_account": attempt.smtp_account_name,
        "remote": attempt.remote,
        "steps": [
            _step(attempt, name, timings.get(name))
            for name in sorted(names, key=lambda name: (_STAGES.get(name, len(_STAGES)), name))
        ],
    }


def _step(attempt: Attempt, name: str, ms: float | None) -> dict[str, Any]:
    has_decided = name == attempt.stage
    return {
        "step": name,
        "ms": ms,
        "smtp_code": attempt.smtp_code if has_decided else None,
        "enhanced_code": attempt.enhanced_code if has_decided else None,
        "reply": _reply(attempt) if has_decided else None,
    }


def _reply(attempt: Attempt) -> str | None:
    """As a server says it: `550 5.1.1 no such user`."""
    text = attempt.response
    if text is None or attempt.smtp_code is None:
        return text
    enhanced = attempt.enhanced_code
    if enhanced and not text.startswith(enhanced):
        text = f"{enhanced} {text}"
    return f"{attempt.smtp_code} {text}"


def of_report(row: ProviderEvent) -> dict[str, Any]:
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
        "occurred_at": time(row.occurred_at),
        "received_at": time(row.created_at),
    }


def of_record(record: Record) -> dict[str, Any]:
    return {
        "at": time(record.at),
        "stage": record.stage,
        "attempt_no": record.attempt_no,
        "policy_version": record.policy_version,
        "verdict": record.verdict.value,
        "checks": [
            {"check": one.check.value, "verdict": one.verdict.value, **one.evidence}
            for one in record.checks
        ],
    }


def of_event(event: Event) -> dict[str, Any]:
    data: dict[str, Any] = event.data
    if event.workspace_id is None:
        data = {name: value for name, value in data.items() if name in _OF_INSTANCE}
    return {
        "id": event.id,
        "type": event.type,
        "data": data,
        "created_at": time(event.created_at),
    }


def of_policy(row: PolicyVersion | None, policy: Policy) -> dict[str, Any]:
    """A version; without a row, of the instance's defaults."""
    return {
        "version": policy.version,
        "created_at": time(row.created_at) if row else None,
        "created_by": row.created_by if row else None,
        "reason": row.reason if row else None,
        "rules": policies.to_columns(policy),
    }


def of_account(found: AccountHealth) -> dict[str, Any]:
    breaker = found.breaker
    is_shared = found.account.id == ENVIRONMENT
    return {
        "smtp_account": found.account.name,
        "state": found.word.value,
        "is_active": found.account.is_active,
        "pause_reason": found.account.pause_reason,
        "freeze_reason": found.freeze.reason if found.freeze else None,
        "last_fault_at": time(found.last_fault_at),
        "breaker": {
            "state": breaker.state.value,
            "reason": None if is_shared else breaker.reason,
            "error_class": breaker.error_class,
            "opened_at": time(breaker.opened_at),
            "retry_at": time(breaker.retry_at),
        },
    }


def of_incident(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "kind": incident.kind.value,
        "title": incident.title,
        "status": incident.status.value,
        "severity": incident.severity.value,
        "smtp_account": incident.smtp_account,
        "recipient_domain": incident.recipient_domain,
        "message_count": incident.message_count,
        "recipient_count": incident.recipient_count,
        "opened_at": time(incident.opened_at),
        "opened_by": incident.opened_by,
        "since_at": time(incident.since_at),
        "last_seen_at": time(incident.last_seen_at),
        "acknowledged_at": time(incident.acknowledged_at),
        "acknowledged_by": incident.acknowledged_by,
        "assigned_to": incident.assigned_to,
        "resolved_at": time(incident.resolved_at),
        "resolved_by": incident.resolved_by,
        "cause": incident.cause,
        "reopen_count": incident.reopen_count,
        "merged_into": incident.merged_into_id,
    }


def of_signal(signal: IncidentSignal) -> dict[str, Any]:
    """Where it is about the instance's own account as a whole, without the words of a server."""
    is_shared = signal.kind is IncidentKind.PROVIDER and signal.smtp_account == DEFAULT_ACCOUNT
    return {
        "kind": signal.kind.value,
        "error_class": signal.error_class,
        "smtp_account": signal.smtp_account,
        "recipient_domain": signal.recipient_domain,
        "pattern": None if is_shared else signal.pattern,
        "sample": None if is_shared else signal.sample,
        "detail": {} if is_shared else signal.detail,
        "is_active": signal.is_active,
        "first_seen_at": time(signal.first_seen_at),
        "since_at": time(signal.since_at),
        "last_seen_at": time(signal.last_seen_at),
        "message_count": signal.message_count,
    }


def of_entry(one: IncidentEntry | Event) -> dict[str, Any]:
    """Of an incident's timeline: an entry, or what happened meanwhile."""
    if isinstance(one, Event):
        event = of_event(one)
        return {
            "at": event["created_at"],
            "kind": event["type"],
            "actor": None,
            "text": None,
            "data": event["data"],
        }
    data: dict[str, Any] = one.data
    if data.get("smtp_account") == DEFAULT_ACCOUNT:
        # Whether the sample is of this workspace's mail, an entry does not say: its signal does.
        data = {name: value for name, value in data.items() if name != "sample"}
    return {
        "at": time(one.created_at),
        "kind": one.kind.value,
        "actor": one.actor,
        "text": one.text,
        "data": data,
    }


def of_audit_entry(entry: AuditEntry) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "at": time(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "reason": entry.reason,
    }


def time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")
