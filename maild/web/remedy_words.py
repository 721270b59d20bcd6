"""Remedies in words: what each does, what can be taken back, and which of them an incident page
offers, with the reason for those that are out of reach.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from flask import url_for

from maild.domain.freeze import FreezeKind
from maild.domain.incident import IncidentKind
from maild.domain.role import ADMINS, OPERATORS, Role, Roles
from maild.models import Incident
from maild.models.smtp_account import ENVIRONMENT
from maild.services import account_health
from maild.services.account_health import AccountHealth, Word
from maild.services.incident_remedies import Offers
from maild.services.jobs import REASON_MAX_CHARS
from maild.web import access, incident_words, provider_words


class Remedy(StrEnum):
    """What has a preview of its own."""

    RETRY = "retry"
    SEND = "send"
    UNSUPPRESS = "unsuppress"
    PAUSE = "pause"
    RESUME = "resume"
    SWITCH = "switch"


@dataclass(frozen=True, slots=True)
class Words:
    """`title` heads the preview, `verb` what becomes of each, and `button` carries it out; `{}` in
    it is how many, or the account.
    """

    title: str
    verb: str
    button: str
    happens: str
    undo: str
    roles: Roles = OPERATORS
    tone: str = "primary"


WORDS: dict[Remedy, Words] = {
    Remedy.RETRY: Words(
        "Retry what has failed?",
        "retried",
        "Retry {}",
        "Each is queued again, with all its attempts and the lifetime of its stream, and goes out"
        " as soon as its provider takes it. Who is suppressed or has unsubscribed is not mailed.",
        "It can be undone: those that are still queued then are cancelled, unless somebody has"
        " acted on them since. What has gone out stays sent.",
    ),
    Remedy.SEND: Words(
        "Send at once what waits?",
        "sent at once",
        "Send {} at once",
        "Each is tried as soon as a worker is free, and does not wait for its next attempt. It uses"
        " up one of the attempts that it has left, so the cause should be over.",
        "It cannot be undone. What still waits then can be held, by a freeze or in the log.",
    ),
    Remedy.UNSUPPRESS: Words(
        "Undo the suppressions that it made?",
        "removed",
        "Remove {}",
        "The addresses that bounces of these messages have suppressed get mail again. Whoever"
        " complained, or was suppressed by a person, stays suppressed.",
        "It can be undone: the same addresses are suppressed again. What has gone out stays sent.",
        roles=ADMINS,
    ),
    Remedy.PAUSE: Words(
        "Pause the account?",
        "",
        "Pause “{}”",
        "Nothing goes through it until somebody resumes it.",
        "It can be undone at any time, from here or under Providers.",
        roles=ADMINS,
        tone="danger",
    ),
    Remedy.RESUME: Words(
        "Resume the account?",
        "",
        "Resume “{}”",
        "Mail may go through it again, at once. If its breaker is open, a few messages try it"
        " first.",
        "It can be undone: pause it again.",
        roles=ADMINS,
    ),
    Remedy.SWITCH: Words(
        "Switch to another account?",
        "",
        "Switch to “{}”",
        "",
        "It can be undone: activate the other one again, from the message that follows or under"
        " Providers.",
        roles=ADMINS,
    ),
}


@dataclass(frozen=True, slots=True)
class Offered:
    """A remedy on an incident's page. Without `url` it is out of reach, and `why_not` says why."""

    id: str
    words: str
    text: str
    url: str | None
    why_not: str = ""
    is_first: bool = False


def offers(
    incident: Incident,
    counts: Offers,
    accounts: Sequence[AccountHealth],
    names: Sequence[str],
    *,
    role: Role,
    back: str,
) -> list[Offered]:
    """What can be done about it now, what helps most first. `names` are the accounts that it is
    about.
    """
    found = [
        _of_messages(incident, Remedy.UNSUPPRESS, counts.suppressed_count, role),
        _of_messages(incident, Remedy.RETRY, counts.retriable_count, role),
        _of_messages(incident, Remedy.SEND, counts.waiting_count, role),
        *_of_accounts(incident, accounts, names, role),
        _freeze(incident, names, role, back=back),
        _elsewhere(incident),
    ]
    return [one for one in found if one is not None]


_OF_MESSAGES = {
    Remedy.RETRY: (
        "Retry what has failed…",
        "{} failed, or the outcome is unknown. Once the cause is over, retry them all at once.",
    ),
    Remedy.SEND: (
        "Send at once what waits…",
        "{} for a later attempt. Once the cause is over, they need not wait any longer.",
    ),
    Remedy.UNSUPPRESS: (
        "Undo suppressions…",
        "{} suppressed because of it. If the server was wrong, undo that before you retry.",
    ),
}


def _of_messages(incident: Incident, remedy: Remedy, count: int, role: Role) -> Offered | None:
    if not count:
        return None
    title, text = _OF_MESSAGES[remedy]
    one = count == 1
    nouns = {
        Remedy.RETRY: "message" if one else "messages",
        Remedy.SEND: "message waits" if one else "messages wait",
        Remedy.UNSUPPRESS: "address is" if one else "addresses are",
    }
    words = f"{incident_words.number(count)} {nouns[remedy]}"
    url = url_for("remedies.preview", incident_id=incident.id, remedy=remedy.value)
    return _within(
        role, WORDS[remedy].roles, remedy.value, title=title, text=text.format(words), url=url
    )


def _of_accounts(
    incident: Incident, accounts: Sequence[AccountHealth], names: Sequence[str], role: Role
) -> list[Offered]:
    found = []
    for one in accounts:
        account = one.account
        if account.name not in names:
            continue
        called = provider_words.called(account.name)
        if account.is_active:
            found.append(_switch(incident, accounts, called, role))
        if account.id == ENVIRONMENT:
            continue
        remedy = Remedy.RESUME if account.paused_at else Remedy.PAUSE
        text = (
            f"{called} is paused: nothing goes through it."
            if account.paused_at
            else f"Let nothing through {called} until somebody resumes it."
        )
        url = _account_url(incident, remedy, account.id)
        title = f"{remedy.value.capitalize()} {called}…"
        found.append(
            _within(role, ADMINS, f"{remedy.value}-{account.id}", title=title, text=text, url=url)
        )
    return found


def _switch(
    incident: Incident, accounts: Sequence[AccountHealth], called: str, role: Role
) -> Offered:
    title, text = "Switch to another account…", f"Mail of this workspace takes {called} first."
    others = [
        one
        for one in account_health.in_line(accounts)
        if not one.account.is_active and one.word in {Word.HEALTHY, Word.DEGRADED}
    ]
    if not others:
        reason = "No other account is in order. Add one under Providers, or mend one there."
        return Offered("switch", title, text, None, reason)
    best = others[0].account
    title = f"Switch to {provider_words.called(best.name)}…"
    url = _account_url(incident, Remedy.SWITCH, best.id)
    return _within(role, ADMINS, "switch", title=title, text=text, url=url)


def _account_url(incident: Incident, remedy: Remedy, account_id: int) -> str:
    return url_for(
        "remedies.preview", incident_id=incident.id, remedy=remedy.value, account=account_id
    )


def _freeze(incident: Incident, names: Sequence[str], role: Role, *, back: str) -> Offered:
    domain = incident.recipient_domain
    asked: dict[str, Any] = {"reason": reason(incident), "back": back}
    if incident.kind is IncidentKind.DELIVERY and domain and "." in domain:
        asked |= {"what": FreezeKind.RECIPIENT_DOMAIN.value, "target": domain}
        what = f"mail to {domain}"
    elif names:
        asked |= {"what": f"{FreezeKind.SMTP_ACCOUNT.value}:{names[0]}"}
        what = f"mail through {provider_words.called(names[0])}"
    else:
        asked |= {"what": FreezeKind.WORKSPACE.value}
        what = "the mail of this workspace, or a part of it"
    text = f"Let {what} stand still for a while. Nothing is lost: it goes out when the freeze ends."
    url = url_for("freezes.new", **asked)
    return _within(role, OPERATORS, "freeze", title="Freeze mail…", text=text, url=url)


def _elsewhere(incident: Incident) -> Offered | None:
    """Where what this kind is about is looked into."""
    ways: dict[IncidentKind, tuple[str, str, str, dict[str, Any]]] = {
        IncidentKind.DEAD_LETTERS: (
            "Dead letters",
            "Read why they could not be applied, and replay them once that is mended.",
            "dead_letters.index",
            {},
        ),
        IncidentKind.SILENT_PROVIDER: (
            "Webhooks",
            "See what comes in, and compare address and secret with those at the provider.",
            "webhook_endpoints.of_active",
            {},
        ),
        IncidentKind.UNKNOWN_OUTCOMES: (
            "Unknown outcomes",
            "Say for each whether it was sent, once the provider has told you.",
            "logs.index",
            {"status": "unknown"},
        ),
    }
    if incident.kind not in ways:
        return None
    title, text, endpoint, values = ways[incident.kind]
    return Offered("elsewhere", title, text, url_for(endpoint, **values))


def reason(incident: Incident) -> str:
    """What is written down with a remedy, unless somebody writes something else."""
    return f"Incident {incident.id}: {incident.title}"[:REASON_MAX_CHARS]


def _within(role: Role, roles: Roles, id_: str, *, title: str, text: str, url: str) -> Offered:
    if role in roles:
        return Offered(id_, title, text, url)
    needed = access.OPERATOR_NEEDED if roles == OPERATORS else access.ADMIN_NEEDED
    return Offered(id_, title, text, None, needed)
