"""What Gmail and Yahoo ask of everybody who sends much mail, as a checklist. Pure.

Sources: https://support.google.com/a/answer/81126 and https://senders.yahooinc.com/best-practices/
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maild.domain.dns_finding import State

SPAM_RATE_MAX = 0.003
"""Complaints for each delivered message: both providers act from here on."""
SPAM_RATE_GOOD = 0.001
DELIVERIES_MIN = 1_000
"""Below as many a rate says nothing: one complaint would be too many."""


@dataclass(frozen=True, slots=True)
class Rule:
    title: str
    state: State
    text: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was delivered and complained about lately; `days` says how lately."""

    delivered: int
    complained: int
    days: int


def judge(results: Mapping[str, Any], traffic: Traffic, *, cleartext: Sequence[str]) -> list[Rule]:
    """The rules, in the order in which people can do something about them.

    `results` are the checks of the domain as they are kept; `cleartext` the SMTP accounts that may
    send without TLS.
    """
    spf, dkim, dmarc = (_state(results, name) for name in ("spf", "dkim", "dmarc"))
    return [
        Rule("SPF and DKIM for the sending domain", _both(spf, dkim), _words_of(spf, dkim)),
        Rule(
            "A DMARC record, p=none at least",
            State.OK if dmarc is State.WARN else dmarc,
            "It is there." if dmarc.is_valid else "See DMARC above.",
        ),
        Rule(
            "The From domain aligns with SPF or DKIM",
            dkim,
            "By DKIM, as long as mail is signed with this key."
            if dkim.is_valid
            else "Signatures of this domain align; the key must be in order for that.",
        ),
        Rule(
            "Unsubscribing with one click, for marketing mail",
            State.OK,
            "maild puts the headers in (RFC 8058), and obeys at once.",
        ),
        _encryption(cleartext),
        _spam_rate(traffic),
        Rule(
            "Forward and reverse names of the sending address (PTR)",
            State.UNKNOWN,
            "That is for whoever runs the servers that deliver: your provider.",
        ),
    ]


def _state(results: Mapping[str, Any], name: str) -> State:
    one = results.get(name)
    return State(one["state"]) if one else State.UNKNOWN


def _both(spf: State, dkim: State) -> State:
    if State.BAD in {spf, dkim}:
        return State.BAD
    return State.UNKNOWN if State.UNKNOWN in {spf, dkim} else State.OK


def _words_of(spf: State, dkim: State) -> str:
    lacking = [name for name, state in (("SPF", spf), ("DKIM", dkim)) if not state.is_valid]
    if not lacking:
        return "Both are there."
    return f"See {' and '.join(lacking)} above."


def _encryption(cleartext: Sequence[str]) -> Rule:
    title = "TLS on the way to the provider"
    if cleartext:
        names = ", ".join(f"“{name}”" for name in cleartext)
        text = f"{names} may send in the clear. Choose STARTTLS or TLS in its settings."
        return Rule(title, State.WARN, text)
    return Rule(title, State.OK, "Every account of this workspace insists on it.")


def _spam_rate(traffic: Traffic) -> Rule:
    title = "Less than 0.3 % of the mail reported as spam, better less than 0.1 %"
    told = f"in the last {traffic.days} days, for all of this workspace"
    if traffic.delivered < DELIVERIES_MIN:
        text = (
            f"{traffic.delivered:,} reported as delivered {told}: too few to tell. Gmail reports no"
            " complaints to providers; look at its Postmaster Tools as well."
        )
        return Rule(title, State.UNKNOWN, text)
    rate = traffic.complained / traffic.delivered
    state = State.OK if rate < SPAM_RATE_GOOD else State.WARN
    if rate >= SPAM_RATE_MAX:
        state = State.BAD
    text = (
        f"{100 * rate:.2f} %: {traffic.complained:,} complaints for {traffic.delivered:,} delivered"
        f" {told}. Gmail reports none to providers; look at its Postmaster Tools as well."
    )
    return Rule(title, state, text)
