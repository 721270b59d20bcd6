"""All checks of a sending domain together, and what changed since it was in order. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from maild.domain import dkim_check, dmarc_check, mx_check, spf_check
from maild.domain.dkim_check import OwnKey
from maild.domain.dns_answer import Book, Kind, Outcome
from maild.domain.dns_finding import NOTHING_THERE, CheckName, Finding, State
from maild.domain.sending_route import Route

NEEDED = (CheckName.SPF, CheckName.DKIM, CheckName.DMARC)
"""What a domain must have to be ready."""
_RANK = {State.OK: 0, State.WARN: 1, State.BAD: 2}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is checked: `name` in A-labels. Without a selector the usual ones are tried, those of
    maild's `own` keys first.
    """

    name: str
    selector: str | None
    routes: tuple[Route, ...] = ()
    own: tuple[OwnKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    findings: tuple[Finding, ...]

    @property
    def is_ready(self) -> bool | None:
        """None: the DNS did not say, and nothing is wrong as far as it did."""
        states = [one.state for one in self.findings if one.check in NEEDED]
        if State.BAD in states:
            return False
        return None if State.UNKNOWN in states else True

    @property
    def has_unknown(self) -> bool:
        return any(one.state is State.UNKNOWN for one in self.findings)

    def find(self, check: CheckName) -> Finding:
        return next(one for one in self.findings if one.check is check)


def judge(book: Book, subject: Subject) -> Report:
    """How the domain stands by what the book has; what is not in it is wanted of it."""
    name, routes = subject.name, subject.routes
    findings: tuple[Finding, ...] = (
        spf_check.check(book, name, routes),
        dkim_check.check(book, name, subject.selector, routes, subject.own),
        dmarc_check.check(book, name, routes),
        mx_check.check(book, name),
    )
    if book.look_up(name, Kind.TXT).outcome is Outcome.NO_NAME:
        findings = tuple(map(_of_no_name, findings))
    return Report(findings)


def _of_no_name(finding: Finding) -> Finding:
    """What is said of a name that does not exist: what to paste comes after the name. A DMARC
    record above it may still be in force, and a server that answers wrongly have the others.
    """
    facts = (*finding.facts, ("is_no_name", True))
    if finding.state is not State.BAD or finding.found:
        return replace(finding, facts=facts)
    return replace(finding, summary=NOTHING_THERE, meaning=(), paste=(), facts=facts)


def to_json(report: Report) -> dict[str, Any]:
    """By check, as it is kept and as programs read it."""
    return {
        one.check.value: {
            "state": one.state.value,
            "summary": one.summary,
            "name": one.at,
            "found": list(one.found),
            "meaning": list(one.meaning),
            "paste": [asdict(paste) for paste in one.paste],
            "facts": dict(one.facts),
        }
        for one in report.findings
    }


def compare(
    good: Mapping[str, Any], drift: Mapping[str, Any], findings: Sequence[Finding], *, now: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What to measure against from now on, and what has drifted from it, by check.

    A check has drifted that was valid and is bad, or that is worse after its records changed. One
    that the DNS does not answer stays as it was: silence is no news. `is_confirmed` says that two
    looks running found it so: a single wrong answer is none.
    """
    kept, drifted = dict(good), dict(drift)
    for one in findings:
        check = one.check.value
        if one.state is State.UNKNOWN:
            continue
        was = kept.get(check)
        records = list(one.found)
        is_worse = was is not None and _RANK[one.state] > _RANK[State(was["state"])]
        if was is not None and is_worse and (one.state is State.BAD or records != was["records"]):
            drifted[check] = {
                "since": drifted[check]["since"] if check in drifted else now,
                "was": was["records"],
                "state": one.state.value,
                "is_confirmed": check in drifted,
            }
            continue
        drifted.pop(check, None)
        if one.state.is_valid:
            kept[check] = {"state": one.state.value, "records": records}
    return kept, drifted


def list_confirmed(drift: Mapping[str, Any]) -> list[str]:
    """The checks that are told as drifted."""
    return [check for check, one in drift.items() if one.get("is_confirmed", True)]


def has_new(drift: Mapping[str, Any], findings: Sequence[Finding]) -> bool:
    """Whether these are the first to find something drifted: it is worth another look soon."""
    known = {one.check.value for one in findings if one.state is not State.UNKNOWN}
    return any(check not in list_confirmed(drift) for check in drift if check in known)
