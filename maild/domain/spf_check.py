"""How the SPF record of a domain stands, and what to paste. Pure."""

from collections.abc import Sequence
from ipaddress import ip_address

from maild.domain import spf
from maild.domain.dns_answer import Book, Kind, why_unknown
from maild.domain.dns_finding import CheckName, Finding, Paste, State, worst
from maild.domain.provider_dns import ProviderDns
from maild.domain.sending_route import Route

ADDRESSES_MAX = 4
"""Of a host, so many are tried against the record."""
PLACEHOLDER = "include:<your provider's SPF name>"


def check(book: Book, domain: str, routes: Sequence[Route]) -> Finding:
    """What the record says, and whether it allows the routes, as far as that can be known."""
    tree = spf.walk(book, domain)
    facts = _facts(tree)
    if tree.unanswered is not None and not tree.records:
        why = why_unknown(tree.unanswered).rstrip(".")
        return Finding(CheckName.SPF, State.UNKNOWN, why, domain, facts=facts)
    if not tree.records:
        return _missing(domain, routes, facts)
    if len(tree.records) > 1:
        return _several(tree, domain, routes, facts)
    record = tree.records[0]
    states, meaning, paste = [State.OK], list[str](), list[Paste]()
    for judged in (_judge_shape(tree), _judge_routes(book, domain, tree, routes)):
        states.append(judged[0])
        meaning += judged[1]
        paste += [Paste(domain, "TXT", value, why) for value, why in judged[2]]
    state = worst(*states)
    if tree.unanswered is not None:
        meaning.append(f"{why_unknown(tree.unanswered)} That was a name that the record leads to.")
        state = worst(state, State.UNKNOWN)
    return Finding(
        CheckName.SPF,
        state,
        _summary(state, tree),
        domain,
        found=tuple(tree.records),
        meaning=tuple(meaning),
        paste=tuple(_with_record(record, paste)),
        facts=facts,
    )


def propose(routes: Sequence[Route]) -> list[str]:
    """The mechanisms that allow these routes, as far as they are known."""
    terms: list[str] = []
    for route in routes:
        term = _term_of(route)
        if term and term not in terms:
            terms.append(term)
    return terms


def _term_of(route: Route) -> str | None:
    if route.provider is not None:
        return f"include:{route.provider.include}"
    if route.is_inside:
        return None
    if route.address is not None:
        return f"ip{route.address.version}:{route.address}"
    return f"a:{route.host}"


def _judge_shape(tree: spf.Tree) -> tuple[State, list[str], list[tuple[str, str]]]:
    """Whether receivers can use the record at all, and how it ends."""
    [record] = tree.records
    if tree.problems:
        told = [*tree.problems, "Receivers give up on such a record, and treat it as an error."]
        return State.BAD, told, []
    if tree.ending == "+":
        value = _with_ending(record, "~all")
        told = ["It ends with +all: it allows every server in the world to send as this domain."]
        return State.BAD, told, [(value, "In place of the present record.")]
    states, told, paste = [State.OK], list[str](), list[tuple[str, str]]()
    if tree.ending is None or tree.ending == "?":
        states.append(State.WARN)
        told.append("It does not say what to make of all other servers: let it end with ~all.")
        paste.append((_with_ending(record, "~all"), "In place of the present record."))
    if tree.ignored:
        states.append(State.WARN)
        told.append(f"Receivers ignore what stands after its all: {', '.join(tree.ignored)}.")
    if tree.has_ptr:
        states.append(State.WARN)
        told.append("It uses ptr, which receivers may ignore (RFC 7208 5.5).")
    if tree.macros:
        told.append(f"What {', '.join(tree.macros)} allows depends on each message.")
    told.append(
        f"It needs {tree.lookup_count} of the {spf.LOOKUPS_MAX} lookups that receivers allow."
    )
    if tree.lookup_count > spf.LOOKUPS_MAX - 2:
        states.append(State.WARN)
        told.append("There is hardly any room left: one more include may break it.")
    return worst(*states), told, paste


def _judge_routes(
    book: Book, domain: str, tree: spf.Tree, routes: Sequence[Route]
) -> tuple[State, list[str], list[tuple[str, str]]]:
    """Whether it allows the servers that this workspace's mail goes through."""
    if tree.problems:
        return State.OK, [], []
    states, told = [State.OK], list[str]()
    lacking: list[Route] = []
    for route in routes:
        state, words, is_lacking = _judge_route(book, domain, tree, route)
        states.append(state)
        told.append(words)
        if is_lacking:
            lacking.append(route)
    paste = []
    if terms := propose(lacking):
        titles = dict.fromkeys(route.title for route in lacking)
        why = f"In place of the present record: with {' and '.join(titles)}."
        paste.append((_with_terms(tree.records[0], terms), why))
    return worst(*states), told, paste


def _judge_route(book: Book, domain: str, tree: spf.Tree, route: Route) -> tuple[State, str, bool]:
    """How it stands with a route, in words, and whether the record lacks something for it."""
    if route.return_path is not None and route.return_path != domain:
        text = (
            f"Mail through “{route.name}” has envelope senders at {route.return_path}: that"
            " domain's SPF record is the one that counts for it."
        )
        return State.OK, text, False
    provider = route.provider
    if provider is not None:
        return _judge_provider(tree, route, provider)
    if route.is_inside:
        text = (
            f"“{route.name}” leads to a server of this network ({route.host}): whether the address"
            " from which it sends on is allowed cannot be told from here."
        )
        return State.OK, text, False
    allowed = _allows_host(book, domain, route)
    if allowed is None:
        text = f"Whether it allows {route.host} (“{route.name}”) could not be found out."
    elif allowed:
        text = f"It allows {route.host} (“{route.name}”)."
    else:
        text = (
            f"It does not allow {route.host} (“{route.name}”). If that server passes mail on"
            " through others, those must be allowed; ask whoever runs it."
        )
    return State.WARN if allowed is False else State.OK, text, allowed is False


def _judge_provider(tree: spf.Tree, route: Route, provider: ProviderDns) -> tuple[State, str, bool]:
    if provider.include in tree.allowed:
        return State.OK, f"It allows {route.title} (“{route.name}”).", False
    if provider.bounces_to_itself:
        text = (
            f"It does not name {route.title} (“{route.name}”). That provider uses an envelope"
            " sender of its own unless you set up a return path there, so this does no harm as"
            " long as DKIM is in order."
        )
        return State.OK, text, False
    text = f"It does not allow {route.title} (“{route.name}”): its mail fails SPF."
    return State.BAD, text, True


def _allows_host(book: Book, domain: str, route: Route) -> bool | None:
    """Whether all addresses of the host are allowed; None: that cannot be known."""
    if route.address is not None:
        return spf.permits(book, domain, route.address)
    found: list[str] = []
    for kind in (Kind.A, Kind.AAAA):
        answer = book.look_up(route.host, kind)
        if not answer.is_known:
            return None
        found += answer.records
    results = [spf.permits(book, domain, ip_address(one)) for one in found[:ADDRESSES_MAX]]
    if not results or None in results:
        return None
    return all(results)


def _missing(
    domain: str, routes: Sequence[Route], facts: tuple[tuple[str, object], ...]
) -> Finding:
    terms = propose(routes)
    meaning = ["Without it receivers cannot tell your servers from anybody else's."]
    for route in routes:
        if route.provider is None and not route.is_inside:
            meaning.append(
                f"If {route.host} passes mail on through other servers, allow those instead: ask"
                " whoever runs it."
            )
    value = f"v=spf1 {' '.join(terms or [PLACEHOLDER])} ~all"
    return Finding(
        CheckName.SPF,
        State.BAD,
        "There is no SPF record",
        domain,
        meaning=tuple(meaning),
        paste=(Paste(domain, "TXT", value, "A new record."),),
        facts=facts,
    )


def _several(
    tree: spf.Tree, domain: str, routes: Sequence[Route], facts: tuple[tuple[str, object], ...]
) -> Finding:
    """RFC 7208 4.5: more than one is a permanent error."""
    terms: list[str] = []
    for record in tree.records:
        for word in record.split()[1:]:
            is_ending = word.lstrip("+?~-").lower() == "all"
            if not is_ending and word not in terms:
                terms.append(word)
    value = " ".join(["v=spf1", *terms, "~all"])
    return Finding(
        CheckName.SPF,
        State.BAD,
        f"There are {len(tree.records)} SPF records, and one is allowed",
        domain,
        found=tree.records,
        meaning=("Receivers give up where there is more than one, and treat it as an error.",),
        paste=(Paste(domain, "TXT", value, "In place of all of them: what they say, in one."),),
        facts=facts,
    )


def _summary(state: State, tree: spf.Tree) -> str:
    if state is State.OK:
        return "In order"
    if state is State.WARN:
        return "In order, but it could be better"
    if state is State.UNKNOWN:
        return "The DNS did not answer all that was asked"
    return "Receivers cannot use it" if tree.problems else "It does not do what it should"


def _facts(tree: spf.Tree) -> tuple[tuple[str, object], ...]:
    return (
        ("lookup_count", tree.lookup_count),
        ("void_count", tree.void_count),
        ("includes", tuple(dict.fromkeys(tree.includes))),
        ("ending", None if tree.ending is None else f"{tree.ending}all".lstrip("+")),
    )


def _with_record(record: str, paste: Sequence[Paste]) -> list[Paste]:
    """Each proposal once, and none that is the present record."""
    return list({one.value: one for one in paste if one.value != record}.values())


def _with_terms(record: str, terms: Sequence[str]) -> str:
    """The record with more mechanisms before its end, and without those that nobody comes to."""
    words = record.split()
    names = [word.lstrip("+?~-").partition("=")[0].lower() for word in words]
    place = next((i for i, name in enumerate(names) if name in {"all", "redirect"}), len(words))
    end = [word for word in words[place:] if word is words[place] or "=" in word]
    return " ".join([*words[:place], *terms, *end])


def _with_ending(record: str, ending: str) -> str:
    words = [word for word in record.split() if word.lstrip("+?~-").lower() != "all"]
    return " ".join([*words, ending])
