"""What a sender is told whose submission the policy does not let in, and how limits stand."""

from collections.abc import Collection, Iterable
from datetime import datetime

from maild.domain.limits import Usage
from maild.domain.policy import Check, Checked, Decision
from maild.errors import (
    BlockedRecipientDomain,
    FieldError,
    ForbiddenFromDomain,
    InvalidFields,
    MaildError,
    RateLimited,
    summarise,
)
from maild.services.submissions import Submission


def find_tightest(decisions: Iterable[Decision]) -> Usage | None:
    """The limit with the least room left, of all that these decisions counted in."""
    found = (usage for decision in decisions if (usage := decision.tightest) is not None)
    return min(found, key=lambda usage: usage.remaining, default=None)


def rate_headers(usage: Usage) -> dict[str, str]:
    """How a limit stands, as the IETF's draft for RateLimit fields puts it."""
    return {
        "RateLimit-Limit": str(usage.limit),
        "RateLimit-Remaining": str(usage.remaining),
        "RateLimit-Reset": str(usage.reset_seconds),
    }


def of(submission: Submission, place: int, decision: Decision, *, now: datetime) -> MaildError:
    """The error for a submission, because of the decision about the recipient at this place."""
    last, name = decision.last, submission.fields[place]
    if last.check is Check.FROM_DOMAIN:
        detail = f"The workspace's policy does not allow mail from {last.evidence['value']}."
        return ForbiddenFromDomain(detail, errors=[FieldError("from_email", detail)])
    if last.check is Check.RECIPIENT_DOMAIN:
        detail = f"Mail to {last.evidence['value']} is blocked."
        return BlockedRecipientDomain(detail, errors=[FieldError(name, detail)])
    return _rate_limited(decision, last, submission.recipients[place], now)


def of_account(submission: Submission, accounts: Collection[str]) -> InvalidFields | None:
    """The error for a submission that must go through an account that is none of these."""
    name = submission.new.smtp_account
    if name is None or name in accounts:
        return None
    problem = FieldError("smtp_account", f"is no SMTP account of this workspace: {name!r}")
    return InvalidFields(summarise([problem]), errors=[problem])


def _rate_limited(decision: Decision, last: Checked, recipient: str, now: datetime) -> RateLimited:
    whose, domain = "This workspace", None
    if last.check is Check.DOMAIN_LIMIT:
        domain = recipient.rpartition("@")[2]
        whose = f"Mail of this workspace to {domain}"
    limit = last.evidence["limit"]
    detail = f"{whose} is limited to {limit} messages an hour, and they are used up."
    usage = decision.tightest
    assert usage is not None, "it was decided by a limit"
    seconds = usage.reset_seconds  # where it would not fit in its lifetime, or never
    if "free_at" in last.evidence:
        seconds = int(decision.due_at - now.timestamp()) + 1
        detail += f" There is room from {last.evidence['free_at']}."
    error = RateLimited(detail, retry_after_seconds=max(1, seconds))
    error.headers = rate_headers(usage)
    error.domain = domain
    return error
