"""A workspace's policy, and the decision about one message: ordered checks, each with its verdict
and what it was made from. Pure: the facts are brought by whoever asks.

The same function decides when a message is accepted, when a sender only asks, and when past traffic
is run through another policy. What a claim checks again is one SQL statement
(`services/claims.py`); `Check` names its checks too.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from maild.domain.limits import WORKSPACE, Ledger, Usage
from maild.domain.states import Stream


class OnLimit(StrEnum):
    """What becomes of a message that a limit has no room for."""

    REJECT = "reject"
    """It is refused: 429, with the time to come again."""
    DEFER = "defer"
    """It is accepted, and goes out when there is room."""


class Check(StrEnum):
    """What is looked at, in this order. The first that does not pass ends the decision."""

    LIFETIME = "lifetime"
    """Whether it may still be sent; at send only."""
    FROM_DOMAIN = "from_domain"
    RECIPIENT_DOMAIN = "recipient_domain"
    SUPPRESSION = "suppression"
    UNSUBSCRIBE = "unsubscribe"
    FREEZE = "freeze"
    WORKSPACE_LIMIT = "workspace_limit"
    DOMAIN_LIMIT = "domain_limit"
    PROVIDER = "provider"
    """Which SMTP account is the choice of the moment."""


class Verdict(StrEnum):
    """What one check, or the whole decision, comes to."""

    PASS = "pass"
    """As far as this goes, the message may be sent."""
    WAIT = "wait"
    """It is accepted, and is held or goes out later."""
    STOP = "stop"
    """It is accepted, and never sent: the recipient must not be mailed."""
    REJECT = "reject"
    """It is not accepted."""


class Route(StrEnum):
    """Why a message goes through its SMTP account."""

    FIRST_CHOICE = "first_choice"
    FAIL_OVER = "fail_over"
    """The accounts before it are out of use, paused or frozen."""
    CANARY = "canary"
    """It is one of the few that try an account whose breaker was open."""
    AFTER_FAULTS = "after_faults"
    """The message met with faults at the accounts before it."""
    PINNED = "pinned"
    """The sender asked for it."""


@dataclass(frozen=True, slots=True)
class StreamRules:
    """How messages of one stream are treated. `unknown_outcome`: `hold`, `retry`, `assume_sent`."""

    max_attempts: int
    lifetime_seconds: int
    unknown_outcome: str


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of a workspace. Version 0 is the instance's defaults.

    Limits are messages an hour; None is no limit. Domains are in lower case and Unicode, exact or
    as `*.example.com` for everything below; no allowed From domains means any.
    """

    version: int
    rate_limit_workspace_per_hour: int | None
    rate_limit_domain_per_hour: int | None
    on_limit: OnLimit
    blocked_recipient_domains: tuple[str, ...]
    allowed_from_domains: tuple[str, ...]
    transactional: StreamRules
    marketing: StreamRules
    soft_bounce_threshold: int
    _blocked: frozenset[str] = field(init=False, repr=False, compare=False)
    """The lists as sets: there may be thousands of entries."""
    _allowed: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_blocked", frozenset(self.blocked_recipient_domains))
        object.__setattr__(self, "_allowed", frozenset(self.allowed_from_domains))

    def find_block(self, domain: str) -> str | None:
        """The entry by which mail to this domain is not accepted."""
        return matching(domain, self._blocked)

    def allows_sender(self, domain: str) -> bool:
        """Whether mail may come from an address of this domain."""
        return not self._allowed or matching(domain, self._allowed) is not None

    def stream(self, stream: Stream) -> StreamRules:
        return self.transactional if stream is Stream.TRANSACTIONAL else self.marketing

    def limits_for(self, domain: str) -> list[tuple[Check, str, int]]:
        """The limits that a message to this domain counts in: check, scope, messages an hour."""
        limits = []
        if self.rate_limit_workspace_per_hour is not None:
            limits.append((Check.WORKSPACE_LIMIT, WORKSPACE, self.rate_limit_workspace_per_hour))
        if self.rate_limit_domain_per_hour is not None:
            limits.append((Check.DOMAIN_LIMIT, domain, self.rate_limit_domain_per_hour))
        return limits


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a message at the moment of the decision. Times are seconds since 1970.

    `suppression`, `unsubscribe` and `freeze` are those that match it, as evidence, or None.
    """

    stream: Stream
    from_domain: str
    to_domain: str
    due_at: float
    expires_at: float
    suppression: dict[str, Any] | None = None
    unsubscribe: dict[str, Any] | None = None
    freeze: dict[str, Any] | None = None
    provider: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """One check of a decision. `evidence` is what it was made from: a value and its limit, the id
    of a suppression, ...
    """

    check: Check
    verdict: Verdict
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a message and why. `due_at` is when it may be sent, `usage` how the limits
    stood that it counts in, itself included.
    """

    policy_version: int
    verdict: Verdict
    checks: tuple[Checked, ...]
    due_at: float
    usage: tuple[Usage, ...] = ()

    @property
    def last(self) -> Checked:
        """The check that decided, where the verdict is not PASS."""
        return next(c for c in reversed(self.checks) if c.verdict is self.verdict)

    @property
    def tightest(self) -> Usage | None:
        """The limit with the least room left."""
        return min(self.usage, key=lambda usage: usage.remaining, default=None)


def evaluate(policy: Policy, facts: Facts, ledger: Ledger) -> Decision:
    """Decide, and count the message in the ledger where it is to be sent."""
    checks: list[Checked] = []
    for checked in (
        check_sender(policy, facts.from_domain),
        check_recipient(policy, facts.to_domain),
        _found(Check.SUPPRESSION, facts.suppression, Verdict.STOP),
        _found(Check.UNSUBSCRIBE, facts.unsubscribe, Verdict.STOP),
        _found(Check.FREEZE, facts.freeze, Verdict.WAIT),
    ):
        checks.append(checked)
        if checked.verdict in (Verdict.REJECT, Verdict.STOP):
            return Decision(policy.version, checked.verdict, tuple(checks), facts.due_at)

    limits = policy.limits_for(facts.to_domain)
    place = find_place(policy, ledger, limits, facts.due_at, facts.expires_at)
    usage = tuple(ledger.usage(scope, facts.due_at, limit=limit) for _, scope, limit in limits)
    checks += (
        check_limit(check, used, place) for (check, _, _), used in zip(limits, usage, strict=True)
    )
    due_at = facts.due_at if place.at is None else place.at
    if place.verdict is Verdict.REJECT:
        return Decision(policy.version, Verdict.REJECT, tuple(checks), due_at, usage)
    if facts.provider is not None:
        checks.append(Checked(Check.PROVIDER, Verdict.PASS, facts.provider))
    verdict = place.verdict if facts.freeze is None else Verdict.WAIT
    return Decision(policy.version, verdict, tuple(checks), due_at, usage)


def check_sender(policy: Policy, domain: str) -> Checked:
    """Whether mail may come from this domain."""
    verdict = Verdict.PASS if policy.allows_sender(domain) else Verdict.REJECT
    return Checked(Check.FROM_DOMAIN, verdict, {"value": domain})


def check_recipient(policy: Policy, domain: str) -> Checked:
    """Whether mail may go to this domain."""
    if entry := policy.find_block(domain):
        evidence = {"value": domain, "entry": entry}
        return Checked(Check.RECIPIENT_DOMAIN, Verdict.REJECT, evidence)
    return Checked(Check.RECIPIENT_DOMAIN, Verdict.PASS, {"value": domain})


class Place(NamedTuple):
    """When a message fits into the limits (`at`, None: never), which of them have no room at its
    own time, and what that means for it: PASS, WAIT or REJECT.
    """

    at: float | None
    full: tuple[Check, ...]
    verdict: Verdict


def find_place(
    policy: Policy,
    ledger: Ledger,
    limits: Sequence[tuple[Check, str, int]],
    due_at: float,
    expires_at: float,
    *,
    is_brief: bool = False,
) -> Place:
    """When a message that is due at `due_at` may go by these limits; counted there, if it goes.

    `is_brief` leaves out when there would be room for a message that is rejected.
    """
    until = max(due_at, expires_at)  # no limit is to blame for what is late already
    waits = policy.on_limit is OnLimit.DEFER
    at, full = ledger.place(limits, due_at, until=until, waits=waits)
    if not full:
        return Place(at, full, Verdict.PASS)
    if at is not None:
        return Place(at, full, Verdict.WAIT)
    if not is_brief and not waits:
        at = ledger.find_place(limits, due_at, until=until)
    return Place(at, full, Verdict.REJECT)


def check_limit(check: Check, usage: Usage, place: Place) -> Checked:
    """What one limit says of a message that `find_place` has placed; `usage` is that at its time,
    afterwards.
    """
    evidence: dict[str, Any] = {"value": usage.used, "limit": usage.limit}
    if check not in place.full:
        return Checked(check, Verdict.PASS, evidence)
    if place.at is not None:
        evidence["free_at"] = _instant(place.at)
    return Checked(check, place.verdict, evidence)


def _found(check: Check, evidence: dict[str, Any] | None, verdict: Verdict) -> Checked:
    return Checked(check, Verdict.PASS) if evidence is None else Checked(check, verdict, evidence)


def _instant(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def matching(domain: str, entries: Collection[str]) -> str | None:
    """The entry by which a domain is on a list: the domain itself, or `*.example.com` for one below
    example.com, the longest where there are several; None where there is none.
    """
    return domain if domain in entries else find_wider(domain, entries)


def find_wider(entry: str, entries: Collection[str]) -> str | None:
    """The longest `*.example.com` of a list that has all of another entry in it, which may be such
    a one itself; None where there is none.
    """
    _, _, rest = entry.removeprefix("*.").partition(".")
    while rest:
        if (wider := f"*.{rest}") in entries:
            return wider
        _, _, rest = rest.partition(".")
    return None
