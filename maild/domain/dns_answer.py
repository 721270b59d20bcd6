"""What the DNS answers, and a book in which answers are looked up. Pure.

Whoever judges records asks the book. What stands in it is answered; what does not is noted as
wanted, to be asked (`services/dns_questions.py`) and judged again.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """A type of records."""

    TXT = "TXT"
    MX = "MX"
    A = "A"
    AAAA = "AAAA"


class Outcome(StrEnum):
    """What came of a question."""

    FOUND = "found"
    NO_DATA = "no_data"
    """The name is there, without records of this type (RFC 2308 2.2)."""
    NO_NAME = "no_name"
    """There is no such name: NXDOMAIN (RFC 2308 2.1)."""
    SERVER_FAILURE = "server_failure"
    """A server answered that it cannot tell: SERVFAIL, REFUSED and their like."""
    TIMEOUT = "timeout"
    PENDING = "pending"
    """It has not been asked yet."""


@dataclass(frozen=True, slots=True)
class Question:
    """`name` is in A-labels and lower case, without a dot at its end."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Answer:
    """`records` as people write them: the text of a TXT record with its strings joined, `10
    mx.example.org` of an MX record, an address. `alias` is the name that a CNAME led to.
    """

    outcome: Outcome
    records: tuple[str, ...] = ()
    alias: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether the DNS has said what is there, be it nothing."""
        return self.outcome in {Outcome.FOUND, Outcome.NO_DATA, Outcome.NO_NAME}

    @property
    def is_void(self) -> bool:
        """Nothing is there: a void lookup, as RFC 7208 4.6.4 calls it."""
        return self.outcome in {Outcome.NO_DATA, Outcome.NO_NAME}


PENDING = Answer(Outcome.PENDING)


@dataclass(slots=True)
class Book:
    """Answers so far, and the questions that somebody wanted an answer to."""

    answers: dict[Question, Answer] = field(default_factory=dict)
    wanted: set[Question] = field(default_factory=set)

    def look_up(self, name: str, kind: Kind) -> Answer:
        """The answer, or PENDING."""
        question = Question(name.lower().rstrip("."), kind)
        found = self.answers.get(question)
        if found is None:
            self.wanted.add(question)
            return PENDING
        return found


def why_unknown(answer: Answer) -> str:
    """What people are told of a question that was not answered."""
    if answer.outcome is Outcome.TIMEOUT:
        return "The DNS did not answer in time."
    return "The DNS servers of this name could not answer (SERVFAIL)."
