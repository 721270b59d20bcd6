"""How the DMARC record of a domain stands, and what to paste. Pure."""

from collections.abc import Sequence

from maild.domain import dmarc
from maild.domain.dns_answer import Book, Kind, why_unknown
from maild.domain.dns_finding import CheckName, Finding, Paste, State, worst
from maild.domain.sending_route import Route

_WORDS = {
    "none": "It asks receivers to let through what fails, and to report it (p=none).",
    "quarantine": "It asks receivers to put what fails into the spam folder (p=quarantine).",
    "reject": "It asks receivers to refuse what fails (p=reject).",
}

PROPOSED = "v=DMARC1; p=none"
"""It changes nothing. Whether there is a mailbox for reports (rua=) only people know."""
_HOW_TO_GET_REPORTS = (
    "To be told what fails, let the record end with ; rua=mailto: and the address of a mailbox that"
    " is there."
)


def check(book: Book, domain: str, routes: Sequence[Route]) -> Finding:
    """The policy of the domain or of one above it, and what of this workspace's mail aligns."""
    found = dmarc.discover(book, domain)
    at = f"_dmarc.{domain}"
    if found.unanswered is not None:
        return Finding(
            CheckName.DMARC, State.UNKNOWN, why_unknown(found.unanswered).rstrip("."), at
        )
    fresh = Paste(at, "TXT", PROPOSED, "A record to begin with: it harms no mail.")
    if found.at is None:
        return Finding(
            CheckName.DMARC,
            State.BAD,
            "There is no DMARC record",
            at,
            meaning=(
                "Gmail and Yahoo want one of everybody who sends much mail; p=none is enough to"
                " begin with.",
                _HOW_TO_GET_REPORTS,
            ),
            paste=(fresh,),
        )
    at = f"_dmarc.{found.at}"
    if len(found.records) > 1:
        return Finding(
            CheckName.DMARC,
            State.BAD,
            f"There are {len(found.records)} DMARC records, and one is allowed",
            at,
            found=found.records,
            meaning=("Receivers ignore all of them (RFC 7489 6.6.3). Take all but one away.",),
        )
    [record] = found.records
    policy = dmarc.parse(record)
    if policy.problem is not None:
        return Finding(
            CheckName.DMARC,
            State.BAD,
            "Receivers ignore it",
            at,
            found=found.records,
            meaning=(policy.problem,),
            paste=(Paste(at, "TXT", PROPOSED, "In place of the present record."),),
        )
    return _judge(book, domain, policy, routes, at=found.at, record=record)


def _judge(
    book: Book,
    domain: str,
    policy: dmarc.Policy,
    routes: Sequence[Route],
    *,
    at: str,
    record: str,
) -> Finding:
    is_inherited = at != domain
    in_force = (policy.subdomain_policy if is_inherited else policy.policy) or "none"
    states, meaning = [State.OK], [_WORDS[in_force]]
    paste: list[Paste] = []
    name = f"_dmarc.{at}"
    if is_inherited:
        meaning.insert(0, f"The record of {at} speaks for this domain as well.")
    if not policy.report_to:
        states.append(State.WARN)
        meaning.append("It asks for no reports (rua=): nobody tells you what fails.")
        meaning.append(_HOW_TO_GET_REPORTS)
    if policy.percent < 100 and in_force != "none":
        states.append(State.WARN)
        meaning.append(f"It is for {policy.percent} % of the mail only (pct=).")
    for target in dmarc.foreign_targets(at, policy):
        state, words, lacking = _judge_target(book, at, target)
        states.append(state)
        meaning += words
        paste += lacking
    meaning += _alignment(domain, policy, routes)
    state = worst(*states)
    summaries = {
        State.OK: "In order",
        State.WARN: "In order, but it could be better",
        State.UNKNOWN: "The DNS did not answer all that was asked",
    }
    return Finding(
        CheckName.DMARC,
        state,
        summaries[state],
        name,
        found=(record,),
        meaning=tuple(meaning),
        paste=tuple(paste),
        facts=(
            ("policy", in_force),
            ("percent", policy.percent),
            ("at", at),
            ("report_to", policy.report_to),
        ),
    )


def _judge_target(
    book: Book, organisation: str, target: str
) -> tuple[State, list[str], list[Paste]]:
    """RFC 7489 7.1: another organisation must say that it takes the reports."""
    name = f"{organisation}._report._dmarc.{target}"
    answer = book.look_up(name, Kind.TXT)
    if not answer.is_known:
        return State.UNKNOWN, [why_unknown(answer)], []
    if any(dmarc.is_record(text) for text in answer.records):
        return State.OK, [], []
    told = f"{target} does not say that it takes the reports: they are not sent there."
    return State.WARN, [told], [Paste(name, "TXT", "v=DMARC1", f"In the DNS of {target}.")]


def _alignment(domain: str, policy: dmarc.Policy, routes: Sequence[Route]) -> list[str]:
    told = []
    for route in routes:
        provider = route.provider
        if provider is not None and provider.bounces_to_itself and route.return_path is None:
            told.append(
                f"Through {route.title} (“{route.name}”) SPF aligns only with a return path of"
                " your own, set up there. Without one, DKIM alone must pass."
            )
            continue
        sender = route.return_path or domain
        if dmarc.is_aligned(domain, sender, is_strict=policy.is_spf_strict):
            told.append(f"Through “{route.name}” SPF aligns: envelope senders are at {sender}.")
        else:
            told.append(
                f"Through “{route.name}” SPF does not align: envelope senders are at {sender}."
                " DKIM alone must pass."
            )
    return told
