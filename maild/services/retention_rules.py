"""Every table, and what keeps it from growing for ever: one place, which a test compares with the
database.

A table that grows is in `GROWING`, with what ends a row and after how long; one whose rows go with
another's is in `WITH`; one that is as large as what people set up is in `BOUNDED`, with the reason.
`SMALL` are the pruners that need no batches, for `scheduler.take_stock`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from maild.services import (
    acceptance,
    audiences,
    confirmations,
    contact_files,
    mailed_links,
    notification_channels,
    provider_checks,
    providers,
    rollups,
    sessions,
    soft_bounces,
    suppression_files,
    template_drafts,
    webhook_endpoints,
)

SMALL: tuple[Callable[[], object], ...] = (
    rollups.fold,
    providers.prune_tallies,
    provider_checks.prune,
    acceptance.prune,
    webhook_endpoints.prune,
    notification_channels.prune,
    soft_bounces.prune,
    suppression_files.prune,
    contact_files.prune,
    audiences.prune,
    template_drafts.prune,
    sessions.prune,
    mailed_links.prune,
    confirmations.prune,
)
"""Once a minute, each in few statements."""


@dataclass(frozen=True, slots=True)
class Growing:
    """What ends a row, after how long it goes then, and who removes it."""

    ends: str
    after: str
    by: str


_MESSAGES, _PRUNER = "RETENTION_MESSAGES", "retention_pruner"

GROWING: dict[str, Growing] = {
    "messages": Growing("its latest change, once it has ended", _MESSAGES, _PRUNER),
    "message_bodies": Growing(
        "as its message; the content goes first, the row with it", "RETENTION_BODIES", _PRUNER
    ),
    "message_attachments": Growing("as its message", "RETENTION_BODIES", _PRUNER),
    "events": Growing("as its message; without one, when it happened", _MESSAGES, _PRUNER),
    "attempts": Growing("as its message", _MESSAGES, _PRUNER),
    "log_blocks": Growing("when the last of its messages went", "at once", _PRUNER),
    "webhook_payloads": Growing(
        "when it came and all in it is applied; the body goes first",
        "RETENTION_WEBHOOKS, RETENTION_MESSAGES",
        _PRUNER,
    ),
    "provider_events": Growing("with its payload", _MESSAGES, _PRUNER),
    "incidents": Growing("when it is resolved", _MESSAGES, _PRUNER),
    "jobs": Growing("when it ends", _MESSAGES, _PRUNER),
    "job_items": Growing("with its job", _MESSAGES, _PRUNER),
    "notifications": Growing("when it is settled", _MESSAGES, _PRUNER),
    "audit_entries": Growing("when it is written", "RETENTION_AUDIT", _PRUNER),
    "retention_leftovers": Growing("when its row may go, or is gone", "1 day", _PRUNER),
    "disk_samples": Growing("when it is taken", "400 days", "retention_forecast"),
    "incident_signals": Growing(
        "when it was last seen", "1 day without incident", "incident_watch"
    ),
    "incident_tallies": Growing("when its five minutes are over", "1 day", "incident_watch"),
    "incident_messages": Growing(
        "with its message or signal; without incident when it was seen", "1 day", "incident_watch"
    ),
    "traffic_tallies": Growing("when its minute is over", "3 minutes", "rollups"),
    "rollups": Growing("of minutes; those of hours stay, for bills", "8 days", "rollups"),
    "limit_tallies": Growing("when its window is over", "1 hour", "acceptance"),
    "idempotency_keys": Growing("when it is used", "24 hours", "acceptance"),
    "account_tallies": Growing("when its slot is over", "some minutes", "providers"),
    "webhook_tallies": Growing("when its slot is over", "30 days", "webhook_endpoints"),
    "webhook_secrets": Growing("when it ends", "1 day", "webhook_endpoints"),
    "notification_secrets": Growing("when it ends", "at once", "notification_channels"),
    "provider_checks": Growing(
        "when there are newer ones", "the latest few stay", "provider_checks"
    ),
    "soft_bounces": Growing("when it happened", "180 days", "soft_bounces"),
    "suppression_files": Growing("when it came", "7 days", "suppression_files"),
    "contact_files": Growing("when it came", "7 days", "contact_files"),
    "template_drafts": Growing("when it was last typed into", "30 days", "template_drafts"),
    "opt_in_asks": Growing("when the mail went out", "30 days", "confirmations"),
    "sessions": Growing("when it runs out", "at once", "sessions"),
    "mailed_links": Growing("when it runs out", "at once", "mailed_links"),
    "workers": Growing("when its lease ends", "at once", "workers"),
}

WITH: dict[str, str] = {
    "job_inputs": "jobs",
    "incident_entries": "incidents",
    "restored_messages": "messages",
    "contact_file_chunks": "contact_files",
    "contact_file_addresses": "contact_files",
    "contact_rejections": "contact_files",
    "contact_changes": "jobs",
    "contact_import_parts": "jobs",
}
"""Tables whose rows go with another's, by a foreign key that cascades."""

BOUNDED: dict[str, str] = {
    "workspaces": "as many as people make",
    "smtp_accounts": "as many as people set up",
    "api_keys": "as many as people make; a revoked one stays known",
    "link_keys": "a few for each workspace; old mail carries links of each",
    "policies": "a version for each change that a person makes",
    "suppressions": "one for each address; what must not be mailed is never forgotten",
    "unsubscribes": "one for each address and topic; who has left is never forgotten",
    "freezes": "one for each time that a person stops mail",
    "notification_channels": "as many as people set up",
    "breakers": "one for each SMTP account",
    "accepted_tallies": "32 for each workspace",
    "audit_heads": "one for each workspace",
    "audit_cuts": "one for each workspace",
    "conservation_checks": "one for each workspace",
    "periodic_jobs": "one for each periodic job",
    "webhook_endpoints": "as many as people set up",
    "people": "one for each person",
    "recovery_codes": "a few for each person",
    "members": "one for each person and workspace",
    "invitations": "as many as admins write; bounded for each workspace",
    "saved_views": "as many as people save; bounded for each person",
    "incident_cursors": "one row",
    "onboarding_steps": "a few for each workspace",
    "policy_reviews": "one for each workspace",
    "domains": "as many as people add",
    "domain_checks": "a few for each domain",
    "dkim_keys": "a few for each domain; retired ones stay known",
    "retention_policies": "one for each workspace",
    "retention_progress": "one for each workspace and rule",
    "contacts": "one for each address that people keep",
    "contact_attributes": "bounded for each workspace",
    "topics": "bounded for each workspace",
    "audiences": "bounded for each workspace; a deleted one goes after some minutes",
    "audience_members": "as many as contacts on lists",
    "segments": "as many as people make",
    "templates": "as many as people make; an archived one can come back",
    "template_versions": "a version for each change that a person makes",
    "confirmation_mails": "one for each workspace",
    "campaigns": "as many as people make",
    "campaign_recipients": "one for each contact and campaign",
    "campaign_settings": "one for each workspace",
    "contact_engagements": "one for each contact",
    "restores": "one for each restore that a person makes",
}
