"""Bundles: all the evidence of what became of a message, or of an incident with a sample of its
messages, in one piece, to be kept or handed on.

A bundle is a document of plain JSON, sealed with a hash (`domain/canonical`). Nothing of another
workspace is in it, and no secret: what would let its reader act as somebody else is taken out
(`domain/redaction`), and the document says so. It holds the mail itself, for those who may read it.
"""

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from maild import clock, log
from maild.domain import bundle_zip, canonical, incident_advice
from maild.models import Message
from maild.services import bundle_documents as documents
from maild.services import (
    bundle_mails,
    bundle_parts,
    bundle_rows,
    incident_messages,
    incident_stories,
    incidents,
    messages,
    timeline,
)
from maild.services.bundle_documents import Bundle

logger = log.get(__name__)

CAPS = {
    "attempts": bundle_rows.ATTEMPTS_MAX,
    "events": timeline.EVENTS_MAX,
    "provider_events": timeline.PROVIDER_EVENTS_MAX,
    "webhook_outcomes": 2 * bundle_rows.REPORTS_MAX,
    "policies": bundle_rows.POLICIES_MAX,
    "audit": bundle_rows.AUDIT_MAX,
    "mail_bytes": bundle_mails.MAIL_MAX_BYTES,
}
"""The most that the bundle of a message holds of each; the newest."""
SAMPLE_MAX = 20
INCIDENT_CAPS = {
    "messages": SAMPLE_MAX,
    "signals": bundle_rows.SIGNALS_MAX,
    "timeline": incident_stories.ENTRIES_MAX,
    "timeline_events_of_a_kind": incident_stories.EVENTS_MAX,
    "attempts_of_a_message": bundle_rows.SAMPLE_ATTEMPTS_MAX,
    "events_of_a_message": bundle_rows.SAMPLE_EVENTS_MAX,
    "webhook_outcomes_of_a_message": bundle_rows.SAMPLE_REPORTS_MAX,
    "policies": bundle_rows.POLICIES_MAX,
    "audit": bundle_rows.AUDIT_MAX,
    "mail_bytes": bundle_mails.SAMPLE_MAX_BYTES,
}
"""The same of an incident's."""

_NEVER = (
    "What a report of a provider was read from is not here: it may tell of other messages.",
    "In which words a server refused the instance's own SMTP account as a whole is not here: that"
    " may have been about somebody else's mail.",
)


class Form(StrEnum):
    """As what file a bundle comes."""

    JSON = "json"
    ZIP = "zip"


@dataclass(frozen=True, slots=True)
class File:
    name: str
    content_type: str
    content: bytes


def of_message(workspace_id: int, message_id: uuid.UUID) -> Bundle:
    """Raises NotFound, also for another workspace's message."""
    message = messages.get(workspace_id, message_id)
    now = clock.now()
    redactor = documents.make_redactor()
    attempts = timeline.list_attempts(message)[-bundle_rows.ATTEMPTS_MAX :]
    events = timeline.list_events(message)
    reports = bundle_rows.list_reports(message, until=now)
    told = documents.tell_message(message, attempts, events, reports)
    names = {one.smtp_account_name for one in attempts} | {message.pinned_account} - {""}
    return documents.seal(
        f"message-{message.id}",
        {
            **documents.head(workspace_id, message_id=message.id, at=now),
            "webhook_window_from": bundle_parts.time(message.created_at),
            "webhook_window_to": bundle_parts.time(now),
            **told,
            **documents.tell_rules(workspace_id, message.policy_version, [told]),
            "provider_states": [
                bundle_parts.of_account(one)
                for one in bundle_rows.list_accounts(workspace_id, names)
            ],
            "audit": [
                bundle_parts.of_audit_entry(one)
                for one in bundle_rows.list_audit_of_message(message)
            ],
            "caps": CAPS,
            "left_out": list(_NEVER),
        },
        redactor,
        mails={message.id: bundle_mails.of_one(message, redactor=redactor)},
    )


def of_incident(workspace_id: int, incident_id: int) -> Bundle:
    """With the newest SAMPLE_MAX messages that it touched. Raises NotFound, also for another
    workspace's.
    """
    incident = incidents.get(workspace_id, incident_id)
    now = clock.now()
    redactor = documents.make_redactor()
    signals = bundle_rows.list_signals(incident)
    sample = list(incident_messages.list_page(incident, limit=SAMPLE_MAX).messages)
    told = _tell_sample(sample)
    story = incident_stories.list_entries(incident)
    by_status = incident_messages.count_by_status(incident)
    advice = incident_advice.advise(incident.kind, [one.error_class for one in signals])
    names = {incident.smtp_account, *(one.smtp_account for one in signals)}
    names |= {one.smtp_account_name for one in sample}
    return documents.seal(
        f"incident-{incident.id}",
        {
            **documents.head(workspace_id, incident_id=incident.id, at=now),
            "webhook_window_from": bundle_parts.time(incident.since_at),
            "webhook_window_to": bundle_parts.time(now),
            "incident": bundle_parts.of_incident(incident),
            "advice": asdict(advice),
            "signals": [bundle_parts.of_signal(one) for one in signals],
            "timeline": [bundle_parts.of_entry(one) for one in story],
            "message_count": incident.message_count,
            "messages_by_status": {status.value: n for status, n in by_status.items()},
            "messages": told,
            "summary": documents.sum_up(told),
            **documents.tell_rules(workspace_id, None, told),
            "provider_states": [
                bundle_parts.of_account(one)
                for one in bundle_rows.list_accounts(workspace_id, names)
            ],
            "audit": [
                bundle_parts.of_audit_entry(one)
                for one in bundle_rows.list_audit_of_incident(
                    workspace_id, incident.id, since=incident.since_at
                )
            ],
            "caps": INCIDENT_CAPS,
            "left_out": list(_NEVER),
        },
        redactor,
        mails=bundle_mails.of_sample(sample, redactor=redactor),
    )


def _tell_sample(sample: Sequence[Message]) -> list[dict[str, Any]]:
    ids = [one.id for one in sample]
    attempts = bundle_rows.sample_attempts(ids)
    events = bundle_rows.sample_events(ids)
    reports = bundle_rows.sample_reports(ids)
    return [
        documents.tell_message(
            one, attempts.get(one.id, []), events.get(one.id, []), reports.get(one.id, [])
        )
        for one in sample
    ]


def render(bundle: Bundle, form: Form) -> File:
    """The bundle as a file; the same one gives the same bytes."""
    logger.info(
        "bundle.made", bundle=bundle.stem, form=form, sha256=bundle.document[canonical.HASH_NAME]
    )
    if form is Form.ZIP:
        content = bundle_zip.write(bundle.document)
        return File(f"{bundle.stem}.zip", "application/zip", content)
    content = bundle_zip.pretty(bundle.document)
    return File(f"{bundle.stem}.json", "application/json", content)
