"""Words and badges of SMTP accounts: how they do, what they are to the workspace's mail, and what
will happen if somebody does something to them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from maild.domain.breaker import State as BreakerState
from maild.domain.breaker_history import Mode
from maild.models import SmtpAccount
from maild.models.smtp_account import DEFAULT_ACCOUNT, ENVIRONMENT
from maild.services import providers
from maild.services.account_health import AccountHealth, Word
from maild.services.providers import Candidate
from maild.services.webhook_endpoints import State
from maild.web.badges import Badge

HEALTH: dict[Word, Badge] = {
    Word.HEALTHY: Badge("healthy", "check", "ok"),
    Word.DEGRADED: Badge("degraded", "alert", "warn"),
    Word.HALF_OPEN: Badge("being tried", "retry", "info"),
    Word.OPEN: Badge("out of use", "cross", "bad"),
    Word.FROZEN: Badge("frozen", "pause", "warn"),
    Word.PAUSED: Badge("paused", "pause", "warn"),
}

ACTIVE = Badge("active", "arrow", "ok")
STANDING_BY = Badge("standby", "clock", "neutral")
STANDING_IN = Badge("standing in", "arrow", "info")
NOT_USED = Badge("not used", "minus", "neutral")

MODES: dict[Mode, Badge] = {
    Mode.CLOSED: Badge("in use", "check", "ok"),
    Mode.SLOWED: Badge("slowed", "clock", "warn"),
    Mode.HALF_OPEN: Badge("being tried", "retry", "info"),
    Mode.OPEN: Badge("out of use", "cross", "bad"),
    Mode.PAUSED: Badge("paused", "pause", "neutral"),
}

WEBHOOKS: dict[State, Badge] = {
    State.NEEDS_SECRET: Badge("needs a secret", "key", "warn"),
    State.REFUSING: Badge("refusing", "cross", "bad"),
    State.SILENT: Badge("silent", "alert", "warn"),
    State.RECEIVING: Badge("receiving", "check", "ok"),
    State.WAITING: Badge("never heard", "clock", "neutral"),
}
"""The worst first, but for the last two."""

SECURITY: dict[str, str] = {
    "auto": "Encrypted where the server offers it",
    "starttls": "STARTTLS, and nothing without it",
    "tls": "TLS from the start",
    "none": "None: all goes in the clear",
}


@dataclass(frozen=True, slots=True)
class Course:
    """Which way a workspace's mail goes now, in a sentence, and whether that is as it should be."""

    text: str
    tone: str
    account_id: int | None
    """The account that it goes through; None: it waits."""


def course(route: Sequence[Candidate]) -> Course:
    """Where mail that names no account goes at the moment."""
    chosen, first = providers.choose(route), route[0]
    name, state = called(first.account.name), _state(first)
    if chosen is None:
        text = (
            f"Mail waits in the queue: {name} is {state}, and no other account is in order."
            if len(route) > 1
            else f"Mail waits in the queue: {name} is {state}, and no other account stands by."
        )
        return Course(text, "bad", None)
    candidate, place = chosen
    if place:
        text = (
            f"Mail goes through {called(candidate.account.name)}, which stands in while"
            f" {name} is {state}."
        )
        return Course(text, "warn", candidate.account.id)
    return Course(f"Mail goes through {name}.", "ok", candidate.account.id)


def _state(candidate: Candidate) -> str:
    """Why mail does not take an account at the moment."""
    if candidate.is_frozen:
        return HEALTH[Word.FROZEN].word
    if candidate.is_paused:
        return HEALTH[Word.PAUSED].word
    is_tried = candidate.state is BreakerState.HALF_OPEN
    return HEALTH[Word.HALF_OPEN if is_tried else Word.OPEN].word


def called(name: str) -> str:
    """An account in a sentence."""
    return "the account of the environment" if name == DEFAULT_ACCOUNT else f"“{name}”"


def without(route: Sequence[Candidate], account_id: int) -> str:
    """Where mail goes if this account lets none through."""
    others = [candidate for candidate in route if candidate.account.id != account_id]
    chosen = providers.choose(others)
    if len(others) == len(route):
        return "It carries no mail now, and stands by no more."
    if chosen is None:
        return "No other account is in order: mail waits in the queue meanwhile."
    is_first = route[0].account.id == account_id
    other = called(chosen[0].account.name)
    return (
        f"Mail goes through {other} meanwhile."
        if is_first
        else f"Mail goes on through {other}; this one does not stand by meanwhile."
    )


def on_activating(found: AccountHealth, active: SmtpAccount, *, has_fail_over: bool) -> list[str]:
    """What will happen when an account is made the active one, a sentence each."""
    name = called(found.account.name)
    told = [f"From now on, mail of this workspace goes through {name} first."]
    if active.is_sandbox:
        told.append(
            "You leave the sandbox, and mail reaches people. While messages are queued or scheduled"
            " in it this is refused: cancel or hold them first."
        )
    elif active.id == ENVIRONMENT:
        told.append(
            "The account of the environment gets none of this workspace's mail any more, also not"
            " to stand in."
        )
    elif found.account.id == ENVIRONMENT:
        told.append(f"“{active.name}” stands by." if has_fail_over else "")
    elif has_fail_over:
        told.append(f"“{active.name}” stands by, at the place that its priority gives it.")
    told.append("What is on its way at this moment ends as it ends.")
    if found.word in (Word.PAUSED, Word.FROZEN, Word.OPEN):
        told.append(
            f"But it is {HEALTH[found.word].word} now: until that is over, mail takes an account"
            " that stands by, or waits."
        )
    return [sentence for sentence in told if sentence]
