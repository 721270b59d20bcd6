"""DMARC records: found, read, and what identifiers align with (RFC 7489). Pure.

RFC 7489 3.2 finds the organisational domain by a list of public suffixes. There is no such list
here: as the revision of DMARC does, the names above are asked one after the other, down to two
labels, and the first that has a record speaks for those below it.
"""

from dataclasses import dataclass

from maild.domain import organisation
from maild.domain.dkim_record import parse_tags
from maild.domain.dns_answer import Answer, Book, Kind

POLICIES = ("none", "quarantine", "reject")
PARENTS_MAX = 6
REPORT_TARGETS_MAX = 3


@dataclass(frozen=True, slots=True)
class Policy:
    """What a record asks receivers for. `problem` says why they ignore it."""

    policy: str | None = None
    subdomain_policy: str | None = None
    percent: int = 100
    report_to: tuple[str, ...] = ()
    is_dkim_strict: bool = False
    is_spf_strict: bool = False
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Where the policy of a domain stands. `unanswered`: the DNS did not say."""

    at: str | None = None
    records: tuple[str, ...] = ()
    unanswered: Answer | None = None


def is_record(text: str) -> bool:
    """RFC 7489 6.4: the version comes first, in this case."""
    return text.partition(";")[0].replace(" ", "") == "v=DMARC1"


def discover(book: Book, domain: str) -> Found:
    """The records of the domain, or of the nearest name above it that has one (6.6.3)."""
    for name in _names(domain):
        answer = book.look_up(f"_dmarc.{name}", Kind.TXT)
        if not answer.is_known:
            return Found(unanswered=answer)
        records = tuple(text for text in answer.records if is_record(text))
        if records:
            return Found(at=name, records=records)
    return Found()


def parse(text: str) -> Policy:
    """The policy of a record."""
    tags = parse_tags(text)
    if tags is None:
        return Policy(problem="It is no list of tags such as v=DMARC1; p=none")
    report_to = tuple(part.strip() for part in tags.get("rua", "").split(",") if part.strip())
    policy = tags.get("p", "").lower()
    if policy not in POLICIES:
        if not report_to:
            return Policy(problem="It has no policy: p= must be none, quarantine or reject.")
        policy = "none"  # RFC 7489 6.6.3, point 6
    below = tags.get("sp", policy).lower()
    percent = tags.get("pct", "100")
    return Policy(
        policy=policy,
        subdomain_policy=below if below in POLICIES else policy,
        percent=int(percent) if percent.isdecimal() and int(percent) <= 100 else 100,
        report_to=report_to,
        is_dkim_strict=tags.get("adkim", "r").lower() == "s",
        is_spf_strict=tags.get("aspf", "r").lower() == "s",
    )


def is_aligned(domain: str, other: str, *, is_strict: bool) -> bool:
    """Whether an identifier of DKIM or SPF counts for the From domain (RFC 7489 3.1)."""
    return domain == other or (not is_strict and organisation.is_same(domain, other))


def foreign_targets(domain: str, policy: Policy) -> list[str]:
    """The domains to which reports go that are another organisation's: each must agree (7.1).
    At most REPORT_TARGETS_MAX.
    """
    targets: list[str] = []
    for uri in policy.report_to:
        if not uri.lower().startswith("mailto:"):
            continue
        target = uri[7:].partition("!")[0].rpartition("@")[2].lower().rstrip(".")
        is_own = organisation.is_same(domain, target)
        if target and target.isascii() and not is_own and target not in targets:
            targets.append(target)
    return targets[:REPORT_TARGETS_MAX]


def _names(domain: str) -> list[str]:
    """The domain, and those above it that have two labels at least, the nearest first."""
    labels = domain.split(".")
    above = [".".join(labels[start:]) for start in range(1, len(labels) - 1)]
    return [domain, *above[-PARENTS_MAX:]]
