"""Onboarding: how far a workspace is on its way from nothing to mail that is watched over.

Nobody ticks anything off: each step is done when the database says so, and is to do again when that
is no longer true. The wizard is in `onboarding_steps`: it, and the dashboard with it, has steps of
its own, which are judged by these.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from maild import config
from maild.services import onboarding_facts, workspaces

CHECKLIST = (
    "smtp_account_configured",
    "active_smtp_provider_selected",
    "provider_failover_ready",
    "workspace_policy_reviewed",
    "message_flow_verified",
    "webhook_flow_verified",
    "domain_readiness_checked",
)
"""What the API lists."""


@dataclass(frozen=True, slots=True)
class Step:
    """`id` is what programs know it by.

    `evidence` is what the database says of it: a `summary` in words, and the facts in it by name.
    `action` says what to do next, and where.
    """

    id: str
    title: str
    text: str
    is_done: bool
    evidence: Mapping[str, Any] = field(default_factory=dict)
    action: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """The steps in their order."""

    steps: tuple[Step, ...]

    @property
    def done_count(self) -> int:
        return sum(step.is_done for step in self.steps)


def find_checklist(workspace_id: int) -> Progress:
    """The steps of CHECKLIST, all of them and in that order. Raises NotFound (the workspace)."""
    workspaces.require(workspace_id)
    return Progress(judge(onboarding_facts.find(workspace_id)))


def list_extras(found: Mapping[str, Any]) -> list[Step]:
    """What is good to have, and no step of the wizard, as these facts tell it. Fail-over is left
    out where this maild has it switched off.
    """
    has_failover = config.current().auto_failover.enabled
    return [
        _api_key(found),
        _colleague(found),
        *([_failover(found)] if has_failover else []),
    ]


def judge(found: Mapping[str, Any]) -> tuple[Step, ...]:
    """The steps of CHECKLIST, as these facts tell them."""
    return (
        _account(found),
        _active(found),
        _failover(found),
        _policy(found),
        _message(found),
        _webhook(found),
        _domain(found),
    )


def _api_key(found: Mapping[str, Any]) -> Step:
    name = found["key_name"]
    return Step(
        "api_key_created",
        "Make an API key",
        "Your applications send with it.",
        name is not None,
        {"summary": f"The newest key that may send is “{name}”." if name else "There is none."},
        "Make a key that may send: /ui/settings/api-keys.",
    )


def _colleague(found: Mapping[str, Any]) -> Step:
    count = found["member_count"]
    return Step(
        "colleague_invited",
        "Invite a colleague",
        "Nobody should be on call alone.",
        count > 1 or found["has_invited"],
        {"summary": f"The workspace has {_count(count, 'member')}.", "member_count": count},
        "Invite somebody: /ui/settings/invitations.",
    )


def _account(found: Mapping[str, Any]) -> Step:
    count, names = found["account_count"], found["account_names"] or []
    is_done = count > 0
    summary = f"{_count(count, 'SMTP account')} saved: {', '.join(names)}"
    return Step(
        "smtp_account_configured",
        "Save an SMTP account",
        "The provider of your own. Until you have one, mail goes through the account that this"
        " maild was installed with.",
        is_done,
        {
            "summary": f"{summary}{', ...' if count > len(names) else ''}."
            if is_done
            else "The workspace has no SMTP account of its own.",
            "account_count": count,
            "accounts": names,
        },
        "Nothing is left to do; the accounts are at /ui/providers."
        if is_done
        else "Save an account, or take the sandbox: /ui/onboarding/provider, or"
        " POST /v1/smtp-accounts.",
    )


def _active(found: Mapping[str, Any]) -> Step:
    name = found["active_name"]
    return Step(
        "active_smtp_provider_selected",
        "Make it the active one",
        "The active account carries the workspace's mail.",
        name is not None,
        {
            "summary": f"“{name}” ({found['active_host']}) carries the mail."
            if name
            else "No account of the workspace is active: mail goes through that of the"
            " environment.",
            "smtp_account": name,
            "host": found["active_host"],
        },
        "Nothing is left to do; another account is activated at /ui/providers."
        if name
        else "Check an account and activate it: /ui/onboarding/provider, or"
        " POST /v1/smtp-accounts/activate.",
    )


def _failover(found: Mapping[str, Any]) -> Step:
    usable, is_on = found["usable_count"], config.current().auto_failover.enabled
    summary = f"{_count(usable, 'account')} that may be used"
    is_done = usable > 1 and is_on
    action = "Save a second account: /ui/providers/new, or POST /v1/smtp-accounts."
    if is_done:
        action = "Nothing is left to do; the order of the accounts is at /ui/providers."
    elif not is_on:
        action = "Nothing can be done here: whoever runs this maild sets AUTO_FAILOVER_ENABLED."
    return Step(
        "provider_failover_ready",
        "Have a second SMTP account",
        "Mail takes it while the active one is out of use.",
        is_done,
        {
            "summary": f"{summary}; fail-over is switched {'on' if is_on else 'off'}.",
            "usable_account_count": usable,
            "is_failover_enabled": is_on,
        },
        action,
    )


def _policy(found: Mapping[str, Any]) -> Step:
    version = found["policy_version"]
    if found["reviewed_by"] is not None:
        who, when, did = found["reviewed_by"], found["reviewed_at"], "found fine"
    else:
        who, when, did = found["policy_by"], found["policy_at"], "saved"
    is_done = who is not None
    if is_done:
        what = f"Version {version}" if version else "The defaults of this maild, version 0,"
        summary = f"{what} {'was' if version else 'were'} {did} by {who}, {_at(when)}."
    else:
        summary = "The defaults of this maild hold, and nobody has looked at them."
    return Step(
        "workspace_policy_reviewed",
        "Look at your policy",
        "Limits, blocked domains, how often a message is tried. Until you save one, the"
        " defaults of this maild hold.",
        is_done,
        {"summary": summary, "version": version, "by": who, "at": when},
        "Nothing is left to do; the policy is at /ui/onboarding/policy."
        if is_done
        else "Read what holds, and say that it is fine, or change it: /ui/onboarding/policy.",
    )


def _message(found: Mapping[str, Any]) -> Step:
    message_id, status = found["message_id"], found["message_status"]
    words = {"sent": "was taken by its provider", "delivered": "was delivered"}
    is_done = message_id is not None
    return Step(
        "message_flow_verified",
        "Send a message",
        "It is done once a provider has taken one.",
        is_done,
        {
            "summary": f"The message to {found['to_email']}"
            f" {words.get(status, 'reached its recipient')}, {_at(found['message_at'])}."
            if is_done
            else "No provider has taken a message of this workspace yet.",
            "message_id": str(message_id) if is_done else None,
            "to_email": found["to_email"],
            "status": status,
            "smtp_account": found["message_account"],
            "at": found["message_at"],
        },
        "Nothing is left to do; messages are at /ui/logs."
        if is_done
        else "Send a test: /ui/onboarding/test-message, or POST /v1/messages.",
    )


def _webhook(found: Mapping[str, Any]) -> Step:
    at = found["report_at"]
    is_done, message_id = at is not None, found["report_message_id"]
    return Step(
        "webhook_flow_verified",
        "Let your provider report back",
        "Then you see what was delivered, and bounces and complaints stop mail to an address by"
        " themselves.",
        is_done,
        {
            "summary": f"“{found['report_type']}” was reported of {found['report_email']}, and"
            f" applied, {_at(at)}."
            if is_done
            else "No report of a provider has been applied yet.",
            "event_type": found["report_type"],
            "email": found["report_email"],
            "provider": found["report_provider"],
            "message_id": str(message_id) if message_id else None,
            "at": at,
        },
        "Nothing is left to do; the endpoints are at /ui/providers/webhooks."
        if is_done
        else "Tell your provider where to report: /ui/onboarding/webhook, or"
        " POST /v1/webhooks/endpoints.",
    )


def _domain(found: Mapping[str, Any]) -> Step:
    name, is_ready = found["domain_name"], found["domain_is_ready"]
    is_done = name is not None
    lacking = [check.upper() for check in found["domain_lacking"] or []]
    words = {True: "is ready to send from", False: "is not ready yet"}
    verdict = words.get(is_ready, "could not be judged: the DNS did not answer")
    if found["domain_is_no_name"]:
        verdict += ", and does not exist in the DNS"
    elif lacking:
        verb = "is" if len(lacking) == 1 else "are"
        verdict += f": {' and '.join(lacking)} {verb} not in order"
    return Step(
        "domain_readiness_checked",
        "Check your domain",
        "SPF, DKIM and DMARC decide whether mail from your domain is believed.",
        is_done,
        {
            "summary": f"{name} {verdict}; checked {_at(found['domain_at'])}."
            if is_done
            else "No domain has been checked.",
            "domain": name,
            "is_ready": is_ready,
            "lacking": found["domain_lacking"] or [],
            "at": found["domain_at"],
        },
        "Nothing is left to do; the domains are at /ui/domains."
        if is_done and is_ready
        else "Mend what the check names: /ui/domains."
        if is_done
        else "Check the domain that you send from: /ui/onboarding/domain, or"
        " POST /v1/domains/readiness.",
    )


def _count(number: int, word: str) -> str:
    return f"{number or 'No'} {word}{'' if number == 1 else 's'}"


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
