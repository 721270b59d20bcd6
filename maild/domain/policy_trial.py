"""A trial: many messages, one after the other, under one policy, and what became of them. Pure.

The checks are those of `policy.evaluate`, and so are the numbers; but what a domain comes to is
looked up once, and no decision is written out for those that nobody will read.
"""

from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

from maild.domain.limits import Ledger
from maild.domain.policy import (
    Check,
    Checked,
    Place,
    Policy,
    Verdict,
    check_limit,
    check_recipient,
    check_sender,
    find_place,
)
from maild.domain.states import Stream


class Outcome(StrEnum):
    """What becomes of a message under a policy."""

    PASSED = "passed"
    """It is accepted, and may go at its time."""
    DEFERRED = "deferred"
    """It is accepted, and goes later, when the limits have room."""
    REJECTED = "rejected"
    SUPPRESSED = "suppressed"
    """Its recipient must not be mailed, whatever the policy says."""


DECISIVE = (
    Check.FROM_DOMAIN,
    Check.RECIPIENT_DOMAIN,
    Check.WORKSPACE_LIMIT,
    Check.DOMAIN_LIMIT,
)
"""The checks that belong to a policy."""


class Row(NamedTuple):
    """A message as a trial sees it. `due_at` is in seconds since 1970."""

    id: str
    due_at: float
    stream: str
    is_suppressed: bool
    from_domain: str
    to_domain: str


@dataclass(frozen=True, slots=True)
class Sample:
    """What became of one message, and what the check said that decided, where one did.
    `deferred_until` is in seconds since 1970.
    """

    row: Row
    outcome: Outcome
    check: Check | None
    evidence: dict[str, Any]
    deferred_until: float | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """How many messages came to what. `by_check` are the deferred and the rejected ones, each once,
    by the check that decided.
    """

    passed: int
    deferred: int
    rejected: int
    suppressed: int
    by_check: dict[Check, int]

    @property
    def total(self) -> int:
        return self.passed + self.deferred + self.rejected + self.suppressed


@dataclass(frozen=True, slots=True)
class DomainFigures:
    """A recipient domain, and how many messages to it were stopped."""

    domain: str
    deferred: int
    rejected: int


class _Kind:
    """The messages that came to the same, by the same check: how many, and to which domains."""

    __slots__ = ("check", "count", "domains", "outcome")

    def __init__(self, outcome: Outcome, check: Check | None) -> None:
        self.outcome = outcome
        self.check = check
        self.count = 0
        self.domains: dict[str, int] = {}


class Trial:
    """The messages that were looked at under one policy, and its limits as they stand."""

    def __init__(self, policy: Policy, *, samples_max: int = 0) -> None:
        """The first `samples_max` messages of each outcome and check are kept as samples."""
        self.samples: list[Sample] = []
        self._samples_max = samples_max
        self._policy = policy
        self._ledger = Ledger()
        self._lifetimes = {
            stream.value: policy.stream(stream).lifetime_seconds for stream in Stream
        }
        self._senders: dict[str, Checked] = {}
        self._recipients: dict[str, tuple[Checked, list[tuple[Check, str, int]]]] = {}
        self.start_counting()

    def start_counting(self) -> None:
        """Forget what became of the messages so far; what they took of the limits stays taken."""
        self.samples = []
        self._passed = _Kind(Outcome.PASSED, None)
        self._suppressed = _Kind(Outcome.SUPPRESSED, None)
        self._stopped = {
            (verdict, check): _Kind(outcome, check)
            for verdict, outcome in _OUTCOMES.items()
            for check in DECISIVE
        }

    def look_at(self, row: Row) -> None:
        """Decide about the next message."""
        _, due_at, stream, is_suppressed, from_domain, to_domain = row
        sender = self._senders.get(from_domain) or self._check_sender(from_domain)
        recipient, limits = self._recipients.get(to_domain) or self._check_recipient(to_domain)
        place = None
        if sender.verdict is not Verdict.PASS:
            kind = self._stopped[_BY_SENDER]
        elif recipient.verdict is not Verdict.PASS:
            kind = self._stopped[_BY_RECIPIENT]
        elif is_suppressed:
            kind = self._suppressed
        else:
            expires_at = due_at + self._lifetimes[stream]
            place = find_place(
                self._policy, self._ledger, limits, due_at, expires_at, is_brief=True
            )
            if place.verdict is Verdict.PASS:
                kind = self._passed
            else:  # by the last of them, as in `Decision.last`
                kind = self._stopped[place.verdict, place.full[-1]]
        kind.count += 1
        if kind.check is not None:
            kind.domains[to_domain] = kind.domains.get(to_domain, 0) + 1
        if kind.count <= self._samples_max:
            self.samples.append(self._sample(row, kind, place))

    def figures(self) -> Figures:
        """Everything since `start_counting`."""
        kinds = self._stopped.values()
        return Figures(
            passed=self._passed.count,
            deferred=sum(kind.count for kind in kinds if kind.outcome is Outcome.DEFERRED),
            rejected=sum(kind.count for kind in kinds if kind.outcome is Outcome.REJECTED),
            suppressed=self._suppressed.count,
            by_check={
                check: sum(kind.count for kind in kinds if kind.check is check)
                for check in DECISIVE
            },
        )

    def most_stopped(self, limit: int) -> list[DomainFigures]:
        """The recipient domains with the most messages that were deferred or rejected."""
        stopped = {outcome: Counter[str]() for outcome in _OUTCOMES.values()}
        for kind in self._stopped.values():
            stopped[kind.outcome].update(kind.domains)
        deferred, rejected = stopped[Outcome.DEFERRED], stopped[Outcome.REJECTED]
        both = deferred + rejected
        most = sorted(both, key=lambda domain: (-both[domain], domain))[:limit]
        return [DomainFigures(domain, deferred[domain], rejected[domain]) for domain in most]

    def _sample(self, row: Row, kind: _Kind, place: Place | None) -> Sample:
        recipient, limits = self._recipients[row.to_domain]
        evidence: dict[str, Any] = {}
        if kind.check is Check.FROM_DOMAIN:
            evidence = self._senders[row.from_domain].evidence
        elif kind.check is Check.RECIPIENT_DOMAIN:
            evidence = recipient.evidence
        elif kind.check is not None and place is not None:
            if place.verdict is Verdict.REJECT:  # it took nothing, so that asking again is no harm
                expires_at = row.due_at + self._lifetimes[row.stream]
                place = find_place(self._policy, self._ledger, limits, row.due_at, expires_at)
            [(scope, limit)] = [(s, n) for check, s, n in limits if check is kind.check]
            usage = self._ledger.usage(scope, row.due_at, limit=limit)
            evidence = check_limit(kind.check, usage, place).evidence
        sample = Sample(row, kind.outcome, kind.check, evidence)
        if place is not None and kind.outcome is Outcome.DEFERRED:
            return replace(sample, deferred_until=place.at)
        return sample

    def _check_sender(self, domain: str) -> Checked:
        checked = self._senders[domain] = check_sender(self._policy, domain)
        return checked

    def _check_recipient(self, domain: str) -> tuple[Checked, list[tuple[Check, str, int]]]:
        found = check_recipient(self._policy, domain), self._policy.limits_for(domain)
        self._recipients[domain] = found
        return found


_OUTCOMES = {Verdict.WAIT: Outcome.DEFERRED, Verdict.REJECT: Outcome.REJECTED}
_BY_SENDER = (Verdict.REJECT, Check.FROM_DOMAIN)
_BY_RECIPIENT = (Verdict.REJECT, Check.RECIPIENT_DOMAIN)
