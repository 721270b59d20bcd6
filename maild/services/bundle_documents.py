"""What the document of a bundle is put together from: its head, what is told of a message, the
rules that it went by, and the seal.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from maild import __version__, config
from maild.domain import bundle_check, bundle_zip, canonical, redaction
from maild.domain.provider_event import ReportStatus
from maild.domain.redaction import Redactor
from maild.models import Attempt, Event, Message, ProviderEvent
from maild.services import bundle_parts, bundle_rows, decisions, policies


@dataclass(frozen=True, slots=True)
class Bundle:
    """The document, sealed; `stem` is the name of its file, without the ending."""

    stem: str
    document: dict[str, Any]


def make_redactor() -> Redactor:
    """One that knows the secrets of this instance."""
    settings = config.current()
    known = (
        settings.admin_api_key,
        settings.operator_api_key,
        settings.smtp.password,
        settings.webhooks.signing_secret,
    )
    return Redactor(tuple(one for one in known if one))


def head(
    workspace_id: int,
    *,
    at: datetime,
    message_id: uuid.UUID | None = None,
    incident_id: int | None = None,
) -> dict[str, Any]:
    """What every document begins with."""
    return {
        "format": bundle_check.FORMAT,
        "generated_by": __version__,
        "workspace_id": workspace_id,
        "message_id": str(message_id) if message_id else None,
        "incident_id": incident_id,
        "generated_at": bundle_parts.time(at),
    }


def tell_message(
    message: Message,
    attempts: Sequence[Attempt],
    events: Sequence[Event],
    reports: Sequence[ProviderEvent],
) -> dict[str, Any]:
    """What is told of one message, but for its mail."""
    failed = sum(one.finished_at is not None and not one.is_success for one in attempts)
    dead = sum(one.status is ReportStatus.DEAD_LETTER for one in reports)
    return {
        "message": bundle_parts.of_message(message),
        "attempts": [bundle_parts.of_attempt(one) for one in attempts],
        "dialogues": [bundle_parts.of_dialogue(one) for one in attempts],
        "webhook_outcomes": [bundle_parts.of_report(one) for one in reports],
        "summary": {
            "attempted_sends": len(attempts),
            "failed_attempts": failed,
            "related_webhook_outcomes": len(reports),
            "dead_letter_webhooks": dead,
        },
        "decision": [
            bundle_parts.of_record(one) for one in decisions.list_records(attempts, events)
        ],
        "events": [bundle_parts.of_event(one) for one in events],
    }


def sum_up(told: Sequence[dict[str, Any]]) -> dict[str, int]:
    """The summaries of several messages together."""
    names = ("attempted_sends", "failed_attempts", "related_webhook_outcomes")
    return {
        name: sum(one["summary"][name] for one in told) for name in (*names, "dead_letter_webhooks")
    }


def tell_rules(
    workspace_id: int, accepted_by: int | None, told: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The policy in force, and the versions by which these messages were decided about.
    `accepted_by` is the version by which the one message was accepted.
    """
    in_force = policies.get_in_force(workspace_id)
    decided_by = [record["policy_version"] for one in told for record in one["decision"]]
    found = bundle_rows.list_policies(workspace_id, [accepted_by, *decided_by])
    return {
        "policy": {
            "accepted_by_version": accepted_by,
            "version_in_force": in_force.rules.version,
            "in_force_since": bundle_parts.time(in_force.created_at),
            "rules": policies.to_columns(in_force.rules),
        },
        "policies": [
            bundle_parts.of_policy(row, bundle_rows.rules_of(workspace_id, row)) for row, _ in found
        ],
    }


def seal(
    stem: str,
    document: dict[str, Any],
    redactor: Redactor,
    *,
    mails: dict[uuid.UUID, dict[str, Any]],
) -> Bundle:
    """The document without secrets, with its mails (which have none), and with its hash."""
    clean = redactor.value(document)
    for one in bundle_zip.messages(clean):
        one["raw"] = mails[uuid.UUID(one["message"]["id"])]
    clean["removed"] = redaction.tell(redactor.removed)
    return Bundle(stem, canonical.seal(clean))
