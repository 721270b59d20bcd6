"""SPF records: parsed, followed through their includes, asked about an address (RFC 7208). Pure.

In charge of one domain's records. What they mean for people is in `spf_check`. Macros are told, and
not worked out: they depend on each message.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from maild.domain.dns_answer import Answer, Book, Kind, Outcome
from maild.domain.networks import Address

LOOKUPS_MAX = 10  # RFC 7208 4.6.4
VOIDS_MAX = 2  # RFC 7208 4.6.4
MX_HOSTS_MAX = 10  # RFC 7208 4.6.4: of one `mx`

_TERM = re.compile(
    r"(?P<sign>[+?~-])?(?P<name>all|include|a|mx|ptr|exists)"
    r"(?::(?P<value>[^/\s]+))?(?P<length>(?:/[0-9]{1,3})?(?://[0-9]{1,3})?)",
    re.IGNORECASE,
)
_NETWORK = re.compile(r"(?P<sign>[+?~-])?(?P<name>ip[46]):(?P<value>\S+)", re.IGNORECASE)
_MODIFIER = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9._-]*)=(?P<value>\S*)")
_LENGTHS = re.compile(r"(?:/(\d{1,3}))?(?://(\d{1,3}))?")
_LOOKED_UP = {"include", "a", "mx", "ptr", "exists", "redirect"}


@dataclass(frozen=True, slots=True)
class Term:
    """A mechanism or modifier, in the order of the record; `text` is as it was written."""

    sign: str
    name: str
    value: str | None
    length: str
    text: str


@dataclass(frozen=True, slots=True)
class Record:
    """`problem` is what is wrong with its syntax: receivers ignore the whole record then (a
    permanent error, RFC 7208 4.6).
    """

    terms: tuple[Term, ...]
    problem: str | None = None
    ignored: tuple[str, ...] = ()
    """What is written after its `all`: receivers never come to it (RFC 7208 5.1)."""

    def find(self, name: str) -> Term | None:
        return next((term for term in self.terms if term.name == name), None)


@dataclass(slots=True)
class Tree:
    """What a domain's record comes to with everything that it includes, as if nothing matched
    before the end.
    """

    records: tuple[str, ...] = ()
    """Of the domain itself: one, if all is well."""
    lookup_count: int = 0
    void_count: int = 0
    includes: list[str] = field(default_factory=list)
    """The names that are included or led to, at whatever depth."""
    allowed: list[str] = field(default_factory=list)
    """Those of them whose servers may send: nothing on the way there turns a match into a no."""
    ignored: tuple[str, ...] = ()
    """What receivers never come to in the domain's own record."""
    macros: list[str] = field(default_factory=list)
    """Terms that depend on the message."""
    problems: list[str] = field(default_factory=list)
    """What makes receivers give up on it: a permanent error."""
    unanswered: Answer | None = None
    """The DNS did not say what is there."""
    has_ptr: bool = False
    ending: str | None = None
    """The sign of the `all` that ends it; None where there is none."""


@lru_cache(maxsize=256)
def parse(text: str) -> Record:
    """The terms of a record that begins with `v=spf1`, up to its `all`; a redirect does not count
    beside an `all` (RFC 7208 5.1, 6.1). Kept for a while: a check reads the same ones many times.
    """
    terms: list[Term] = []
    for word in text.split(" ")[1:]:
        if not word:
            continue
        if not word.isascii() or not word.isprintable():
            return Record(tuple(terms), "It has characters that are not ASCII.")
        term = _parse_term(word)
        if term is None:
            return Record(tuple(terms), f"“{word}” is no mechanism that SPF knows.")
        if term.name in {"redirect", "exp"} and any(one.name == term.name for one in terms):
            return Record(tuple(terms), f"{term.name}= stands in it more than once.")
        terms.append(term)
    place = next((at for at, term in enumerate(terms) if term.name == "all"), None)
    if place is None:
        return Record(tuple(terms))
    kept = [one for one in terms[: place + 1] if one.name != "redirect"]
    after = [one.text for one in terms[place + 1 :] if one.sign]
    return Record(tuple(kept), ignored=tuple(after))


def is_record(text: str) -> bool:
    """RFC 7208 4.5: the version, and then a space or the end."""
    return text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")


def walk(book: Book, domain: str) -> Tree:
    """Follow the record of a domain. Questions that are not answered yet are wanted of the book."""
    tree = Tree()
    answer = book.look_up(domain, Kind.TXT)
    if not answer.is_known:
        tree.unanswered = answer
        return tree
    tree.records = tuple(text for text in answer.records if is_record(text))
    if len(tree.records) == 1:
        tree.ignored = parse(tree.records[0]).ignored
        tree.ending = _follow(book, domain, tree.records[0], tree, (domain,), is_allowed=True)
    return tree


def permits(book: Book, domain: str, address: Address) -> bool | None:
    """Whether the record of a domain lets mail come from this address. None: it depends on the
    message, or the DNS did not say. Call `walk` before: it bounds what is looked up.
    """
    return _permits(book, domain, address, (domain,))


def _parse_term(word: str) -> Term | None:
    """None for what SPF does not know, which spoils the record (RFC 7208 4.6.1, 12)."""
    if network := _NETWORK.fullmatch(word):
        name, value = network["name"].lower(), network["value"]
        is_one = _network(name, value) is not None
        return Term(network["sign"] or "+", name, value, "", word) if is_one else None
    if match := _TERM.fullmatch(word):
        name = match["name"].lower()
        is_well = (
            (match["value"] is not None or name not in {"include", "exists"})
            and not (name == "all" and match["value"])
            and (name in {"a", "mx"} or not match["length"])
            and _is_length(match["length"])
        )
        sign = match["sign"] or "+"
        return Term(sign, name, match["value"], match["length"], word) if is_well else None
    if modifier := _MODIFIER.fullmatch(word):
        name = modifier["name"].lower()
        is_well = name != "redirect" or bool(modifier["value"])
        return Term("", name, modifier["value"], "", word) if is_well else None
    return None


def _is_length(text: str) -> bool:
    """RFC 7208 5.6: 32 bits at most for IPv4, 128 for IPv6."""
    lengths = _LENGTHS.fullmatch(text)
    return lengths is not None and int(lengths[1] or 0) <= 32 and int(lengths[2] or 0) <= 128


@lru_cache(maxsize=8192)
def _network(name: str, text: str) -> IPv4Network | IPv6Network | None:
    if not all(char.isdecimal() for char in text.partition("/")[2]):
        return None  # Python knows netmasks as well, and receivers do not
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    return network if network.version == (4 if name == "ip4" else 6) else None


def _follow(
    book: Book, domain: str, text: str, tree: Tree, path: tuple[str, ...], *, is_allowed: bool
) -> str | None:
    """Count what a record looks up; returns the sign of the `all` that it ends with. `is_allowed`:
    what matches in it may send.
    """
    record = parse(text)
    if record.problem:
        tree.problems.append(f"The record of {domain} cannot be read. {record.problem}")
        return None
    ending, redirect = record.find("all"), record.find("redirect")
    sign = ending.sign if ending else None
    # RFC 7208 6.1: it comes last, wherever it stands.
    for term in sorted(record.terms, key=lambda one: one is redirect):
        if term.name not in _LOOKED_UP:
            continue
        tree.lookup_count += 1
        if tree.lookup_count > LOOKUPS_MAX:
            _complain_once(tree, f"It needs more than {LOOKUPS_MAX} DNS lookups.")
            return sign
        if term.value and "%" in term.value:
            tree.macros.append(term.text)
        elif term.name in {"include", "redirect"}:
            is_led_to = is_allowed and (term is redirect or term.sign == "+")
            found = _go_into(book, str(term.value), term, tree, path, is_allowed=is_led_to)
            sign = found if term is redirect else sign
        elif term.name == "ptr":
            tree.has_ptr = True
        else:
            _look_up(book, term, term.value or domain, tree)
    return sign


def _go_into(
    book: Book, name: str, term: Term, tree: Tree, path: tuple[str, ...], *, is_allowed: bool
) -> str | None:
    name = name.lower().rstrip(".")
    tree.includes.append(name)
    if is_allowed:
        tree.allowed.append(name)
    if name in path:
        _complain_once(tree, f"{term.text} leads back to where it came from.")
        return None
    answer = book.look_up(name, Kind.TXT)
    if not answer.is_known:
        tree.unanswered = answer
        return None
    if answer.is_void:
        _count_void(tree)
    records = [text for text in answer.records if is_record(text)]
    if len(records) != 1:
        # RFC 7208 5.2 and 6.1: what is included must have one record.
        what = "no SPF record" if not records else "more than one SPF record"
        _complain_once(tree, f"{term.text} leads to a name that has {what}.")
        return None
    return _follow(book, name, records[0], tree, (*path, name), is_allowed=is_allowed)


def _look_up(book: Book, term: Term, name: str, tree: Tree) -> None:
    """Whether there is anything where an `a`, `mx` or `exists` looks."""
    if term.name == "a":
        answers = [book.look_up(name, Kind.A), book.look_up(name, Kind.AAAA)]
    else:
        answers = [book.look_up(name, Kind.MX if term.name == "mx" else Kind.A)]
    for answer in answers:
        if not answer.is_known:
            tree.unanswered = answer
            return
    if all(answer.is_void for answer in answers):
        _count_void(tree)
    if term.name == "mx" and len(answers[0].records) > MX_HOSTS_MAX:
        # RFC 7208 4.6.4: a permanent error
        _complain_once(tree, f"{term.text} leads to more than {MX_HOSTS_MAX} mail servers.")


def _count_void(tree: Tree) -> None:
    tree.void_count += 1
    if tree.void_count > VOIDS_MAX:
        _complain_once(tree, f"More than {VOIDS_MAX} of its lookups lead to nothing.")


def _complain_once(tree: Tree, text: str) -> None:
    if text not in tree.problems:
        tree.problems.append(text)


def _permits(book: Book, domain: str, address: Address, path: tuple[str, ...]) -> bool | None:
    """RFC 7208 4.6.2: the first mechanism that matches decides."""
    record = _record_of(book, domain)
    if record is None or len(path) > LOOKUPS_MAX:
        return None
    for term in record.terms:
        matches = _matches(book, domain, term, address, path)
        if matches is None or matches:
            return matches and term.sign == "+"
    redirect = record.find("redirect")
    if redirect is None:
        return False
    return _enter(book, str(redirect.value), address, path)


def _record_of(book: Book, domain: str) -> Record | None:
    """The one record of a name; None where there is not one that can be read."""
    answer = book.look_up(domain, Kind.TXT)
    records = [text for text in answer.records if is_record(text)]
    record = parse(records[0]) if len(records) == 1 else None
    return record if record is not None and not record.problem else None


def _enter(book: Book, name: str, address: Address, path: tuple[str, ...]) -> bool | None:
    name = name.lower().rstrip(".")
    if "%" in name or name in path:
        return None
    return _permits(book, name, address, (*path, name))


def _matches(
    book: Book, domain: str, term: Term, address: Address, path: tuple[str, ...]
) -> bool | None:
    if term.name in {"all", "ip4", "ip6"}:
        network = _network(term.name, str(term.value)) if term.name != "all" else None
        return term.name == "all" or (
            network is not None and address.version == network.version and address in network
        )
    if term.name in {"ptr", "exists"} or (term.name in {"a", "mx"} and "%" in (term.value or "")):
        return None
    if term.name == "include":
        return _enter(book, str(term.value), address, path)
    if term.name not in {"a", "mx"}:
        return False  # a modifier
    name = term.value or domain
    if term.name == "a":
        return _is_host(book, [name], term, address)
    answer = book.look_up(name, Kind.MX)
    hosts = [record.rpartition(" ")[2] for record in answer.records[:MX_HOSTS_MAX]]
    return _is_host(book, hosts, term, address) if answer.is_known else None


def _is_host(book: Book, hosts: list[str], term: Term, address: Address) -> bool | None:
    """Whether the address is that of one of these hosts, or in the same network (5.3, 5.4)."""
    lengths = _LENGTHS.fullmatch(term.length)
    assert lengths is not None
    length = lengths[1] if address.version == 4 else lengths[2]
    kind = Kind.A if address.version == 4 else Kind.AAAA
    is_unsure = False
    for host in hosts:
        answer = book.look_up(host, kind)
        is_unsure = is_unsure or not answer.is_known
        for one in answer.records if answer.outcome is Outcome.FOUND else ():
            network = _of_host(one, length)
            if network is not None and address in network:
                return True
    return None if is_unsure else False


def _of_host(text: str, length: str | None) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(f"{text}/{length}" if length else text, strict=False)
    except ValueError:
        return None
