"""How the DKIM key of a domain stands, and what to paste. Pure."""

from collections.abc import Sequence

from maild.domain import dkim_record
from maild.domain.dns_answer import Answer, Book, Kind, why_unknown
from maild.domain.dns_finding import CheckName, Finding, Paste, State
from maild.domain.sending_route import Route

SELECTORS_MAX = 12
"""So many are tried where nobody has said which one it is."""


def check(
    book: Book, domain: str, selector: str | None, routes: Sequence[Route], own: Sequence[str] = ()
) -> Finding:
    """The key of the selector; without one, the first that those of maild's `own` keys and those
    that the routes' providers usually have lead to.
    """
    if selector is not None:
        return _judge(domain, selector, _look_up(book, domain, selector), routes)
    unanswered: Answer | None = None
    for usual in list_usual(routes, own):
        answer = _look_up(book, domain, usual)
        if not answer.is_known:
            unanswered = answer
        elif _records(answer):
            return _judge(domain, usual, answer, routes)
    at = f"<selector>._domainkey.{domain}"
    if unanswered is not None:
        return Finding(CheckName.DKIM, State.UNKNOWN, why_unknown(unanswered).rstrip("."), at)
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


def list_usual(routes: Sequence[Route], own: Sequence[str] = ()) -> list[str]:
    """The selectors to try where none was said: SELECTORS_MAX at most."""
    usual = list(own)
    for route in routes:
        if route.provider is not None:
            usual += route.provider.selectors
    return list(dict.fromkeys(usual))[:SELECTORS_MAX]


def _look_up(book: Book, domain: str, selector: str) -> Answer:
    return book.look_up(f"{selector}._domainkey.{domain}", Kind.TXT)


def _records(answer: Answer) -> list[str]:
    """Those that may be keys: a wildcard may answer with anything."""
    tagged = [(text, dkim_record.parse_tags(text)) for text in answer.records]
    return [text for text, tags in tagged if tags and ("p" in tags or tags.get("v") == "DKIM1")]


def _judge(domain: str, selector: str, answer: Answer, routes: Sequence[Route]) -> Finding:
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
    return _judge_key(at, records[0], alias=alias, facts=facts)


def _judge_key(
    at: str, record: str, *, alias: tuple[str, ...], facts: tuple[tuple[str, object], ...]
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
        meaning.append(f"{kind}. Its signatures are in the name of this domain: they align.")
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
