"""How the DKIM key of a domain stands, and what to paste. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from maild.domain import dkim, dkim_record
from maild.domain.dkim import Algorithm, RecordState
from maild.domain.dns_answer import Answer, Book, Kind, why_unknown
from maild.domain.dns_finding import CheckName, Finding, Paste, State
from maild.domain.sending_route import Route

SELECTORS_MAX = 12
"""So many are tried where nobody has said which one it is."""


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A key of maild's own. `domain` may be one above that which is checked; one that does not sign
    waits for its record.
    """

    selector: str
    domain: str
    algorithm: Algorithm
    public_key: str
    is_signing: bool

    @property
    def record_name(self) -> str:
        return dkim.record_name(self.selector, self.domain)

    @property
    def paste(self) -> Paste:
        value = dkim.record_value(self.algorithm, self.public_key)
        return Paste(self.record_name, "TXT", value, "The record of maild's own key.")


def check(
    book: Book,
    domain: str,
    selector: str | None,
    routes: Sequence[Route],
    own: Sequence[OwnKey] = (),
) -> Finding:
    """The key of the selector; without one, the first that those of maild's `own` keys and those
    that the routes' providers usually have lead to.
    """
    if selector is not None:
        return _judge(domain, selector, _look_up(book, domain, selector), routes)
    unanswered: Answer | None = None
    for key in own:
        answer = _look_up(book, key.domain, key.selector)
        found = _judge_own(key, answer, routes, sender=domain) if answer.is_known else None
        if found is not None:
            return found
        unanswered = unanswered if answer.is_known else answer
    for usual in _list_usual(routes)[: SELECTORS_MAX - len(own)]:
        answer = _look_up(book, domain, usual)
        if not answer.is_known:
            unanswered = answer
        elif _records(answer):
            return _judge(domain, usual, answer, routes)
    at = f"<selector>._domainkey.{domain}"
    if unanswered is not None:
        return Finding(CheckName.DKIM, State.UNKNOWN, why_unknown(unanswered).rstrip("."), at)
    if own:
        return _miss_own(own)
    return Finding(
        CheckName.DKIM,
        State.BAD,
        "No key was found: say which selector it has",
        at,
        meaning=(
            "A DKIM key stands under a selector, which its signer chooses. The usual ones of your"
            " providers lead nowhere.",
            *_hints(routes),
        ),
        paste=tuple(_paste(domain, None, routes)),
    )


def _list_usual(routes: Sequence[Route]) -> list[str]:
    """The selectors that the routes' providers usually have."""
    usual: list[str] = []
    for route in routes:
        if route.provider is not None:
            usual += route.provider.selectors
    return list(dict.fromkeys(usual))


def _judge_own(
    key: OwnKey, answer: Answer, routes: Sequence[Route], *, sender: str
) -> Finding | None:
    """How it stands with a key of maild's own; None where it has no record, or only waits for it:
    until then others may sign.
    """
    records = _records(answer)
    state = dkim.compare(records, key.algorithm, key.public_key)
    if not records or not (key.is_signing or state is RecordState.PUBLISHED):
        return None
    if state is RecordState.DIFFERENT and len(records) == 1:
        return Finding(
            CheckName.DKIM,
            State.BAD,
            "The record is not that of maild's own key",
            key.record_name,
            found=tuple(records),
            meaning=("maild signs with another key than this: receivers fail what it signs.",),
            paste=(key.paste,),
            facts=(("selector", key.selector), ("alias", answer.alias)),
        )
    return _judge(key.domain, key.selector, answer, routes, sender=sender)


def _miss_own(own: Sequence[OwnKey]) -> Finding:
    """No record of maild's own keys is there, nor one of a provider."""
    first = own[0]
    return Finding(
        CheckName.DKIM,
        State.BAD,
        "maild has a key of its own for it, and its record is not in the DNS"
        if len(own) == 1
        else "maild has keys of its own for it, and their records are not in the DNS",
        first.record_name,
        meaning=(
            "maild signs with it already, and receivers fail what they cannot check."
            if first.is_signing
            else "maild begins to sign once it sees the record.",
        ),
        paste=tuple(key.paste for key in own),
        facts=(("selector", first.selector), ("alias", None)),
    )


def _look_up(book: Book, domain: str, selector: str) -> Answer:
    return book.look_up(f"{selector}._domainkey.{domain}", Kind.TXT)


def _records(answer: Answer) -> list[str]:
    """Those that may be keys: a wildcard may answer with anything."""
    tagged = [(text, dkim_record.parse_tags(text)) for text in answer.records]
    return [text for text, tags in tagged if tags and ("p" in tags or tags.get("v") == "DKIM1")]


def _judge(
    domain: str, selector: str, answer: Answer, routes: Sequence[Route], *, sender: str = ""
) -> Finding:
    """`sender` is the From domain, where that is not `domain` itself but one below it."""
    at = f"{selector}._domainkey.{domain}"
    if not answer.is_known:
        return Finding(CheckName.DKIM, State.UNKNOWN, why_unknown(answer).rstrip("."), at)
    records = _records(answer)
    alias = (f"The name leads to {answer.alias} (CNAME).",) if answer.alias else ()
    facts: tuple[tuple[str, object], ...] = (("selector", selector), ("alias", answer.alias))
    if not records:
        return Finding(
            CheckName.DKIM,
            State.BAD,
            "There is no key under this selector",
            at,
            found=answer.records,
            meaning=(
                "Signatures cannot be checked without it: receivers treat the mail as unsigned.",
                *alias,
                *_hints(routes),
            ),
            paste=tuple(_paste(domain, selector, routes)),
            facts=facts,
        )
    if len(records) > 1:
        return Finding(
            CheckName.DKIM,
            State.BAD,
            f"There are {len(records)} keys under this selector, and one is allowed",
            at,
            found=tuple(records),
            meaning=("Which of them receivers take is left to chance. Take the others away.",),
            facts=facts,
        )
    above = domain if sender and sender != domain else None
    return _judge_key(at, records[0], above=above, alias=alias, facts=facts)


def _judge_key(
    at: str,
    record: str,
    *,
    above: str | None,
    alias: tuple[str, ...],
    facts: tuple[tuple[str, object], ...],
) -> Finding:
    key = dkim_record.parse(record)
    facts = (*facts, ("key_type", key.key_type), ("key_bits", key.bits))
    state, summary, meaning = State.OK, "In order", list[str]()
    if key.problem is not None:
        state = State.BAD
        summary = "The key was revoked" if key.is_revoked else "Receivers cannot use the key"
        meaning.append(key.problem)
    else:
        kind = "An Ed25519 key" if key.key_type == "ed25519" else f"An RSA key of {key.bits} bits"
        meaning.append(
            f"{kind}. Its signatures are in the name of {above}: they align unless DMARC is strict"
            " (adkim=s)."
            if above
            else f"{kind}. Its signatures are in the name of this domain: they align."
        )
        short = key.key_type == "rsa" and (key.bits or 0) < dkim_record.RSA_BITS_GOOD
        if short:
            state, summary = State.WARN, "In order, but the key is short"
            meaning.append("2048 bits are the rule today (RFC 8301 3.2). Have a new key made.")
        if key.is_test:
            state, summary = State.WARN, "The key is marked as a test"
            meaning.append("With t=y receivers may treat the mail as unsigned. Take the y away.")
    return Finding(
        CheckName.DKIM,
        state,
        summary,
        at,
        found=(record,),
        meaning=(*meaning, *alias),
        facts=facts,
    )


def _hints(routes: Sequence[Route]) -> list[str]:
    return list(dict.fromkeys(route.provider.hint for route in routes if route.provider))


def _paste(domain: str, selector: str | None, routes: Sequence[Route]) -> list[Paste]:
    """The record's shape: the key itself only its signer has."""
    title = next((route.title for route in routes if route.provider), "your provider")
    name = f"{selector or '<selector>'}._domainkey.{domain}"
    why = f"The key is made by whoever signs: take the record as {title} shows it."
    return [Paste(name, "TXT", "v=DKIM1; k=rsa; p=<the public key>", why)]
