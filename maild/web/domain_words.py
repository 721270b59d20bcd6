"""Sending domains in words: how each check stands, and what has changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from maild.domain.dns_finding import CheckName, State
from maild.models import Domain, DomainCheck
from maild.web.badges import Badge

STATES = {
    State.OK: Badge("in order", "check", "ok"),
    State.WARN: Badge("could be better", "alert", "warn"),
    State.BAD: Badge("not in order", "cross", "bad"),
    State.UNKNOWN: Badge("unknown", "question", "unsure"),
}
NOT_CHECKED = Badge("not checked yet", "clock", "neutral")
READY = Badge("ready", "check", "ok")
NOT_READY = Badge("not ready", "cross", "bad")
CANNOT_TELL = Badge("cannot tell yet", "question", "unsure")

TITLES = {
    CheckName.SPF: "SPF",
    CheckName.DKIM: "DKIM",
    CheckName.DMARC: "DMARC",
    CheckName.MX: "MX",
}
PURPOSES = {
    CheckName.SPF: "Which servers may send for the domain.",
    CheckName.DKIM: "The key that proves signatures of the domain.",
    CheckName.DMARC: "What receivers do with mail that neither proves.",
    CheckName.MX: "Where bounces and answers go.",
}


@dataclass(frozen=True, slots=True)
class Check:
    """A check as a page shows it; `result` is what was found, None before the first check."""

    key: str
    title: str
    purpose: str
    badge: Badge
    result: Mapping[str, Any] | None
    drift: Mapping[str, Any] | None
    drift_since: datetime | None


def checks(row: Domain) -> list[Check]:
    """All checks of a domain, in their order."""
    return [_check(row, name) for name in CheckName]


def is_no_name(row: Domain) -> bool:
    """Whether the last check found that there is no such name in the DNS."""
    facts = row.results.get(CheckName.SPF.value, {}).get("facts", {})
    return bool(facts.get("is_no_name"))


def ready(row: Domain) -> Badge:
    """What the domain is as a whole."""
    if row.checked_at is None:
        return NOT_CHECKED
    if row.is_ready is None:
        return CANNOT_TELL
    return READY if row.is_ready else NOT_READY


def changes(history: Sequence[DomainCheck]) -> list[tuple[DomainCheck, list[str]]]:
    """Each entry of a history, the newest first, with what was different from the one before."""
    told = []
    for place, one in enumerate(history):
        before = history[place + 1] if place + 1 < len(history) else None
        told.append((one, _differences(before, one)))
    return told


def _check(row: Domain, name: CheckName) -> Check:
    result = row.results.get(name.value)
    drift = row.drift.get(name.value)
    return Check(
        key=name.value,
        title=TITLES[name],
        purpose=PURPOSES[name],
        badge=STATES[State(result["state"])] if result else NOT_CHECKED,
        result=result,
        drift=drift,
        drift_since=datetime.fromisoformat(drift["since"]) if drift else None,
    )


def _differences(before: DomainCheck | None, now: DomainCheck) -> list[str]:
    told = []
    for name in CheckName:
        state = STATES[State(now.states.get(name.value, "unknown"))].word
        if before is None:
            told.append(f"{TITLES[name]} {state}")
            continue
        is_other = now.states.get(name.value) != before.states.get(name.value)
        has_other = now.records.get(name.value) != before.records.get(name.value)
        if is_other:
            was = STATES[State(before.states.get(name.value, "unknown"))].word
            told.append(f"{TITLES[name]}: {was} before, {state} then")
        elif has_other:
            told.append(f"{TITLES[name]}: other records, still {state}")
    return told
