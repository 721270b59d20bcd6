"""What a check of a DNS record found, for people: how it stands, what that means, and what to
paste. Pure.
"""

from dataclasses import dataclass
from enum import StrEnum

NOTHING_THERE = "Nothing can be found for a name that does not exist"


class CheckName(StrEnum):
    """The checks of a domain, in the order in which they are shown."""

    SPF = "spf"
    DKIM = "dkim"
    DMARC = "dmarc"
    MX = "mx"


class State(StrEnum):
    OK = "ok"
    WARN = "warn"
    """It works, and something about it should be better."""
    BAD = "bad"
    UNKNOWN = "unknown"
    """The DNS did not answer: it may be in order or not."""

    @property
    def is_valid(self) -> bool:
        return self in {State.OK, State.WARN}


@dataclass(frozen=True, slots=True)
class Paste:
    """A record to put into the DNS. `why` says when it is the right one."""

    name: str
    type: str
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Finding:
    """`found` are the records, raw, and `at` is the name that has them. `facts` are details for
    programs.
    """

    check: CheckName
    state: State
    summary: str
    at: str
    found: tuple[str, ...] = ()
    meaning: tuple[str, ...] = ()
    paste: tuple[Paste, ...] = ()
    facts: tuple[tuple[str, object], ...] = ()


def worst(*states: State) -> State:
    """The gravest of these; unknown only where none is bad."""
    order = (State.OK, State.WARN, State.UNKNOWN, State.BAD)
    return max(states, key=order.index, default=State.OK)
