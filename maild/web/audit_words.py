"""The audit log in words: what somebody did, as it follows their name in a sentence."""

ACTIONS: dict[str, str] = {
    "api_key.created": "made an API key",
    "api_key.revoked": "revoked an API key",
    "deployment.recorded": "told of a deployment",
    "dkim_key.activated": "let a DKIM key sign",
    "dkim_key.prepared": "made a DKIM key",
    "dkim_key.retired": "retired a DKIM key",
    "dkim_key.stopped": "stopped signing with a DKIM key",
    "domain.accepted": "took a domain's DNS records as they are",
    "domain.added": "added a sending domain",
    "domain.changed": "chose the DKIM selector of a domain",
    "domain.removed": "removed a sending domain",
    "freeze.extended": "extended a freeze",
    "freeze.lifted": "lifted a freeze",
    "freeze.started": "started a freeze",
    "incident.acknowledged": "looks after an incident",
    "incident.assigned": "assigned an incident",
    "incident.merged": "merged two incidents",
    "incident.noted": "wrote a note on an incident",
    "incident.opened": "opened an incident",
    "incident.reopened": "reopened an incident",
    "incident.resolved": "resolved an incident",
    "incident.severity_set": "said how bad an incident is",
    "invitation.created": "invited somebody",
    "invitation.not_sent": "wanted to invite somebody, and the mail was not taken",
    "invitation.restored": "took the revoking of an invitation back",
    "invitation.revoked": "revoked an invitation",
    "invitation.sent_again": "sent an invitation again",
    "job.cancelled": "stopped a job",
    "job.resumed": "let a job go on",
    "job.started": "started a job",
    "job.undone": "had a job undone",
    "link_key.added": "made a new key for unsubscribe links",
    "member.joined": "joined",
    "member.left": "left the workspace",
    "member.removed": "removed a member",
    "member.restored": "took a member in again",
    "member.role_changed": "changed a member's role",
    "messages.cancelled": "cancelled messages",
    "messages.exported": "exported messages",
    "messages.held": "held messages",
    "messages.released": "released messages",
    "messages.resent": "resent messages",
    "messages.resolved": "resolved unknown outcomes",
    "messages.retried": "retried messages",
    "notification_channel.added": "added a notification channel",
    "notification_channel.changed": "changed a notification channel",
    "notification_channel.removed": "removed a notification channel",
    "notification_channel.secret_rotated": "gave a notification channel another secret",
    "notification_channel.switched_off": "switched a notification channel off",
    "notification_channel.tested": "sent a test to a notification channel",
    "onboarding.resumed": "took a step of the set-up up again",
    "onboarding.skipped": "put off a step of the set-up",
    "person.email_changed": "changed their address",
    "person.password_changed": "changed their password",
    "person.signed_up": "signed up",
    "policy.changed": "changed the policy",
    "policy.reviewed": "found the policy fine as it is",
    "provider_events.dismissed": "dismissed dead letters",
    "provider_events.replayed": "replayed reports of providers",
    "provider_events.restored": "took the dismissal of dead letters back",
    "second_factor.codes_renewed": "made new recovery codes",
    "second_factor.disabled": "switched the second factor off",
    "second_factor.enabled": "switched a second factor on",
    "second_factor.recovery_code_used": "logged in with a recovery code",
    "secrets.rotated": "encrypted the stored secrets anew",
    "saved_view.changed": "changed a view of the log",
    "saved_view.removed": "removed a view of the log",
    "saved_view.restored": "took the removal of a view of the log back",
    "saved_view.saved": "saved a view of the log",
    "smtp_account.activated": "activated an SMTP account",
    "smtp_account.checked": "had an SMTP account checked",
    "smtp_account.deleted": "deleted an SMTP account",
    "smtp_account.moved": "gave an SMTP account another place",
    "smtp_account.paused": "paused an SMTP account",
    "smtp_account.resumed": "resumed an SMTP account",
    "smtp_account.saved": "saved an SMTP account",
    "smtp_account.tested": "sent a test through an SMTP account",
    "suppression.added": "suppressed an address",
    "suppression.removed": "removed a suppression",
    "suppression.restored": "took the removal of a suppression back",
    "suppressions.exported": "exported suppressions",
    "suppressions.import_undone": "took an import of suppressions back",
    "suppressions.imported": "imported suppressions",
    "unsubscribe.added": "noted that somebody unsubscribed",
    "unsubscribe.removed": "took an unsubscribe back",
    "unsubscribe.restored": "took the return of somebody who unsubscribed back",
    "unsubscribes.exported": "exported unsubscribes",
    "webhook_endpoint.added": "added a webhook endpoint",
    "webhook_endpoint.confirmed": "confirmed a webhook endpoint",
    "webhook_endpoint.deleted": "deleted a webhook endpoint",
    "webhook_secret.added": "gave a webhook endpoint a secret",
    "webhook_secret.removed": "took a secret from a webhook endpoint",
    "workspace.created": "made the workspace",
    "workspace.renamed": "renamed the workspace",
}

_KINDS = {
    "SMTP account ": "",
    "suppression:": "",
    "view ": "",
    "unsubscribe:": "",
    "webhook endpoint ": "number ",
    "job ": "number ",
    "link key ": "number ",
    "DKIM key ": "",
    "policy ": "version ",
}
"""What stands before the name of a target and is in the words already, and what takes its place."""
_NAMELESS = frozenset(
    {"messages", "provider events", "stored secrets", "suppressions", "unsubscribes"}
)


def say(action: str) -> str:
    """`made an API key`; what this version of maild does not know is said as it is stored."""
    return ACTIONS.get(action) or f"did “{action}”"


def name_of(target: str) -> str:
    """What it was done to, without what `say` tells; empty where that is all: `main`,
    `ann@example.org`, `version 3`.
    """
    if target in _NAMELESS:
        return ""
    for kind, place in _KINDS.items():
        if target.startswith(kind):
            return place + target.removeprefix(kind)
    return target


def tell(actor: str, action: str, target: str) -> str:
    """`ann@example.org suppressed an address: bob@example.org`."""
    did = f"{actor} {say(action)}"
    name = name_of(target)
    return f"{did}: {name}" if name and name != actor else did
